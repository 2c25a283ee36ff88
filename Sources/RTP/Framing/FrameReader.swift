// SPDX-License-Identifier: Apache-2.0
// Takes the packets out of the bytes of a TCP connection. Sans-IO; owned by the connection that the bytes come from.

/// Packets behind their length in 16 bits (RFC 4571 §2), put together again from whatever pieces TCP delivers.
///
///     | length (16) | STUN, DTLS, RTP or RTCP packet of that length |
///
/// Keeps at most one incomplete packet.
public struct FrameReader: Sendable {
    /// A length that no peer of ours sends: the other side speaks another protocol, or means harm. Nothing behind it can be read.
    public struct TooLong: Error, Equatable, Sendable {
        public let length: Int
    }

    /// The longest packet that is taken, bytes.
    public let maximumLength: Int
    /// The beginning of a packet that has not arrived as a whole, its length included.
    private var partial: [UInt8] = []

    public init(maximumLength: Int = 4096) { self.maximumLength = maximumLength }

    /// Bytes that wait for the rest of their packet.
    public var pendingBytes: Int { partial.count }

    /// Takes what has been received and hands on each packet that is complete, in order. Empty ones are left out.
    /// - Parameters:
    ///   - bytes: may be changed in place by `packet`.
    ///   - packet: gets a whole packet, valid during the call; false ends the reading: the connection is to be closed.
    public mutating func receive(
        _ bytes: UnsafeMutableRawBufferPointer, _ packet: (UnsafeMutableRawBufferPointer) -> Bool
    ) throws(TooLong) {
        var rest = bytes[...]
        if !partial.isEmpty {
            guard try complete(from: &rest) else { return }
            // Taken out, so that the packet's receiver may do what it likes.
            var whole = partial
            partial = []
            let goesOn = whole.count == 2 || whole.withUnsafeMutableBytes { packet(UnsafeMutableRawBufferPointer(rebasing: $0[2...])) }
            guard goesOn else { return }
        }
        while rest.count >= 2 {
            let length = Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1])
            guard length <= maximumLength else { throw TooLong(length: length) }
            guard rest.count >= 2 + length else { break }
            let body = rest.dropFirst(2).prefix(length)
            rest = rest.dropFirst(2 + length)
            if length > 0, !packet(UnsafeMutableRawBufferPointer(rebasing: body)) { return }
        }
        if !rest.isEmpty { partial = Array(rest) }
    }

    /// Moves bytes into `partial` until it holds a whole packet; false when there are too few.
    private mutating func complete(from rest: inout UnsafeMutableRawBufferPointer.SubSequence) throws(TooLong) -> Bool {
        if partial.count == 1 {
            guard let second = rest.popFirst() else { return false }
            partial.append(second)
        }
        let length = Int(partial[0]) << 8 | Int(partial[1])
        guard length <= maximumLength else { throw TooLong(length: length) }
        let missing = rest.prefix(2 + length - partial.count)
        partial.append(contentsOf: missing)
        rest = rest.dropFirst(missing.count)
        return partial.count == 2 + length
    }
}
