// SPDX-License-Identifier: Apache-2.0
// How long players are asked to let pictures wait, and how that follows from what the arrivals say.
import Primitives

/// The value of the playout-delay header extension (http://www.webrtc.org/experiments/rtp-hdrext/playout-delay).
public struct PlayoutDelay: Equatable, Sendable {
    /// In steps of 10 ms, up to 40.95 s.
    public let least: TimeSpan
    /// 10 s: no upper bound of ours.
    private static let most: UInt32 = 1000

    public init(least: TimeSpan) { self.least = max(.zero, min(least, .milliseconds(40_950))) / Self.step * Self.step }
    private static let step: Int64 = 10_000_000

    /// As it is written into a packet: least and most, 12 bits each, in 10 ms.
    public var encoded: UInt32 { UInt32(least.milliseconds / 10) << 12 | Self.most }

    /// Of pictures whose sound comes in large pieces and is converted, when nothing is known yet.
    public static let untilKnown = PlayoutDelay(least: .milliseconds(100))
    /// Whatever the arrivals say, pictures wait no longer.
    private static let longest = TimeSpan.milliseconds(500)
    /// Smaller changes are not told: each makes players play faster or slower for a while.
    private static let worthTelling = TimeSpan.milliseconds(20)
    /// What is added to sound that comes evenly, on its way from the source into the browser's buffer (pieces of 20 ms, the encoder's look-ahead) and
    /// by what the browser lets it wait at least.
    private static let ofSound = TimeSpan.milliseconds(92)
    /// The same for the latest of sound that comes in bursts: the browser begins with that, and fills its buffer from the rest of the burst.
    private static let ofLatest = TimeSpan.milliseconds(32)

    /// What pictures have to wait for sound, by the newest arrivals of both.
    ///
    /// Browsers let both wait until they play together, but take 10 to 20 s to find out by how much and leave 30 ms.
    public func following(sound: Lateness, pictures: Lateness) -> PlayoutDelay {
        guard let sound = sound.range, let pictures = pictures.range else { return self }
        // Clocks are the source's: they may say anything.
        let even = TimeSpan.milliseconds((sound.least - pictures.least).milliseconds)
        let latest = TimeSpan.milliseconds((sound.most - pictures.least).milliseconds)
        let wanted = PlayoutDelay(least: min(max(even + Self.ofSound, latest + Self.ofLatest), Self.longest))
        return (wanted.least - least).magnitude < Self.worthTelling ? self : wanted
    }
}
