// SPDX-License-Identifier: Apache-2.0
// How long Opus packets last, read from their first bytes. Used by file readers and recorders.

public enum OpusPacket {
    /// Samples at 48 kHz by the packet's TOC byte (RFC 6716 §3.1); 0 for a malformed packet.
    public static func samples(_ packet: [UInt8]) -> Int64 {
        guard let toc = packet.first else { return 0 }
        let configuration = Int(toc >> 3)
        let frame: Int64 = switch configuration {
        case 0..<12: [480, 960, 1920, 2880][configuration % 4]
        case 12..<16: [480, 960][configuration % 2]
        default: [120, 240, 480, 960][configuration % 4]
        }
        switch toc & 3 {
        case 0: return frame
        case 1, 2: return 2 * frame
        default: return packet.count > 1 ? min(5760, frame * Int64(packet[1] & 0x3f)) : 0
        }
    }
}
