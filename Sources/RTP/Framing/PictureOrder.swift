// SPDX-License-Identifier: Apache-2.0
// Finds out by their times that pictures are shown in another order than they are decoded in. Used by FrameSource, UplinkTrack and DecodingTimes.
import Primitives

/// Looks at the pictures of one track in decoding order. A value.
///
/// Pictures that go back twice, with one in between that is later than all before and no more than `longestGroup` pictures, come in decoding
/// order (B-frames). Going back now and then is a clock that is set back, and going back again and again a clock that creeps.
public struct PictureOrder: Sendable {
    /// No decoder keeps pictures for this long: a step of a clock.
    public static let longestReordering = TimeSpan.seconds(1)
    /// Packets of one picture may have timestamps a tick or two apart.
    private static let leastReordering = TimeSpan.milliseconds(1)
    /// B-frames come at least once in so many pictures where there are any.
    private static let longestGroup = 32

    /// The newest time lies this far beyond the last picture's.
    private var ahead = TimeSpan.zero
    /// Nothing has gone back since the newest.
    private var hasAdvanced = true
    private var returns = 0
    private var sinceReturn = 0

    public init() {}

    /// Stays so for the next group only: to be asked after each picture.
    public var isReordered: Bool { returns > 1 }

    /// The next picture's time less the one's before.
    public mutating func take(step: TimeSpan) {
        ahead = ahead - step
        if sinceReturn <= Self.longestGroup { sinceReturn += 1 }
        if ahead < .zero || ahead >= Self.longestReordering {
            ahead = .zero
            hasAdvanced = true
        } else if -step > Self.leastReordering, hasAdvanced {
            hasAdvanced = false
            returns = sinceReturn <= Self.longestGroup ? min(returns + 1, 2) : 1
            sinceReturn = 0
        }
    }
}
