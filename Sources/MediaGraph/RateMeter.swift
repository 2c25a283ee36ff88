// SPDX-License-Identifier: Apache-2.0
// Rates from counters: what a track carried over the last full second. Read and updated by a timer, never per packet.
import Primitives

/// Bit rate and frame rate over windows of about a second.
struct RateMeter {
    private(set) var bitrate = 0
    private(set) var framesPerSecond = 0
    private var since: Instant?
    private var bytes: UInt64 = 0
    private var frames: UInt64 = 0

    /// Does nothing until a second has passed since the last window.
    mutating func update(bytes newBytes: UInt64, frames newFrames: UInt64, at now: Instant) {
        guard let begun = since else {
            since = now
            bytes = newBytes
            frames = newFrames
            return
        }
        let elapsed = now.span(since: begun)
        guard elapsed >= .milliseconds(900) else { return }
        bitrate = Int(Double(newBytes &- bytes) * 8e9 / Double(elapsed.nanoseconds))
        framesPerSecond = Int((Double(newFrames &- frames) * 1e9 / Double(elapsed.nanoseconds)).rounded())
        since = now
        bytes = newBytes
        frames = newFrames
    }
}
