// SPDX-License-Identifier: Apache-2.0
// Aggregate messages (RTMP §7.1.6): several audio and video messages in one.

extension RTMPMessage {
    /// The messages within an aggregate, with their times moved to where the aggregate stands.
    func aggregated() throws(RTMPError) -> [RTMPMessage] {
        var messages: [RTMPMessage] = []
        var offset = 0
        var shift: UInt32?
        while payload.count - offset >= 11 {
            let length = Int(payload[offset + 1]) << 16 | Int(payload[offset + 2]) << 8 | Int(payload[offset + 3])
            let time = UInt32(payload[offset + 7]) << 24 | UInt32(payload[offset + 4]) << 16 | UInt32(payload[offset + 5]) << 8
                | UInt32(payload[offset + 6])
            guard payload.count - offset >= 11 + length else { throw .malformed("an aggregate message ends in the middle of a part") }
            let moved = shift ?? timestamp &- time
            shift = moved
            let type = payload[offset]
            if type == RTMPMessageType.audio || type == RTMPMessageType.video {
                messages.append(RTMPMessage(
                    type: type, streamID: streamID, timestamp: time &+ moved, payload: Array(payload[(offset + 11)..<(offset + 11 + length)])))
            }
            offset += 11 + length + 4  // the back pointer
        }
        return messages
    }
}
