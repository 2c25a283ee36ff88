// SPDX-License-Identifier: Apache-2.0
// The log: one line per event on stderr, for people or for machines. Made by LogSetup; used through swift-log everywhere.
import Glibc
public import Logging
import Primitives
import Signalling

/// A swift-log handler that writes one line per event: time, level, label, message, `key=value` metadata.
///
/// What peers sent may stand in messages and metadata, so control characters are escaped and long values are cut.
public struct LineLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let format: LogFormat
    private let write: @Sendable ([UInt8]) -> Void
    /// Holds back lines of `info` and above that come too often; who asks for more than that gets everything.
    private let limiter: LogLimiter?

    /// Longest message and metadata value that are written, bytes, with their escapes.
    static let maximumMessageLength = 4_096, maximumValueLength = 1_024

    /// - Parameter write: takes one complete line with its line feed.
    init(
        label: String, level: Logger.Level, format: LogFormat, limiter: LogLimiter? = nil, write: @escaping @Sendable ([UInt8]) -> Void
    ) {
        self.limiter = limiter
        self.label = label
        self.logLevel = level
        self.format = format
        self.write = write
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var fields = metadata
        if let provided = metadataProvider?.get() { fields.merge(provided) { _, new in new } }
        if let own = event.metadata { fields.merge(own) { _, new in new } }
        if let error = event.error, fields["error"] == nil { fields["error"] = "\(error)" }
        let message = event.message.description
        if let limiter, event.level >= .info {
            let peer = Self.peer(in: fields)
            let (handler, level) = (self, event.level)
            let isTaken = limiter.takes(message, peer: peer) { count in
                handler.writeLine(level, "… \(count) more: \(message)", peer.isEmpty ? [:] : ["peer": "\(peer)"])
            }
            guard isTaken else { return }
        }
        writeLine(event.level, message, fields)
    }

    private func writeLine(_ level: Logger.Level, _ message: String, _ fields: Logger.Metadata) {
        let line: String
        switch format {
        case .text: line = textLine(level, message, fields)
        case .json: line = jsonLine(level, message, fields)
        }
        write(Array((line + "\n").utf8))
    }

    /// Whom a line is about: the address of the peer or session that it names, an IPv6 one by its network; empty when there is none.
    static func peer(in fields: Logger.Metadata) -> String {
        for key in ["peer", "remote", "session"] {
            guard let text = fields[key]?.description else { continue }
            // Sessions are called "/address:port/own address:port-number".
            return AddressKey(String(text.drop { $0 == "/" }.prefix { $0 != "/" })).description
        }
        return ""
    }

    private func textLine(_ level: Logger.Level, _ message: String, _ fields: Logger.Metadata) -> String {
        let level = level.rawValue.uppercased()
        var line = "\(Timestamp.now) \(level)\(String(repeating: " ", count: max(1, 8 - level.utf8.count)))\(label): "
        line += Self.cut(Self.escaped(Self.cut(message, Self.maximumMessageLength), quotes: false), Self.maximumMessageLength)
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            line += " \(Self.escaped(key, quotes: false))=\(Self.quotedIfNeeded(Self.cut(value.description, Self.maximumValueLength)))"
        }
        return line
    }

    private func jsonLine(_ level: Logger.Level, _ message: String, _ fields: Logger.Metadata) -> String {
        var object: [String: JSONValue] = [:]
        for (key, value) in fields { object[key] = .string(Self.cutForJSON(value.description, Self.maximumValueLength)) }
        object["time"] = .string(Timestamp.now)
        object["level"] = .string(level.rawValue)
        object["label"] = .string(label)
        object["message"] = .string(Self.cutForJSON(message, Self.maximumMessageLength))
        return JSONValue.object(object).serialized()
    }

    private static func cut(_ text: String, _ length: Int) -> String {
        guard text.utf8.count > length else { return text }
        return String(decoding: text.utf8.prefix(length), as: UTF8.self) + "…"
    }

    /// So that there are no more than so many bytes of it once JSON's escapes, six bytes for a control character, are in.
    private static func cutForJSON(_ text: String, _ length: Int) -> String {
        let text = cut(text, length)
        var left = length
        guard let end = text.utf8.firstIndex(where: { byte in
            left -= byte < 0x20 || byte == 0x7f ? 6 : byte == 0x22 || byte == 0x5c ? 2 : 1
            return left < 0
        }) else { return text }
        return String(decoding: text.utf8[..<end], as: UTF8.self) + "…"
    }

    private static func quotedIfNeeded(_ text: String) -> String {
        let isPlain = !text.isEmpty && text.unicodeScalars.allSatisfy { $0 != " " && $0 != "\"" && $0 != "=" && $0.value >= 0x20 && $0.value != 0x7f }
        return isPlain ? text : "\"\(cut(escaped(text, quotes: true), maximumValueLength))\""
    }

    /// Control characters as `\n`, `\t` or `\u{..}`, so that nothing a peer sent can start a line or steer a terminal.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        guard text.unicodeScalars.contains(where: { needsEscape($0, quotes: quotes) }) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\"" where quotes: result += "\\\""
            case "\\" where quotes: result += "\\\\"
            case _ where needsEscape(scalar, quotes: quotes): result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func needsEscape(_ scalar: Unicode.Scalar, quotes: Bool) -> Bool {
        scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) || scalar.value == 0x2028 || scalar.value == 0x2029
            || (quotes && (scalar == "\"" || scalar == "\\"))
    }
}

/// Wall-clock time as log lines carry it.
enum Timestamp {
    /// UTC with milliseconds, RFC 3339: `2026-01-31T12:00:00.123Z`.
    static var now: String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        var parts = tm()
        gmtime_r(&time.tv_sec, &parts)
        func pad(_ value: some BinaryInteger, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = "\(pad(Int(parts.tm_year) + 1900, 4))-\(pad(parts.tm_mon + 1, 2))-\(pad(parts.tm_mday, 2))"
        return "\(date)T\(pad(parts.tm_hour, 2)):\(pad(parts.tm_min, 2)):\(pad(parts.tm_sec, 2)).\(pad(time.tv_nsec / 1_000_000, 3))Z"
    }

    /// Milliseconds since 1970, as REST answers carry it.
    static var milliseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
