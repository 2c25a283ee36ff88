// SPDX-License-Identifier: Apache-2.0
// Keeps a sum of voices below full scale without clipping: looks a few milliseconds ahead and turns down before a peak comes.

/// Interleaved stereo, 48 kHz. What comes out is `lookAhead` samples behind what goes in.
struct Limiter {
    /// 5 ms.
    static let lookAhead = 240
    /// Nothing is louder: 1 dB below full scale.
    static let ceiling: Float = 0.891
    /// Back to full loudness in about a third of a second.
    static let release: Float = 1 - 1 / 4_800

    private var waiting: [Float] = []
    /// For each waiting sample the gain that it may have at most.
    private var gains: [Float] = []
    private var gain: Float = 1

    init() {}

    /// Takes any number of samples and gives as many, less the look-ahead at the beginning.
    mutating func process(_ samples: [Float]) -> [Float] {
        waiting += samples
        for index in stride(from: 0, to: samples.count - 1, by: 2) {
            let peak = max(abs(samples[index]), abs(samples[index + 1]))
            gains.append(peak > Self.ceiling ? Self.ceiling / peak : 1)
        }
        return give(max(0, gains.count - Self.lookAhead))
    }

    /// The rest.
    mutating func finish() -> [Float] { give(gains.count) }

    private mutating func give(_ count: Int) -> [Float] {
        guard count > 0 else { return [] }
        var output: [Float] = []
        output.reserveCapacity(count * 2)
        // The least gain within the look-ahead, by a queue of falling candidates (their indices).
        var lows: [Int] = [], head = 0, next = 0
        for index in 0..<count {
            while next < min(gains.count, index + Self.lookAhead) {
                while lows.count > head, gains[lows[lows.count - 1]] >= gains[next] { lows.removeLast() }
                lows.append(next)
                next += 1
            }
            while lows[head] < index { head += 1 }
            let low = lows[head]
            if gains[low] < gain {
                // Straight down to it in the time that is left.
                gain += (gains[low] - gain) / Float(low - index + 1)
            } else {
                gain = min(gains[low], 1 - (1 - gain) * Self.release)
            }
            let applied = min(gain, gains[index])
            output.append(waiting[index * 2] * applied)
            output.append(waiting[index * 2 + 1] * applied)
        }
        waiting.removeFirst(count * 2)
        gains.removeFirst(count)
        return output
    }
}
