// SPDX-License-Identifier: Apache-2.0
// How loud a track is, from the levels that its publisher writes into the packets (RFC 6464): nothing is decoded. Owned by
// UplinkTrack, which shows it every packet; read a few times a second.
import Primitives

/// Smooths levels: quick to rise, so that a speaker is noticed at once, slow to fall, so that pauses between words don't count.
public struct AudioLevelMeter: Sendable {
    /// RFC 6464 §3: 0 is the loudest possible, 127 silence, in −dBov.
    public static let silence: UInt8 = 127
    /// Without a packet for this long (discontinuous transmission, a frozen client) a track is silent.
    static let freshness = TimeSpan.milliseconds(500)

    /// 127 − level, in steps of 1/256.
    private var loudness: Int32 = 0
    /// Of the last packet with a level; zero = none ever had one.
    private var heardAt = Instant.zero

    /// Takes the level of one packet; the highest bit, voice activity, is not used: clients disagree on its meaning.
    @inline(__always)
    mutating func note(_ level: UInt8, at now: Instant) {
        let distance = Int32(Self.silence - level & 0x7f) << 8 - loudness
        // Packets of 20 ms: 70 ms to rise, 300 ms to fall.
        loudness += distance > 0 ? distance >> 2 : distance >> 4
        heardAt = now
    }

    /// −dBov at `now`; `nil` when the publisher sends no levels.
    func level(at now: Instant) -> UInt8? {
        guard heardAt != .zero else { return nil }
        return now.span(since: heardAt) > Self.freshness ? Self.silence : Self.silence - UInt8(clamping: loudness >> 8)
    }
}
