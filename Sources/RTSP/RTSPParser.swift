// SPDX-License-Identifier: Apache-2.0
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

/// Takes bytes as they come. After an error nothing more can be read. Each byte is looked at once, however small the pieces are.
public struct RTSPParser: Sendable {
    public enum Item: Equatable, Sendable {
        case request(RTSPRequest)
        case response(RTSPResponse)
        /// A packet between the messages.
        case packet(channel: UInt8, [UInt8])
    }

    /// At which end it reads. Who fetches from a camera looks for the next packet or message when bytes are neither
    /// (see `RTSPParser+Resynchronization`); a server ends such a connection.
    public enum Role: Sendable { case server, client }

    /// Bounds of one message, bytes and lines. Requests have small bodies, so that many clients can't fill the memory.
    public static let maximumHead = 16_384, maximumLines = 100, maximumBody = 262_144, maximumRequestBody = 16_384

    let role: Role
    /// A client's: the channels that were agreed on; empty = not yet.
    public var channels: Set<UInt8> = []
    /// A client's: bytes that were neither message nor packet, since the beginning.
    public internal(set) var strayBytes = 0
    /// Of these, the ones in a row up to now.
    var strayRun = 0
    /// Something whole has been read.
    var hasRead = false

    var buffer: [UInt8] = []
    var start = 0
    /// How far behind `start` the end of the head has been looked for.
    private var scanned = 0
    /// The message whose head has been read.
    private var head: Head?
    private struct Head: Sendable {
        var firstLine: String
        var headers: RTSPHeaders
        /// Where the body lies, from `start` on.
        var bodyOffset: Int
        var bodyLength: Int
    }

    public init(_ role: Role = .server) { self.role = role }

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
        while true {
            if head == nil {
                // Lines between messages are skipped, as in HTTP.
                while start < buffer.count, buffer[start] == 13 || buffer[start] == 10 { start += 1 }
                guard start < buffer.count else { return nil }
                switch role == .client ? whatBegins() : buffer[start] == Self.dollar ? .packet : .message {
                case .packet: return packet()
                case .undecided: return nil
                case .nothing:
                    try skipStray()
                    continue
                case .message: break
                }
            }
            do throws(RTSPError) {
                if head == nil {
                    guard try readHead() else { return nil }
                }
                return try readMessage()
            } catch {
                // A camera that has been understood so far may have left out some bytes.
                guard role == .client, hasRead else { throw error }
                (head, scanned) = (nil, 0)
                try skipStray()
            }
        }
    }

    static let dollar = UInt8(ascii: "$")

    mutating func consume(_ count: Int) {
        start += count
        (scanned, strayRun, hasRead, head) = (0, 0, true, nil)
    }

    private mutating func packet() -> Item? {
        guard waiting >= 4 else { return nil }
        let length = Int(buffer[start + 2]) << 8 | Int(buffer[start + 3])
        guard waiting >= 4 + length else { return nil }
        let item = Item.packet(channel: buffer[start + 1], Array(buffer[start + 4..<start + 4 + length]))
        consume(4 + length)
        return item
    }

    // MARK: messages

    /// false while its end hasn't come.
    private mutating func readHead() throws(RTSPError) -> Bool {
        guard let end = headEnd() else {
            guard waiting <= Self.maximumHead else { throw .tooLarge("a head of more than \(Self.maximumHead) bytes") }
            return false
        }
        guard end.next - start <= Self.maximumHead else { throw .tooLarge("a head of more than \(Self.maximumHead) bytes") }
        let lines = buffer[start..<end.head].split(separator: 10, omittingEmptySubsequences: false).map { line in
            line.last == 13 ? line.dropLast() : line
        }
        guard lines.count <= Self.maximumLines else { throw .tooLarge("more than \(Self.maximumLines) lines") }
        let headers = Self.headers(lines.dropFirst())
        var length = 0
        if let text = headers["Content-Length"] {
            guard let number = Int(text.filter { $0 != " " }), number >= 0 else { throw .malformed("Content-Length \(text.prefix(32))") }
            guard number <= (role == .server ? Self.maximumRequestBody : Self.maximumBody) else { throw .tooLarge("a body of \(number) bytes") }
            length = number
        }
        head = Head(
            firstLine: String(decoding: lines.first ?? [], as: UTF8.self), headers: headers, bodyOffset: end.next - start, bodyLength: length)
        return true
    }

    private mutating func readMessage() throws(RTSPError) -> Item? {
        // Both are bounded by readHead, so the sum can't overflow.
        guard let head, waiting >= head.bodyOffset + head.bodyLength else { return nil }
        let body = start + head.bodyOffset
        let item = try Self.item(head.firstLine, head.headers, Array(buffer[body..<body + head.bodyLength]))
        consume(head.bodyOffset + head.bodyLength)
        return item
    }

    /// Where the head ends, and where what follows begins: behind an empty line, ended by CRLF or LF.
    private mutating func headEnd() -> (head: Int, next: Int)? {
        var index = start + scanned
        let limit = min(buffer.count, start + Self.maximumHead + 4)
        defer { scanned = index - start }
        while index < limit {
            if buffer[index] == 10 {
                guard index + 1 < limit else { return nil }
                if buffer[index + 1] == 10 { return (index, index + 2) }
                if buffer[index + 1] == 13 {
                    guard index + 2 < limit else { return nil }
                    if buffer[index + 2] == 10 { return (index, index + 3) }
                }
            }
            index += 1
        }
        return nil
    }

    /// What can't be read is left out: only few fields are needed. A line that begins with a space goes on from the one before.
    private static func headers(_ lines: ArraySlice<ArraySlice<UInt8>>) -> RTSPHeaders {
        var headers = RTSPHeaders()
        for line in lines where !line.isEmpty {
            if line.first == 32 || line.first == 9 {
                headers.extendLast(trim(String(decoding: line, as: UTF8.self)))
                continue
            }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else { continue }
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
        if parts[0].uppercased().hasPrefix("RTSP/") {
            guard let status = Int(parts[1]), (100...999).contains(status) else { throw .malformed("status \(parts[1].prefix(20))") }
            return .response(RTSPResponse(status, reason: parts.count > 2 ? String(parts[2]) : "", headers: headers, body: body))
        }
        guard parts.count == 3, parts[2].uppercased().hasPrefix("RTSP/") else { throw .malformed("first line \(line.prefix(60).debugDescription)") }
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
