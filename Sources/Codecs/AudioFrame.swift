// SPDX-License-Identifier: Apache-2.0
// A piece of uncompressed sound as a plain value. Made by decoders, the resampler and tone generators; taken by encoders.

/// Interleaved samples between -1 and 1.
public struct AudioFrame: Sendable, Equatable {
    /// Interleaved: left, right, left, right, … for two channels.
    public var samples: [Float]
    /// 1 or 2.
    public var channels: Int
    /// Samples per second and channel (Hz).
    public var sampleRate: Int
    /// Time of the first sample, in ticks of `sampleRate` (or whatever clock the decoder's caller used).
    public var timestamp: Int64

    public init(samples: [Float], channels: Int, sampleRate: Int, timestamp: Int64) {
        self.samples = samples
        self.channels = max(1, channels)
        self.sampleRate = sampleRate
        self.timestamp = timestamp
    }

    /// Samples per channel.
    public var sampleCount: Int { samples.count / channels }
}
