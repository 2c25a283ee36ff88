// SPDX-License-Identifier: Apache-2.0
// A source leaves. Read from peers, sent when a stream to a player ends.

/// RTCP BYE (RFC 3550 §6.6).
public struct Goodbye: Equatable, Sendable {
    /// At most 31 are written.
    public var ssrcs: [UInt32]
    /// Cut to 255 bytes when written.
    public var reason: String?

    public init(ssrcs: [UInt32], reason: String? = nil) {
        self.ssrcs = ssrcs
        self.reason = reason
    }
}

extension Goodbye {
    init(_ reader: inout ByteReader, count: Int) throws(RTCPError) {
        ssrcs = []
        for _ in 0..<count { ssrcs.append(try reader.uint32()) }
        guard reader.remaining > 0 else { return }
        let length = Int(try reader.uint8())
        reason = String(decoding: try reader.bytes(length), as: UTF8.self)
    }

    func write(to writer: inout ByteWriter) {
        for ssrc in ssrcs.prefix(31) { writer.uint32(ssrc) }
        guard let reason else { return }
        let text = reason.utf8.prefix(255)
        writer.uint8(UInt8(text.count))
        writer.bytes(text)
        writer.pad()
    }
}
