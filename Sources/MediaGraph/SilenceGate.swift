// SPDX-License-Identifier: Apache-2.0
// Decides whether a track's sound is worth forwarding: speech is, silence is not. Owned by UplinkTrack, asked once per fan-out.
import Primitives

/// Opens at the first packet that might be speech and stays open for a while after the last one. Packets without a level pass.
struct SilenceGate {
    enum Verdict: Equatable {
        case forward
        case withhold
        /// Forward again; nothing behind this source sequence number has been forwarded.
        case resume(after: Int64)
    }

    /// −dBov (RFC 6464). Well below speech, above the noise of a room: rather a cough too many than a word too few.
    static let threshold: UInt8 = 55
    /// Pauses of a speaker are forwarded up to this long.
    static let hold = TimeSpan.seconds(1)
    /// Of what was withheld before the first loud packet this much is sent after all: words begin softly.
    static let lead = TimeSpan.milliseconds(60)

    private(set) var isOn = false
    private(set) var isClosed = false
    private var lastLoud = Instant.zero
    private(set) var newestForwarded: Int64 = 0

    /// Begins to withhold silence; everything up to `newest` has been forwarded.
    mutating func turnOn(newest: Int64) {
        guard !isOn else { return }
        isOn = true
        newestForwarded = newest
    }

    /// Judges the packets of one fan-out by the loudest of them.
    ///
    /// - Parameters:
    ///   - level: −dBov of the loudest, `nil` when one has no level.
    ///   - newest: highest source sequence number among them.
    ///   - now: arrival of the newest.
    mutating func judge(_ level: UInt8?, newest: Int64, at now: Instant) -> Verdict {
        if lastLoud == .zero || level.map({ $0 <= Self.threshold }) ?? true { lastLoud = max(lastLoud, now) }
        guard now.span(since: lastLoud) <= Self.hold else {
            isClosed = true
            return .withhold
        }
        let last = newestForwarded
        newestForwarded = max(newestForwarded, newest)
        guard isClosed else { return .forward }
        isClosed = false
        return .resume(after: last)
    }

    /// Whether a packet may have been forwarded, so that it may be sent again.
    func hasForwarded(_ sequence: Int64) -> Bool { !isOn || sequence <= newestForwarded }
}
