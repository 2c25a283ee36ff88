// SPDX-License-Identifier: Apache-2.0
// The newest group of pictures of a track, copied out of its ring in one go: what a snapshot is made of.
// Called on the stream's home reactor; what comes out belongs to whoever asked.
import Primitives
import RTP

/// What a video track holds at this moment, without its bytes. Times are on the reactor's clock.
public struct RecentVideoSummary: Sendable, Equatable {
    public var codec: CodecKind
    /// SDP encoding name and the newest H.264 parameter sets (base64, comma-separated), if there are any.
    public var codecName: String
    public var parameterSets: String?
    public var clockRate: UInt32
    /// Pixels as last read from the bitstream; 0 = not known.
    public var width = 0, height = 0
    /// Unwrapped sequence numbers of the newest key frame's first packet (0 = none in the ring) and of the newest packet (0 = none).
    public var keyFrameStart: Int64 = 0
    public var newest: Int64 = 0
    public var keyFrameArrival = Instant.zero
    public var newestArrival = Instant.zero
    /// RTP timestamp of the newest packet, in the track's own counting.
    public var newestTimestamp: UInt32 = 0
    /// Reactor's clock at the time of the look.
    public var now: Instant

    public init(codec: CodecKind, codecName: String, parameterSets: String?, clockRate: UInt32, now: Instant) {
        self.codec = codec
        self.codecName = codecName
        self.parameterSets = parameterSets
        self.clockRate = clockRate
        self.now = now
    }
}

/// The packets from the newest key frame to the newest packet.
public struct RecentVideo: Sendable {
    public var summary: RecentVideoSummary
    /// One record after the other, each:
    ///
    /// ```
    /// | sequence − keyFrameStart (32 bits) | orientation (8, 0xff = not said) | length (16) | RTP packet of that length |
    /// ```
    /// The RTP headers are plain ones of 12 bytes: one SSRC, no extension, no padding, numbers as the ring counts them.
    public var packets: [UInt8]
    public var packetCount: Int

    public static let recordHeaderLength = 7
    public static let ssrc: UInt32 = 1

    public init(summary: RecentVideoSummary, packets: [UInt8], packetCount: Int) {
        self.summary = summary
        self.packets = packets
        self.packetCount = packetCount
    }
}

extension UplinkTrack {
    /// What is there, by a few loads.
    public func summarizeVideo(at now: Instant) -> RecentVideoSummary {
        var summary = RecentVideoSummary(
            codec: codec, codecName: format.codec.name, parameterSets: format.described.parameters["sprop-parameter-sets"],
            clockRate: clockRate, now: now)
        summary.width = width
        summary.height = height
        if let edge = ring.slot(ring.newest) {
            summary.newest = ring.newest
            summary.newestArrival = edge.pointee.arrival
            summary.newestTimestamp = edge.pointee.timestamp
        }
        if let first = ring.joinPoint {
            summary.keyFrameStart = first.pointee.sequence
            summary.keyFrameArrival = first.pointee.arrival
        }
        return summary
    }

    /// The newest group of pictures; `nil` when no key frame is in the ring. Bounded by the ring: 8 MB, 8192 packets.
    public func copyRecentVideo(at now: Instant) -> RecentVideo? {
        let summary = summarizeVideo(at: now)
        guard summary.keyFrameStart > 0, summary.newest >= summary.keyFrameStart else { return nil }
        let header = RecentVideo.recordHeaderLength + 12
        var total = 0, count = 0
        for sequence in summary.keyFrameStart...summary.newest {
            guard let slot = ring.slot(sequence) else { continue }
            total += header + Int(slot.pointee.payloadLength)
            count += 1
        }
        let packets = [UInt8](unsafeUninitializedCapacity: total) { buffer, initialized in
            guard var target = UnsafeMutableRawBufferPointer(buffer).baseAddress else { return }
            for sequence in summary.keyFrameStart...summary.newest {
                guard let slot = ring.slot(sequence) else { continue }
                let payload = ring.payload(of: slot)
                func store(_ value: some FixedWidthInteger, at offset: Int) {
                    target.storeBytes(of: value.bigEndian, toByteOffset: offset, as: type(of: value).self)
                }
                store(UInt32(truncatingIfNeeded: sequence - summary.keyFrameStart), at: 0)
                store(slot.pointee.orientation, at: 4)
                store(UInt16(12 + payload.count), at: 5)
                store(UInt8(0x80), at: 7)
                store(UInt8(slot.pointee.marker ? 0x80 : 0), at: 8)
                store(UInt16(truncatingIfNeeded: sequence), at: 9)
                store(slot.pointee.timestamp, at: 11)
                store(RecentVideo.ssrc, at: 15)
                if let source = payload.baseAddress { (target + header).copyMemory(from: source, byteCount: payload.count) }
                target += header + payload.count
            }
            initialized = total
        }
        return RecentVideo(summary: summary, packets: packets, packetCount: count)
    }
}
