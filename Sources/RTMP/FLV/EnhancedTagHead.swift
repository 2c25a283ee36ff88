// SPDX-License-Identifier: Apache-2.0
// The head that audio and video messages of Enhanced RTMP have in common: extensions, packet type, codec, and the first of several tracks. Read by
// AudioTag and VideoTag.

struct EnhancedTagHead {
    /// Behind all extensions.
    let packetType: UInt8
    /// Four characters.
    let codec: ArraySlice<UInt8>
    /// 0 unless the message says otherwise.
    let trackID: UInt8
    /// The message holds tracks besides this one.
    let hasOtherTracks: Bool
    /// Where what follows the codec lies, of this track.
    let body: Range<Int>

    /// "mp4a"; what can't be printed is "?".
    var codecName: String { String(codec.map { $0 >= 32 && $0 < 127 ? Character(UnicodeScalar($0)) : "?" }) }

    /// One track of a message; its bounds in the payload.
    private struct Track {
        let codec: ArraySlice<UInt8>
        let id: UInt8
        let body: Range<Int>
    }

    /// - Parameters:
    ///   - kind: "audio" or "video", for error texts.
    ///   - multitrack: the packet type that is.
    init(_ payload: [UInt8], kind: String, multitrack: UInt8) throws(RTMPError) {
        var packetType = payload[0] & 0x0f, offset = 1
        func need(_ count: Int) throws(RTMPError) {
            guard payload.count - offset >= count else { throw .malformed("an enhanced \(kind) message of \(payload.count) bytes ends in its head") }
        }
        // ModEx: extensions in front of the real packet type.
        while packetType == 7 {
            try need(1)
            var size = Int(payload[offset]) + 1
            offset += 1
            if size == 256 {
                try need(2)
                size = (Int(payload[offset]) << 8 | Int(payload[offset + 1])) + 1
                offset += 2
            }
            try need(size + 1)
            offset += size
            packetType = payload[offset] & 0x0f
            offset += 1
        }
        guard packetType == multitrack else {
            try need(4)
            self.packetType = packetType
            codec = payload[offset..<offset + 4]
            trackID = 0
            hasOtherTracks = false
            body = offset + 4..<payload.count
            return
        }
        // Multitrack (v2): its kind and the real packet type, then one track, several of one codec, or several each with its codec.
        try need(1)
        let form = payload[offset] >> 4
        self.packetType = payload[offset] & 0x0f
        offset += 1
        guard form <= 2 else { throw .malformed("an enhanced \(kind) message with tracks in form \(form)") }
        var codec = payload[offset..<offset]
        func readCodec() throws(RTMPError) {
            try need(4)
            codec = payload[offset..<offset + 4]
            offset += 4
        }
        if form < 2 { try readCodec() }
        var chosen: Track?, count = 0
        repeat {
            if form == 2 { try readCodec() }
            try need(1)
            let id = payload[offset]
            offset += 1
            var end = payload.count
            if form > 0 {
                try need(3)
                let size = Int(payload[offset]) << 16 | Int(payload[offset + 1]) << 8 | Int(payload[offset + 2])
                offset += 3
                try need(size)
                end = offset + size
            }
            count += 1
            if chosen == nil || id == 0 && chosen?.id != 0 { chosen = Track(codec: codec, id: id, body: offset..<end) }
            offset = end
        } while offset < payload.count
        guard let chosen else { throw .malformed("an enhanced \(kind) message without a track") }
        self.codec = chosen.codec
        trackID = chosen.id
        body = chosen.body
        hasOtherTracks = count > 1
    }
}
