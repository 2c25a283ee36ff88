// SPDX-License-Identifier: Apache-2.0
// What a tap writes into its pipe, and how it lies in bytes. Written on the reactor by StreamTap, read in a worker process.
import Primitives

/// One thing that happened on a tapped track, all numbers big-endian:
///
/// ```
/// | length of what follows (32) | kind (8) | track (8) | arrival, ns (64) | … |
/// packet:  … | orientation (8, 0xff = not said) | audio level (8, 0xff = not said) | RTP packet |
/// report:  … | NTP time (64) | RTP timestamp (32) |
/// restart: … |
/// ```
/// RTP headers are plain ones of 12 bytes: one SSRC per track, no extension, no padding, numbers as the ring counts them.
public struct TapRecord: Equatable, Sendable {
    public enum Content: Equatable, Sendable {
        case packet(orientation: UInt8, audioLevel: UInt8, rtp: ArraySlice<UInt8>)
        /// The source's sender report: its wall clock (NTP 32.32) at an RTP timestamp.
        case report(ntp: UInt64, timestamp: UInt32)
        /// The source began anew: its timestamps go on, but say nothing about the time that lay between.
        case restart
    }

    /// Index among the stream's tracks.
    public var track: Int
    /// On the server's monotonic clock.
    public var arrival: Instant
    public var content: Content

    static let packetKind: UInt8 = 1, reportKind: UInt8 = 2, restartKind: UInt8 = 3
    /// Bytes in front of a packet's payload, its RTP header included.
    static let packetHead = 4 + 10 + 2 + 12
    static let reportLength = 4 + 10 + 12

    public init(track: Int, arrival: Instant, content: Content) {
        self.track = track
        self.arrival = arrival
        self.content = content
    }

    /// The record as bytes; for tests and tools, the tap writes its own without an array.
    public var encoded: [UInt8] {
        var body: [UInt8] = []
        func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
            withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
        }
        switch content {
        case .packet: body.append(Self.packetKind)
        case .report: body.append(Self.reportKind)
        case .restart: body.append(Self.restartKind)
        }
        body.append(UInt8(truncatingIfNeeded: track))
        append(arrival.nanoseconds, to: &body)
        switch content {
        case .packet(let orientation, let audioLevel, let rtp):
            body += [orientation, audioLevel]
            body += rtp
        case .report(let ntp, let timestamp):
            append(ntp, to: &body)
            append(timestamp, to: &body)
        case .restart: break
        }
        var bytes: [UInt8] = []
        append(UInt32(body.count), to: &bytes)
        return bytes + body
    }

    /// Takes the next record off `bytes`; `nil` at the end, or when what follows is no record.
    public static func next(in bytes: inout ArraySlice<UInt8>) -> TapRecord? {
        func number(_ slice: ArraySlice<UInt8>) -> UInt64 { slice.reduce(0) { $0 << 8 | UInt64($1) } }
        guard bytes.count >= 14 else { return nil }
        let length = Int(number(bytes.prefix(4)))
        guard length >= 10, length <= bytes.count - 4 else { return nil }
        let record = bytes[(bytes.startIndex + 4)..<(bytes.startIndex + 4 + length)]
        bytes = bytes[(bytes.startIndex + 4 + length)...]
        let track = Int(record[record.startIndex + 1])
        let arrival = Instant(nanoseconds: Int64(bitPattern: number(record[(record.startIndex + 2)..<(record.startIndex + 10)])))
        let body = record[(record.startIndex + 10)...]
        switch record[record.startIndex] {
        case packetKind where body.count >= 14:
            return TapRecord(
                track: track, arrival: arrival,
                content: .packet(orientation: body[body.startIndex], audioLevel: body[body.startIndex + 1], rtp: body.dropFirst(2)))
        case reportKind where body.count >= 12:
            return TapRecord(
                track: track, arrival: arrival,
                content: .report(ntp: number(body.prefix(8)), timestamp: UInt32(truncatingIfNeeded: number(body.dropFirst(8).prefix(4)))))
        case restartKind: return TapRecord(track: track, arrival: arrival, content: .restart)
        default: return nil
        }
    }
}
