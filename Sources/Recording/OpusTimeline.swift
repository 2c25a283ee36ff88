// Lays Opus packets end to end without opening them: gaps are filled with silent packets, drift costs one now and then.
// Owned by SoundLane; sans-IO.
import Codecs
import RTP

/// Opus packets from a beginning on, without a hole. Times in samples at 48 kHz.
struct OpusTimeline {
    /// 20 ms of silence: CELT, full band; mono and stereo.
    static let silence: [[UInt8]] = [[0xf8, 0xff, 0xfe], [0xfc, 0xff, 0xfe]]
    static let silenceSamples: Int64 = 960
    static let maximumSilence: Int64 = 600 * 48_000

    struct Piece: Equatable {
        var bytes: [UInt8]
        /// Samples since the beginning.
        var position: Int64
        var samples: Int64
    }

    let origin: Int64
    private(set) var position: Int64 = 0
    private var isStereo = true

    init(origin: Int64) { self.origin = origin }

    /// The sample that belongs to a time.
    func sample(at time: Int64) -> Int64 { SampleTime.samples(in: time - origin) }

    /// Lays a packet that was made at `time`. Empty when it would be heard twice, or is malformed.
    mutating func lay(_ packet: [UInt8], at time: Int64) -> [Piece] {
        let samples = OpusPacket.samples(packet)
        guard samples > 0 else { return [] }
        let target = sample(at: time)
        var pieces = fill(upTo: target)
        // Half a packet off either way is where the clocks have drifted; more is too much.
        if target - position < -max(samples, Self.silenceSamples) { return pieces }
        isStereo = packet[0] & 4 != 0
        pieces.append(Piece(bytes: packet, position: position, samples: samples))
        position += samples
        return pieces
    }

    /// Silent packets for whatever is missing up to a time, as whole packets.
    mutating func fill(to time: Int64) -> [Piece] { fill(upTo: sample(at: time)) }

    private mutating func fill(upTo target: Int64) -> [Piece] {
        guard target - position >= Self.silenceSamples else { return [] }
        let count = min(target - position, Self.maximumSilence) / Self.silenceSamples
        return (0..<count).map { _ in
            defer { position += Self.silenceSamples }
            return Piece(bytes: Self.silence[isStereo ? 1 : 0], position: position, samples: Self.silenceSamples)
        }
    }
}
