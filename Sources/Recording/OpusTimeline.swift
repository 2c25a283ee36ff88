// SPDX-License-Identifier: Apache-2.0
// Lays Opus packets end to end without opening them: gaps are filled with silent packets of their length, drift costs one now and then.
// Owned by SoundLane; sans-IO.
import Codecs
import Primitives
import RTP

/// Opus packets from a beginning on, without a hole. Positions in samples at 48 kHz; times are counted from that beginning.
struct OpusTimeline {
    /// Silence of 20, 10, 5 and 2.5 ms: CELT, full band (RFC 6716 §3.1); mono, stereo has bit 2 of the first byte set.
    static let silences: [(samples: Int64, bytes: [UInt8])] = [
        (960, [0xf8, 0xff, 0xfe]), (480, [0xf0, 0xff, 0xfe]), (240, [0xe8, 0xff, 0xfe]), (120, [0xe0, 0xff, 0xfe]),
    ]
    /// As far as this a packet that follows on may be off its place before something is put in or left out, samples: 20 ms.
    static let tolerance: Int64 = 960
    static let maximumSilence: Int64 = 600 * 48_000

    struct Piece: Equatable {
        var bytes: [UInt8]
        /// Samples since the beginning.
        var position: Int64
        var samples: Int64
    }

    private(set) var position: Int64 = 0
    private var isStereo = true

    /// Lays a packet that was made at `time`. Empty when it would be heard twice, or is malformed. The caller bounds `time`: as much silence
    /// is put in as lies before it, up to ten minutes.
    ///
    /// - Parameter followsOn: by its timestamp nothing is missing before it. What does not, and the first one, is put where it belongs.
    mutating func lay(_ packet: [UInt8], at time: TimeSpan, followsOn: Bool) -> [Piece] {
        let samples = OpusPacket.samples(packet)
        guard samples > 0 else { return [] }
        // Samples of a time lie within ±4.5 * 10^14, and so does `position`, which follows them: differences fit.
        let distance = SampleTime.samples(in: time) - position
        var pieces: [Piece] = []
        if followsOn {
            // Where the clocks have drifted apart by a packet one is left out, or a silent one put in.
            if distance < -max(samples, Self.tolerance) { return [] }
            pieces = fill(wholePackets(distance))
        } else {
            if distance < -samples / 2 { return [] }
            pieces = fill(distance)
        }
        isStereo = packet[0] & 4 != 0
        pieces.append(Piece(bytes: packet, position: position, samples: samples))
        position += samples
        return pieces
    }

    /// Silent packets for whatever is missing up to a time, as long ones.
    mutating func fill(to time: TimeSpan) -> [Piece] { fill(wholePackets(SampleTime.samples(in: time) - position)) }

    private func wholePackets(_ samples: Int64) -> Int64 { samples / Self.tolerance * Self.tolerance }

    /// Silence of that length, down to 2.5 ms.
    private mutating func fill(_ length: Int64) -> [Piece] {
        var rest = min(length, Self.maximumSilence), pieces: [Piece] = []
        for (samples, bytes) in Self.silences {
            while rest >= samples {
                let packet = isStereo ? [bytes[0] | 4] + bytes.dropFirst() : bytes
                pieces.append(Piece(bytes: packet, position: position, samples: samples))
                position += samples
                rest -= samples
            }
        }
        return pieces
    }
}
