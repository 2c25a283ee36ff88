// Bytes of a connection to messages and interleaved packets (RFC 2326 §4, §10.12). Sans-IO; used by both roles.

/// Why a connection can't be understood any more.
public enum RTSPError: Error, Equatable, Sendable, CustomStringConvertible {
    case malformed(String)
    case tooLarge(String)

    public var description: String {
        switch self {
        case .malformed(let what): "malformed RTSP: \(what)"
        case .tooLarge(let what): "RTSP message too large: \(what)"
        }
    }
}

/// Takes bytes as they come. After an error nothing more can be read.
public struct RTSPParser: Sendable {
    public enum Item: Equatable, Sendable {
        case request(RTSPRequest)
        case response(RTSPResponse)
        /// A packet between the messages.
        case packet(channel: UInt8, [UInt8])
    }

    /// Bounds of one message.
    public static let maximumHead = 16_384, maximumLines = 100, maximumBody = 262_144

    private var buffer: [UInt8] = []
    private var start = 0

    public init() {}

    /// Bytes that wait for the rest of their message.
    public var waiting: Int { buffer.count - start }

    public mutating func append(_ bytes: some Collection<UInt8>) {
        if start > 65_536 || start == buffer.count {
            buffer.removeFirst(start)
            start = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next whole item; `nil` when there is none yet.
    public mutating func next() throws(RTSPError) -> Item? {
        // Lines between messages are skipped, as in HTTP.
        while start < buffer.count, buffer[start] == 13 || buffer[start] == 10 { start += 1 }
        guard start < buffer.count else { return nil }
        if buffer[start] == UInt8(ascii: "$") { return packet() }
        guard let end = headEnd() else {
            guard waiting <= Self.maximumHead else { throw .tooLarge("a head of more than \(Self.maximumHead) bytes") }
            return nil
        }
        guard end.next - start <= Self.maximumHead else { throw .tooLarge("a head of more than \(Self.maximumHead) bytes") }
        let lines = buffer[start..<end.head].split(separator: 10, omittingEmptySubsequences: false).map { line in
            line.last == 13 ? line.dropLast() : line
        }
        guard lines.count <= Self.maximumLines else { throw .tooLarge("more than \(Self.maximumLines) lines") }
        let headers = try Self.headers(lines.dropFirst())
        var length = 0
        if let text = headers["Content-Length"] {
            guard let number = Int(text.filter { $0 != " " }), number >= 0 else { throw .malformed("Content-Length \(text.prefix(32))") }
            guard number <= Self.maximumBody else { throw .tooLarge("a body of \(number) bytes") }
            length = number
        }
        guard buffer.count - end.next >= length else { return nil }
        let body = Array(buffer[end.next..<end.next + length])
        let first = String(decoding: lines.first ?? [], as: UTF8.self)
        start = end.next + length
        return try Self.item(first, headers, body)
    }

    private mutating func packet() -> Item? {
        guard waiting >= 4 else { return nil }
        let length = Int(buffer[start + 2]) << 8 | Int(buffer[start + 3])
        guard waiting >= 4 + length else { return nil }
        let item = Item.packet(channel: buffer[start + 1], Array(buffer[start + 4..<start + 4 + length]))
        start += 4 + length
        return item
    }

    /// Where the head ends, and where what follows begins: behind an empty line, ended by CRLF or LF.
    private func headEnd() -> (head: Int, next: Int)? {
        var index = start
        let limit = min(buffer.count, start + Self.maximumHead + 4)
        while index < limit {
            if buffer[index] == 10 {
                if index + 1 < limit, buffer[index + 1] == 10 { return (index, index + 2) }
                if index + 2 < limit, buffer[index + 1] == 13, buffer[index + 2] == 10 { return (index, index + 3) }
            }
            index += 1
        }
        return nil
    }

    private static func headers(_ lines: ArraySlice<ArraySlice<UInt8>>) throws(RTSPError) -> RTSPHeaders {
        var headers = RTSPHeaders()
        for line in lines where !line.isEmpty {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else {
                throw .malformed("header line \(String(decoding: line.prefix(40), as: UTF8.self).debugDescription)")
            }
            let value = String(decoding: line[(colon + 1)...], as: UTF8.self)
            headers.append(trim(String(decoding: line[..<colon], as: UTF8.self)), trim(value))
        }
        return headers
    }

    private static func trim(_ text: String) -> String {
        var slice = Substring(text)
        while let first = slice.first, first == " " || first == "\t" { slice.removeFirst() }
        while let last = slice.last, last == " " || last == "\t" { slice.removeLast() }
        return String(slice)
    }

    private static func item(_ line: String, _ headers: RTSPHeaders, _ body: [UInt8]) throws(RTSPError) -> Item {
        let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: true)
        guard parts.count >= 2 else { throw .malformed("first line \(line.prefix(60).debugDescription)") }
        if parts[0].hasPrefix("RTSP/") {
            guard let status = Int(parts[1]), (100...999).contains(status) else { throw .malformed("status \(parts[1].prefix(20))") }
            return .response(RTSPResponse(status, reason: parts.count > 2 ? String(parts[2]) : "", headers: headers, body: body))
        }
        guard parts.count == 3, parts[2].hasPrefix("RTSP/") else { throw .malformed("first line \(line.prefix(60).debugDescription)") }
        return .request(RTSPRequest(String(parts[0]), String(parts[1]), headers: headers, body: body))
    }
}

/// A packet as it lies between messages.
public enum RTSPInterleaved {
    /// `$`, channel, length.
    public static func header(channel: UInt8, length: Int) -> [UInt8] {
        [UInt8(ascii: "$"), channel, UInt8(length >> 8 & 0xff), UInt8(length & 0xff)]
    }
}
