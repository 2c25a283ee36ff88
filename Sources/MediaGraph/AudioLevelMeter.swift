// How loud a track is, from the levels that its publisher writes into the packets (RFC 6464): nothing is decoded. Owned by
// UplinkTrack, which shows it every packet; read a few times a second.

/// Smooths levels: quick to rise, so that a speaker is noticed at once, slow to fall, so that pauses between words don't count.
public struct AudioLevelMeter: Sendable {
    /// RFC 6464 §3: 0 is the loudest possible, 127 silence, in −dBov.
    public static let silence: UInt8 = 127
    /// Without a packet for this long (discontinuous transmission, a frozen client) a track is silent, ns.
    static let freshness: Int64 = 500_000_000

    /// 127 − level, in steps of 1/256.
    private var loudness: Int32 = 0
    /// ns of the last packet with a level; 0 = none ever had one.
    private var heardAt: Int64 = 0

    /// Takes the level of one packet; the highest bit, voice activity, is not used: clients disagree on its meaning.
    @inline(__always)
    mutating func note(_ level: UInt8, at now: Int64) {
        let distance = Int32(Self.silence - level & 0x7f) << 8 - loudness
        // Packets of 20 ms: 70 ms to rise, 300 ms to fall.
        loudness += distance > 0 ? distance >> 2 : distance >> 4
        heardAt = now
    }

    /// −dBov at `now`; `nil` when the publisher sends no levels.
    func level(at now: Int64) -> UInt8? {
        guard heardAt != 0 else { return nil }
        return now - heardAt > Self.freshness ? Self.silence : Self.silence - UInt8(clamping: loudness >> 8)
    }
}
