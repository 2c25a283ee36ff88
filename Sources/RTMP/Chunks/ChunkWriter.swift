// SPDX-License-Identifier: Apache-2.0
// Cuts messages into chunks, with the shortest header that says enough. Owned by RTMPLink.

struct ChunkWriter {
    private struct Stream {
        var timestamp: UInt32
        /// The field of the last header of types 0–2.
        var field: UInt32
        var length: Int
        var type: UInt8
        var streamID: UInt32
    }

    private var streams: [Int: Stream] = [:]
    private(set) var chunkSize = 128

    /// Applies from the next message on; the announcement goes out before.
    mutating func setChunkSize(_ size: Int) { chunkSize = max(1, size) }

    /// The chunk streams in use: one per kind of message, so that headers repeat.
    private static func chunkStream(of message: RTMPMessage) -> Int {
        switch message.type {
        case 1...6: 2
        case RTMPMessageType.audio: 4
        case RTMPMessageType.video: 6
        case RTMPMessageType.dataAMF0: 5
        default: 3
        }
    }

    mutating func append(_ message: RTMPMessage, to output: inout [UInt8]) {
        let id = Self.chunkStream(of: message)
        let delta = streams[id].map { message.timestamp &- $0.timestamp }
        let format: UInt8
        var field = message.timestamp
        if let last = streams[id], let delta, last.streamID == message.streamID, delta < 0x8000_0000 {
            field = delta
            if last.length != message.payload.count || last.type != message.type { format = 1 } else { format = last.field == delta ? 3 : 2 }
        } else {
            format = 0
        }
        // A header of type 3 repeats the field; readers disagree on whether that may be the absolute time of a type 0.
        let isExtended = field >= 0xff_ffff
        output.append(format << 6 | UInt8(id))
        if format < 3 { append(isExtended ? 0xff_ffff : field, bytes: 3, to: &output) }
        if format < 2 {
            append(UInt32(truncatingIfNeeded: message.payload.count), bytes: 3, to: &output)
            output.append(message.type)
        }
        if format == 0 { withUnsafeBytes(of: message.streamID.littleEndian) { output += $0 } }
        if isExtended { append(field, bytes: 4, to: &output) }
        // After an absolute time no delta is known that others would agree on: never equal to one.
        streams[id] = Stream(
            timestamp: message.timestamp, field: format == 0 ? .max : field, length: message.payload.count, type: message.type,
            streamID: message.streamID)
        var offset = 0
        while true {
            let count = min(chunkSize, message.payload.count - offset)
            output += message.payload[offset..<offset + count]
            offset += count
            guard offset < message.payload.count else { return }
            output.append(3 << 6 | UInt8(id))
            if isExtended { append(field, bytes: 4, to: &output) }
        }
    }

    private func append(_ value: UInt32, bytes: Int, to output: inout [UInt8]) {
        for shift in stride(from: (bytes - 1) * 8, through: 0, by: -8) { output.append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
    }
}
