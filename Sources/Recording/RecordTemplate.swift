// SPDX-License-Identifier: Apache-2.0
// How recorded files are called: a template with elements, made safe for file systems and for links. A value.
import Foundation

/// What a file's name can be made of, and what is remembered of a recording besides.
public struct RecordFacts: Codable, Sendable, Equatable {
    public var streamName: String
    public var mediaSessionID: String
    public var sessionID: String
    public var login: String
    public var room: String?
    /// Milliseconds since 1970.
    public var startTime: Int64 = 0

    public init(streamName: String, mediaSessionID: String, sessionID: String, login: String, room: String? = nil) {
        self.streamName = streamName
        self.mediaSessionID = mediaSessionID
        self.sessionID = sessionID
        self.login = login
        self.room = room
    }
}

/// `stream-{mediaSessionId}-{login}`. Always one file name: a path can't be made of it.
public struct RecordTemplate: Codable, Sendable, Equatable {
    /// Elements and the most characters each may have.
    static let elements: [String: Int] = [
        "streamName": 255, "duration": 20, "startTime": 20, "endTime": 20, "startTimeMillis": 20, "endTimeMillis": 20, "sessionId": 60,
        "mediaSessionId": 36, "login": 32, "audioCodec": 4, "videoCodec": 4,
    ]
    public static let elementNames = elements.keys.sorted()
    /// UTF-8 bytes of a whole name, ending and number included: what file systems take.
    public static let maximumLength = 255

    public let text: String
    public static let standard = RecordTemplate(unchecked: "stream-{mediaSessionId}-{login}")

    private init(unchecked text: String) { self.text = text }

    /// `nil` when it is empty or has an element that doesn't exist.
    public init?(_ text: String) {
        guard !text.isEmpty, text.utf8.count <= 1024, !text.contains("\0") else { return nil }
        let named = text.matches(of: /\{([^{}]*)\}/).map { String($0.1) }
        guard named.allSatisfy({ Self.elements[$0] != nil }) else { return nil }
        let rest = text.replacing(/\{[^{}]*\}/, with: "")
        guard !rest.contains("{"), !rest.contains("}") else { return nil }
        self.text = text
    }

    /// The name of a file.
    ///
    /// - Parameters:
    ///   - end: milliseconds since 1970; `nil`: not yet known, its elements stay as they are written.
    ///   - number: of the file among those of one name; the first has none.
    public func name(
        _ facts: RecordFacts, end: Int64?, milliseconds: Int64?, audioCodec: String?, videoCodec: String?, fileExtension: String, number: Int = 1
    ) -> String {
        let values: [String: String?] = [
            "streamName": facts.streamName, "sessionId": Data(facts.sessionID.utf8).base64EncodedString(), "mediaSessionId": facts.mediaSessionID,
            "login": facts.login, "startTime": Self.time(facts.startTime), "startTimeMillis": String(facts.startTime),
            "endTime": end.map(Self.time), "endTimeMillis": end.map { String($0) }, "duration": milliseconds.map { String($0) },
            "audioCodec": end == nil ? nil : audioCodec ?? "", "videoCodec": end == nil ? nil : videoCodec ?? "",
        ]
        let stem = text.replacing(/\{([^{}]*)\}/) { match -> String in
            let element = String(match.1)
            guard let value = values[element] ?? nil else { return String(match.0) }
            return String(value.prefix(Self.elements[element] ?? 0))
        }
        let ending = (number > 1 ? "_\(number)" : "") + "." + fileExtension
        return Self.cut(Self.safe(stem), toBytes: Self.maximumLength - ending.utf8.count) + ending
    }

    /// A text as a file name without ending, with room for an ending of so many bytes.
    static func fileName(_ text: String, endingBytes: Int) -> String { cut(safe(text), toBytes: maximumLength - endingBytes) }

    /// Letters and digits of any script and a few signs stay; the rest, above all separators, becomes `_`. Never empty, and never
    /// with a dot in front: that would be hidden, or another folder.
    static func safe(_ name: String) -> String {
        var result = ""
        for character in name {
            let isKept = character.isLetter || character.isNumber || "-_.,=+@~!()[]{} ".contains(character)
            result.append(isKept ? character : "_")
        }
        result = String(result.drop { $0 == " " })
        if result.first == "." { result = "_" + result.dropFirst() }
        return result.isEmpty ? "_" : result
    }

    private static func cut(_ text: String, toBytes limit: Int) -> String {
        guard text.utf8.count > limit else { return text }
        var result = "", length = 0
        for character in text {
            length += character.utf8.count
            guard length <= limit else { break }
            result.append(character)
        }
        return result
    }

    /// UTC, `2026-01-31-23-59-59`.
    static func time(_ unixMilliseconds: Int64) -> String {
        var moment = time_t(unixMilliseconds / 1000), parts = tm()
        gmtime_r(&moment, &parts)
        let numbers = [parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec]
        return numbers.map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: "-")
    }
}

/// When one file is enough: `20M` (bytes; K, M, G) or `30m` (length; s, m, h).
public struct RecordRotation: Codable, Sendable, Equatable {
    public var bytes: Int64 = 0
    public var milliseconds: Int64 = 0

    public init() {}

    /// `nil` for what is no size or length, or too small to be meant.
    public init?(_ text: String) {
        let text = text.filter { !$0.isWhitespace }
        guard !text.isEmpty, text != "0" else { return }
        guard let unit = text.last, let number = Int64(unit.isNumber ? text[...] : text.dropLast()), (1...1_000_000_000).contains(number) else { return nil }
        switch unit {
        case "K": bytes = number << 10
        case "M": bytes = number << 20
        case "G" where number <= 1 << 20: bytes = number << 30
        case "s", "S": milliseconds = number * 1000
        case "m": milliseconds = number * 60_000
        case "h", "H": milliseconds = number * 3_600_000
        // WCS writes plain numbers for seconds.
        case _ where unit.isNumber: milliseconds = number * 1000
        default: return nil
        }
        guard bytes == 0 || bytes >= 1 << 16, milliseconds == 0 || milliseconds >= 1000 else { return nil }
    }
}
