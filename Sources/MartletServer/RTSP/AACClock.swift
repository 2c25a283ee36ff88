// SPDX-License-Identifier: Apache-2.0
// Which clock the timestamps of a camera's AAC count by, where its description names another than that of the samples. Owned by RTSPInlet.
import Primitives
import RTP

/// RFC 3640 §4.1 lets a description name any clock, and advises that of the samples. Cameras name 90000 and count samples all the same, or
/// name it and mean it: how far two packets that follow each other are apart says which.
///
/// Takes packets, gives back the same with timestamps on the clock of the track. The first few are held back until it is known.
struct AACClock: Sendable {
    /// So many steps have to say the same.
    static let needed = 2
    /// More packets aren't held back: the timestamps stay as they are.
    static let maximumHeld = 16
    /// A step may be off by one part in so many.
    private static let precision: Int64 = 32

    private enum Choice {
        case unknown, asTheTrack, asDescribed
    }
    private let format: AACPayloadFormat
    private let clockRate: Int
    private let described: Int
    /// Ticks of a frame by either clock.
    private let ticksOfTrack: Int64, ticksDescribed: Int64
    private var choice = Choice.unknown
    private var agreeing = (track: 0, described: 0)
    private var last: (sequence: UInt16, timestamp: UInt32, frames: Int)?
    private var held: [[UInt8]] = []
    private var ticks: MediaTicks

    /// - Parameters:
    ///   - described: the clock of the description, Hz.
    ///   - clockRate: the clock of the track, Hz.
    ///   - sampleRate: of the configuration, Hz; a frame has 1024 samples at that.
    /// - Returns: `nil` when there is nothing to choose.
    init?(described: Int, clockRate: Int, sampleRate: Int, format: AACPayloadFormat) {
        guard described != clockRate, sampleRate > 0, described > 0, clockRate > 0 else { return nil }
        self.format = format
        (self.described, self.clockRate) = (described, clockRate)
        let frame = TimeSpan(ticks: 1024, clockRate: sampleRate)
        (ticksOfTrack, ticksDescribed) = (frame.ticks(clockRate: clockRate), frame.ticks(clockRate: described))
        ticks = MediaTicks(clockRate: described)
    }

    /// What goes on of a packet, of 12 bytes at least.
    mutating func take(_ packet: [UInt8]) -> [[UInt8]] {
        switch choice {
        case .asTheTrack: return [packet]
        case .asDescribed: return [stamped(packet)]
        case .unknown:
            held.append(packet)
            look(packet)
            guard choice != .unknown || held.count >= Self.maximumHeld else { return [] }
            if choice == .unknown { choice = .asTheTrack }
            defer { held = [] }
            return choice == .asTheTrack ? held : held.map { stamped($0) }
        }
    }

    /// A timestamp of a sender report on the clock of the track; `nil` while that isn't known.
    mutating func ofTrack(_ timestamp: UInt32) -> UInt32? {
        switch choice {
        case .unknown: nil
        case .asTheTrack: timestamp
        case .asDescribed: UInt32(truncatingIfNeeded: (ticks.time(ticks.count(timestamp)) - MediaTime.zero).ticks(clockRate: clockRate))
        }
    }

    private mutating func look(_ packet: [UInt8]) {
        packet.withUnsafeBytes { bytes in
            guard let view = RTPView(bytes), let frames = format.frameCount(in: view.payload), frames > 0 else { return }
            defer { last = (view.sequenceNumber, view.timestamp, frames) }
            guard let last, view.sequenceNumber == last.sequence &+ 1 else { return }
            let step = Int64(view.timestamp &- last.timestamp)
            // The pieces of a long frame have one timestamp.
            guard step > 0 else { return }
            if Self.fits(step, ticksOfTrack &* Int64(last.frames)) { agreeing.track += 1 }
            if Self.fits(step, ticksDescribed &* Int64(last.frames)) { agreeing.described += 1 }
            if agreeing.track >= Self.needed { choice = .asTheTrack } else if agreeing.described >= Self.needed { choice = .asDescribed }
        }
    }

    private static func fits(_ step: Int64, _ expected: Int64) -> Bool { abs(step - expected) <= expected / precision }

    private mutating func stamped(_ packet: [UInt8]) -> [UInt8] {
        let timestamp = packet[4..<8].reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
        guard let found = ofTrack(timestamp) else { return packet }
        var packet = packet
        for place in 0..<4 { packet[4 + place] = UInt8(truncatingIfNeeded: found >> UInt32(24 - 8 * place)) }
        return packet
    }
}
