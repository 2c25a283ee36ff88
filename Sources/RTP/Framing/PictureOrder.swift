// SPDX-License-Identifier: Apache-2.0
// Finds out by their times that pictures are shown in another order than they are decoded in. Used by FrameSource and UplinkTrack.
import Primitives

/// Looks at the pictures of one track in decoding order. A value.
///
/// Pictures that go back twice, with one in between that is later than all before, come in decoding order (B-frames). Going back once may be
/// a clock that was set back, and going back again and again a clock that creeps.
public struct PictureOrder: Sendable {
    /// No decoder keeps pictures for this long: a step of a clock.
    private static let longestReordering = TimeSpan.seconds(1)
    /// Packets of one picture may have timestamps a tick or two apart.
    private static let leastReordering = TimeSpan.milliseconds(1)

    /// The newest time lies this far beyond the last picture's.
    private var ahead = TimeSpan.zero
    /// Nothing has gone back since the newest.
    private var hasAdvanced = true
    private var returns = 0

    public init() {}

    public var isReordered: Bool { returns > 1 }

    /// The next picture's time less the one's before.
    public mutating func take(step: TimeSpan) {
        ahead = ahead - step
        if ahead < .zero {
            ahead = .zero
            hasAdvanced = true
        } else if ahead >= Self.longestReordering {
            ahead = .zero
            hasAdvanced = true
        } else if -step > Self.leastReordering, hasAdvanced {
            hasAdvanced = false
            if returns < 2 { returns += 1 }
        }
    }
}
