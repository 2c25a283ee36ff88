// SPDX-License-Identifier: Apache-2.0
// The names of pictures that are written by themselves: a template with placeholders, made safe for the file system.
import Foundation

/// `{streamName}`, `{mediaSessionId}`, `{time}` (UTC, 20260131-235959-123) and `{timeMillis}` (milliseconds since 1970), folders by `/`.
struct GalleryTemplate: Sendable, Equatable {
    static let placeholders = ["{streamName}", "{mediaSessionId}", "{time}", "{timeMillis}"]
    let text: String

    /// `nil` when it names no stream, leaves the folder, or has a placeholder that doesn't exist.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.allSatisfy({ !$0.isEmpty && !$0.hasPrefix(".") }), text.utf8.count <= 200, !text.contains("\0") else { return nil }
        guard text.contains("{streamName}") || text.contains("{mediaSessionId}") else { return nil }
        var rest = text
        for placeholder in Self.placeholders { rest = rest.replacingOccurrences(of: placeholder, with: "") }
        guard !rest.contains("{"), !rest.contains("}") else { return nil }
        self.text = text
    }

    /// The path below the gallery's folder, without the ending.
    func path(streamName: String, mediaSessionID: String, unixMilliseconds: Int64) -> String {
        text.replacingOccurrences(of: "{time}", with: Self.time(unixMilliseconds))
            .replacingOccurrences(of: "{timeMillis}", with: String(unixMilliseconds))
            // Last, and free of braces, so that a stream's name is never taken for a placeholder.
            .replacingOccurrences(of: "{streamName}", with: Self.safe(streamName))
            .replacingOccurrences(of: "{mediaSessionId}", with: Self.safe(mediaSessionID))
    }

    /// What pictures of one stream have in common: the path with its times taken out.
    static func series(ofPath path: String) -> String {
        var result = ""
        var rest = path[...]
        while !rest.isEmpty {
            if let match = rest.prefixMatch(of: /\d{8}-\d{6}-\d{3}(?!\d)/) ?? rest.prefixMatch(of: /\d{13}(?!\d)/) {
                result += "*"
                rest = rest[match.range.upperBound...]
            } else {
                // Digits that belong together are passed over together.
                let run = rest.prefix { $0.isNumber }
                result += run.isEmpty ? rest.prefix(1) : run
                rest = rest.dropFirst(max(1, run.count))
            }
        }
        return result
    }

    /// A name as one component of a path: letters, digits, `-`, `_` and `.` (not in front) stay, the rest becomes %XX.
    static func safe(_ name: String) -> String {
        var result = ""
        for byte in name.utf8.prefix(80) {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "_"):
                result.append(Character(UnicodeScalar(byte)))
            case UInt8(ascii: ".") where !result.isEmpty:
                result.append(".")
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                result += "%" + (hex.count == 1 ? "0" : "") + hex
            }
        }
        return result
    }

    private static func time(_ unixMilliseconds: Int64) -> String {
        let seconds = Int(unixMilliseconds / 1000)
        var moment = time_t(seconds), parts = tm()
        gmtime_r(&moment, &parts)
        func digits(_ value: Int, _ count: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        return digits(Int(parts.tm_year) + 1900, 4) + digits(Int(parts.tm_mon) + 1, 2) + digits(Int(parts.tm_mday), 2) + "-"
            + digits(Int(parts.tm_hour), 2) + digits(Int(parts.tm_min), 2) + digits(Int(parts.tm_sec), 2) + "-"
            + digits(Int(unixMilliseconds % 1000), 3)
    }
}
