// SPDX-License-Identifier: Apache-2.0
// A name as a bitmap: any script, fonts by fontconfig, cut to the width there is. libass does the setting of the text.
import CASS
import Codecs
import Foundation

/// How much of each pixel is covered, 0…255. Immutable.
public struct Caption: Sendable, Equatable {
    public let width: Int
    public let height: Int
    public let coverage: [UInt8]
}

/// Owns a libass renderer. Not Sendable: one thread at a time.
public final class CaptionWriter {
    /// Of a name; what is beyond is cut, however narrow it would be.
    static let maximumScalars = 200

    private let library: OpaquePointer
    private let renderer: OpaquePointer
    private let font: String

    /// - Parameter font: a family name as fontconfig knows it.
    public init(font: String) throws(MixError) {
        guard let library = ass_library_init() else { throw .failed("The font library libass can't be started.") }
        martlet_ass_silence(library)
        guard let renderer = ass_renderer_init(library) else {
            ass_library_done(library)
            throw .failed("The font library libass can't be started.")
        }
        ass_set_fonts(renderer, nil, font, Int32(ASS_FONTPROVIDER_AUTODETECT.rawValue), nil, 0)
        self.library = library
        self.renderer = renderer
        self.font = font
    }

    deinit {
        ass_renderer_done(renderer)
        ass_library_done(library)
    }

    /// `nil` when there is nothing to be seen in the text, or no room for it.
    ///
    /// - Parameters:
    ///   - size: of the letters, pixels.
    ///   - width: there is; longer texts end in an ellipsis.
    public func caption(_ text: String, size: Int, width: Int) -> Caption? {
        let line = Self.oneLine(text)
        guard !line.isEmpty, size > 0, width >= size else { return nil }
        guard let whole = render(line, size: size) else { return nil }
        if whole.width <= width { return whole }
        // The longest beginning that fits.
        let characters = Array(line)
        var fits = 0, tooLong = characters.count
        var best: Caption?
        while tooLong - fits > 1 {
            let middle = (fits + tooLong) / 2
            if let part = render(String(characters[..<middle]) + "…", size: size), part.width <= width {
                (fits, best) = (middle, part)
            } else {
                tooLong = middle
            }
        }
        return best
    }

    /// Without line breaks and other signs that are not to be seen, but with what joins letters.
    static func oneLine(_ text: String) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars.prefix(maximumScalars) {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: scalars.append(" ")
            default: scalars.append(scalar)
            }
        }
        return String(scalars).trimmingCharacters(in: .whitespaces)
    }

    /// So that nothing in a name is a command: braces begin some, a backslash as well unless a word joiner (not to be seen) follows.
    static func escaped(_ line: String) -> String {
        var result = ""
        for character in line.unicodeScalars {
            switch character {
            case "{": result += "\\{"
            case "}": result += "\\}"
            case "\\": result += "\\\u{2060}"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }

    private func render(_ line: String, size: Int) -> Caption? {
        // Room for the widest letters of any script; cut to what is used below.
        let width = min(16_384, max(64, line.unicodeScalars.count * size * 2)), height = size * 4
        let script = """
            [Script Info]
            ScriptType: v4.00+
            PlayResX: \(width)
            PlayResY: \(height)
            WrapStyle: 2
            ScaledBorderAndShadow: yes

            [V4+ Styles]
            Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, \
            ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
            Style: Default,\(font),\(size),&H00FFFFFF,&H00FFFFFF,&H00000000,&H00000000,0,0,0,0,100,100,0,0,1,0,0,5,0,0,0,-1

            [Events]
            Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
            Dialogue: 0,0:00:00.00,9:59:59.00,Default,,0,0,0,,\(Self.escaped(line))

            """
        ass_set_frame_size(renderer, Int32(width), Int32(height))
        var bytes = Array(script.utf8).map { CChar(bitPattern: $0) }
        guard let track = ass_read_memory(library, &bytes, bytes.count, nil) else { return nil }
        defer { ass_free_track(track) }
        var canvas = [UInt8](repeating: 0, count: width * height)
        var left = width, right = 0
        var image = ass_render_frame(renderer, track, 1000, nil)
        while let current = image?.pointee {
            let w = Int(current.w), h = Int(current.h), stride = Int(current.stride), x = Int(current.dst_x), y = Int(current.dst_y)
            if let bitmap = current.bitmap, w > 0, h > 0, x >= 0, y >= 0, x + w <= width, y + h <= height {
                for row in 0..<h {
                    for column in 0..<w {
                        let place = (y + row) * width + x + column
                        canvas[place] = max(canvas[place], bitmap[row * stride + column])
                    }
                }
                (left, right) = (min(left, x), max(right, x + w))
            }
            image = current.next.map { UnsafeMutablePointer($0) }
        }
        guard left < right else { return nil }
        // All lines of one size are of one height, whatever their letters reach to.
        let top = height / 2 - size * 7 / 10, bottom = height / 2 + size * 7 / 10
        var coverage: [UInt8] = []
        coverage.reserveCapacity((right - left) * (bottom - top))
        for row in top..<bottom { coverage += canvas[row * width + left..<row * width + right] }
        return Caption(width: right - left, height: bottom - top, coverage: coverage)
    }
}
