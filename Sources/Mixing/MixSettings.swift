// SPDX-License-Identifier: Apache-2.0
// How a record is mixed: the contents of `conf/offline_mixer.json`. Keys and defaults are the vendor's where he has them.
import Foundation

public struct MixSettings: Sendable, Equatable {
    public enum Layout: String, Sendable, CaseIterable {
        /// Equal cells with a gap between them.
        case grid
        /// Pictures that touch each other, in the middle.
        case centre
        /// One picture large, the others in a row beside it.
        case desktop
    }

    public enum Side: String, Sendable, CaseIterable { case top = "TOP", bottom = "BOTTOM", left = "LEFT", right = "RIGHT", center = "CENTER" }

    /// What is written on the pictures.
    public enum Label: String, Sendable, CaseIterable { case login, stream }

    public var hasVideo = true
    public var hasAudio = true
    public var displaysNames = true
    public var label = Label.login
    /// Pixels, even.
    public var width = 1280, height = 720
    /// Pictures per second, 1…60.
    public var frameRate = 30
    /// Bit/s; of video at most so much.
    public var videoBitrate = 3_000_000, audioBitrate = 128_000
    public var layout = Layout.grid
    /// Where the large picture of the layout `desktop` stands.
    public var desktopAlign = Side.top
    /// A stream whose name contains this, in whatever case, is a screen: it is shown large.
    public var screenWords = ["desktop", "screen"]
    /// Family names for fontconfig; what they don't have comes from other fonts of the machine.
    public var font = "sans-serif"
    /// Pixels.
    public var fontSize = 20
    /// Of people without a picture.
    public var audioOnlyFontSize = 40
    public var marksSpeaker = true
    /// Pixels.
    public var speakerFrame = 6
    /// dB below full scale: what is quieter is no voice.
    public var silenceThreshold = -50.0
    /// Told when the result is there.
    public var callbackURL: URL?
    /// 0: one per core.
    public var threads = 0
    /// Frames of a participant with more pixels than this are left out: nobody's camera may take the machine.
    public var maximumInputPixels = 4096 * 2304
    /// Mixing is given up after this time, minutes; 0: never.
    public var timeLimit = 720
    /// Memory of the mixer, MB; 0: no bound.
    public var memoryLimit = 4096

    public init() {}

    /// Reads a file of settings.
    /// - Throws: `.settings`, naming the file and the key.
    public init(file path: String) throws(MixError) {
        guard let data = FileManager.default.contents(atPath: path) else { throw .settings("The settings \(path) can't be read.") }
        do throws(MixError) { try self.init(json: data) } catch { throw .settings("\(path): \(error)") }
    }

    /// Numbers and truth values may be written as texts, as the vendor's own file does. Unknown keys are an error: they would do nothing.
    public init(json data: Data) throws(MixError) {
        guard data.count <= 1 << 20, let parsed = try? JSONSerialization.jsonObject(with: data), let object = parsed as? [String: Any] else {
            throw .settings("no JSON object.")
        }
        for key in object.keys.sorted() { if let value = object[key], !(value is NSNull) { try take(key, value) } }
    }

    private mutating func take(_ key: String, _ value: Any) throws(MixError) {
        switch key {
        case "hasVideo": hasVideo = try flag(key, value)
        case "hasAudio": hasAudio = try flag(key, value)
        case "mixerDisplayStreamName": displaysNames = try flag(key, value)
        case "mixerNameSource": label = try choice(key, value)
        case "mixerVideoWidth": width = try number(key, value, 64...4096) & ~1
        case "mixerVideoHeight": height = try number(key, value, 64...4096) & ~1
        case "mixerVideoFps": frameRate = try number(key, value, 1...60)
        case "mixerVideoBitrateKbps": videoBitrate = try number(key, value, 50...100_000) * 1000
        case "mixerAudioBitrateKbps": audioBitrate = try number(key, value, 16...320) * 1000
        case "mixerLayout": layout = try choice(key, value)
        case "mixerLayoutClass": layout = try layoutClass(key, value)
        case "mixerDesktopAlign": desktopAlign = try choice(key, value)
        case "mixerDesktopStreamName": screenWords = try texts(key, value)
        case "mixerFont": font = try text(key, value)
        case "mixerFontSize": fontSize = try number(key, value, 6...200)
        case "mixerFontSizeAudioOnly": audioOnlyFontSize = try number(key, value, 6...200)
        case "mixerVoiceActivity": marksSpeaker = try flag(key, value)
        case "mixerVoiceActivityFrameThickness": speakerFrame = try number(key, value, 1...50)
        case "mixerAudioSilenceThreshold": silenceThreshold = try decibels(key, value)
        case "mixerVideoThreads": threads = try number(key, value, 0...64)
        case "mixerMaxInputPixels": maximumInputPixels = try number(key, value, 4096...67_108_864)
        case "mixerTimeLimitMinutes": timeLimit = try number(key, value, 0...100_000)
        case "mixerMemoryLimitMb": memoryLimit = try number(key, value, 0...1_048_576)
        case "callbackUrl": callbackURL = try address(key, value)
        default: throw .settings("unknown key \"\(key.prefix(64))\"; known are \(Self.keys.joined(separator: ", ")).")
        }
    }

