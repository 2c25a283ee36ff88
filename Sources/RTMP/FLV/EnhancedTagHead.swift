// The head that audio and video messages of Enhanced RTMP have in common: extensions, packet type, codec. Read by AudioTag and VideoTag.

struct EnhancedTagHead {
    /// Behind all extensions.
    let packetType: UInt8
    /// Four characters.
    let codec: ArraySlice<UInt8>
    /// Where what follows the codec begins.
    let offset: Int

    /// "mp4a"; what can't be printed is "?".
    var codecName: String { String(codec.map { $0 >= 32 && $0 < 127 ? Character(UnicodeScalar($0)) : "?" }) }

    /// - Parameters:
    ///   - kind: "audio" or "video", for error texts.
    ///   - multitrack: the packet type that is.
    init(_ payload: [UInt8], kind: String, multitrack: UInt8) throws(RTMPError) {
        var packetType = payload[0] & 0x0f, offset = 1
        // ModEx: extensions in front of the real packet type.
        while packetType == 7 {
            guard payload.count > offset else { throw .malformed("an enhanced \(kind) message ends in its head") }
            var size = Int(payload[offset]) + 1
            offset += 1
            if size == 256 {
                guard payload.count >= offset + 2 else { throw .malformed("an enhanced \(kind) message ends in its head") }
                size = (Int(payload[offset]) << 8 | Int(payload[offset + 1])) + 1
                offset += 2
            }
            offset += size
            guard payload.count > offset else { throw .malformed("an enhanced \(kind) message ends in its head") }
            packetType = payload[offset] & 0x0f
            offset += 1
        }
        guard packetType != multitrack else { throw .unsupported("multitrack \(kind); send one track") }
        guard payload.count >= offset + 4 else { throw .malformed("an enhanced \(kind) message of \(payload.count) bytes") }
        self.packetType = packetType
        codec = payload[offset..<offset + 4]
        self.offset = offset + 4
    }
}
