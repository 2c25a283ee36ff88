// SPDX-License-Identifier: Apache-2.0
// How loud sound is. Fed by play pipelines and tests.
import Codecs
import Glibc

/// Root mean square over everything added, relative to full scale.
public struct AudioLevel: Sendable, Equatable {
    private var sum = 0.0
    private var count = 0

    public init() {}

    /// Adds all samples of all channels.
    public mutating func add(_ frame: AudioFrame) {
        var sum: Float = 0
        for sample in frame.samples { sum += sample * sample }
        self.sum += Double(sum)
        count += frame.samples.count
    }

    /// Adds what another one has seen.
    public mutating func add(_ other: AudioLevel) {
        sum += other.sum
        count += other.count
    }

    /// Samples seen, all channels.
    public var sampleCount: Int { count }

    /// 0 (silence) … 1; a full-scale sine has 0.707.
    public var rms: Double { count == 0 ? 0 : (sum / Double(count)).squareRoot() }

    /// In dBFS: 0 is a full-scale square wave, -3 a full-scale sine; -120 at the least.
    public var decibels: Double { rms > 0 ? max(-120, 20 * log10(rms)) : -120 }
}