    /// All keys, in the order of the documentation.
    public static let keys = [
        "hasVideo", "hasAudio", "mixerDisplayStreamName", "mixerNameSource", "mixerVideoWidth", "mixerVideoHeight", "mixerVideoFps",
        "mixerVideoBitrateKbps", "mixerAudioBitrateKbps", "mixerLayout", "mixerLayoutClass", "mixerDesktopAlign", "mixerDesktopStreamName",
        "mixerFont", "mixerFontSize", "mixerFontSizeAudioOnly", "mixerVoiceActivity", "mixerVoiceActivityFrameThickness",
        "mixerAudioSilenceThreshold", "mixerVideoThreads", "mixerMaxInputPixels", "mixerTimeLimitMinutes", "mixerMemoryLimitMb", "callbackUrl",
    ]

    // MARK: values

    private func flag(_ key: String, _ value: Any) throws(MixError) -> Bool {
        switch value {
        case let text as String where text.lowercased() == "true": return true
        case let text as String where text.lowercased() == "false": return false
        // A JSON number is an NSNumber too; only 0 and 1 pass as truth values.
        case let number as NSNumber where number == 0 || number == 1: return number.boolValue
        default: throw .settings("\"\(key)\" must be true or false.")
        }
    }

    private func number(_ key: String, _ value: Any, _ range: ClosedRange<Int>) throws(MixError) -> Int {
        let number = (value as? String).flatMap { Int($0.trimmingCharacters(in: .whitespaces)) }
            ?? (value as? NSNumber).flatMap { Int(exactly: $0.doubleValue) }
        guard let number, range.contains(number) else {
            throw .settings("\"\(key)\" must be a whole number of \(range.lowerBound) to \(range.upperBound).")
        }
        return number
    }

    private func decibels(_ key: String, _ value: Any) throws(MixError) -> Double {
        let number = (value as? String).flatMap { Double($0.trimmingCharacters(in: .whitespaces)) } ?? (value as? NSNumber)?.doubleValue
        guard let number, (-100.0...0.0).contains(number) else { throw .settings("\"\(key)\" must be -100 to 0 (dB).") }
        return number
    }

    private func text(_ key: String, _ value: Any) throws(MixError) -> String {
        guard let text = value as? String, !text.isEmpty, text.utf8.count <= 256, !text.contains(where: { $0.isNewline || $0 == "," || $0 == "\0" }) else {
            throw .settings("\"\(key)\" must be a text of one line without commas.")
        }
        return text
    }

    private func texts(_ key: String, _ value: Any) throws(MixError) -> [String] {
        let texts = (value as? String).map { [$0] } ?? value as? [String]
        guard let texts, texts.count <= 32, texts.allSatisfy({ !$0.isEmpty && $0.utf8.count <= 256 }) else {
            throw .settings("\"\(key)\" must be a text or a list of texts.")
        }
        return texts
    }

    private func choice<Choice: CaseIterable & RawRepresentable>(_ key: String, _ value: Any) throws(MixError) -> Choice where Choice.RawValue == String {
        guard let text = value as? String, let found = Choice.allCases.first(where: { $0.rawValue.lowercased() == text.lowercased() }) else {
            throw .settings("\"\(key)\" must be one of \(Choice.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        return found
    }

    /// The vendor's Java classes, with or without their package.
    private func layoutClass(_ key: String, _ value: Any) throws(MixError) -> Layout {
        switch (value as? String)?.split(separator: ".").last {
        case "GridLayout": return .grid
        case "CenterNoPaddingGridLayout", "CropNoPaddingGridLayout": return .centre
        case "DesktopLayout": return .desktop
        default: throw .settings("\"\(key)\" must be GridLayout, CenterNoPaddingGridLayout or DesktopLayout; classes of one's own can't be loaded.")
        }
    }

    private func address(_ key: String, _ value: Any) throws(MixError) -> URL? {
        guard let text = value as? String else { throw .settings("\"\(key)\" must be a text.") }
        if text.isEmpty { return nil }
        guard let url = URL(string: text), ["http", "https"].contains(url.scheme?.lowercased() ?? ""), url.host != nil else {
            throw .settings("\"\(key)\" must be an address such as http://backend/mixed.")
        }
        return url
    }

    func isScreen(_ streamName: String) -> Bool {
        let name = streamName.lowercased()
        return screenWords.contains { name.contains($0.lowercased()) }
    }
}
