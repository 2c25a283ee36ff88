// SPDX-License-Identifier: Apache-2.0
// Lays pieces of audio end to end so that each stands where it belongs: gaps become silence, drift is stretched away.
// Used by recorders and transcoders; sans-IO. It knows no clock: times are counted from its own beginning.
import Primitives

/// Uncompressed audio from a beginning on, without a hole.
public struct SoundTimeline: Sendable {
    /// Samples that a piece may be made longer or shorter by, of a thousand: half a percent nobody hears.
    static let stretchPerMille = 5
    /// Beyond this much a piece is not stretched to its place but put there, samples: 100 ms.
    static let jump: Int64 = 4_800
    /// More silence than this is never asked for in one go: the time is wrong then. 10 minutes.
    static let maximumSilence: Int64 = 600 * 48_000

    public let channels: Int
    /// Samples laid so far.
    public private(set) var position: Int64 = 0

    public init(channels: Int) { self.channels = channels }

    /// Lays a piece. Returns what is to be appended: silence where something is missing, then the piece. The caller bounds `time`: as much
    /// silence comes back as lies before it, up to ten minutes.
    ///
    /// - Parameters:
    ///   - missing: samples that are known to be missing before it, by its timestamp.
    ///   - time: when its first sample was made, from the beginning on; may be negative.
    public mutating func lay(_ piece: [Float], at time: TimeSpan, missing: Int64) -> [Float] {
        var output: [Float] = []
        let target = SampleTime.samples(in: time)
        // Samples of a time lie within ±4.5 * 10^14, and so does `position`, which follows them: differences fit.
        var distance = target - position
        if position == 0 || missing > 0 || distance > Self.jump {
            // Of what is missing some may have been filled already. What the clocks differ by beyond it is stretched, unless it is much.
            var silence = position == 0 ? distance : min(missing, distance)
            if distance.subtractingSaturating(silence) > Self.jump { silence = distance }
            silence = min(max(0, silence), Self.maximumSilence)
            output = [Float](repeating: 0, count: Int(silence) * channels)
            position += silence
            distance = target - position
        }
        var piece = piece
        let count = piece.count / channels
        if distance < -Self.jump || (position == 0 && distance < 0) {
            // It belongs where something lies already.
            let surplus = min(Int64(count), -distance)
            piece.removeFirst(Int(surplus) * channels)
        } else if distance != 0 {
            let most = max(1, count * Self.stretchPerMille / 1000)
            let change = Int(max(Int64(-most), min(Int64(most), distance)))
            // One sample of wobble is rounding.
            if abs(distance) > 24 { piece = Self.stretch(piece, to: count + change, channels: channels) }
        }
        position += Int64(piece.count / channels)
        return output + piece
    }

    /// Silence up to a time; nothing when it lies before the end.
    public mutating func fill(to time: TimeSpan) -> [Float] {
        let count = min(max(0, SampleTime.samples(in: time) - position), Self.maximumSilence)
        position += count
        return [Float](repeating: 0, count: Int(count) * channels)
    }

    /// Linear interpolation: for a change of half a percent as good as anything.
    private static func stretch(_ piece: [Float], to count: Int, channels: Int) -> [Float] {
        let old = piece.count / channels
        guard old > 1, count > 1, old != count else { return piece }
        var output: [Float] = []
        output.reserveCapacity(count * channels)
        let step = Float(old - 1) / Float(count - 1)
        for index in 0..<count {
            let exact = Float(index) * step
            let left = min(old - 2, Int(exact))
            let weight = exact - Float(left)
            for channel in 0..<channels {
                let a = piece[left * channels + channel], b = piece[(left + 1) * channels + channel]
                output.append(a + (b - a) * weight)
            }
        }
        return output
    }
}

/// Times of audio inside the server, which is always at 48 kHz.
public enum SampleTime {
    public static let rate: Int64 = 48_000

    /// Whole samples in a span: ±4.5 * 10^14 at most.
    public static func samples(in span: TimeSpan) -> Int64 { span.ticks(clockRate: Int(rate)) }
    public static func span(of samples: Int64) -> TimeSpan { TimeSpan(ticks: samples, clockRate: Int(rate)) }
    public static func microseconds(_ samples: Int64) -> Int64 { span(of: samples).nanoseconds / 1000 }
}

extension Int64 {
    /// This count of ticks of one clock, counted in those of another; stops at the type's bounds.
    /// - Parameter from, to: Hz, above zero.
    func rescaledSaturating(from: Int64, to: Int64) -> Int64 {
        let (seconds, rest) = quotientAndRemainder(dividingBy: from)
        // |rest| < from, and both rates are codecs' own, below 2^31: the product fits.
        return seconds.multipliedSaturating(by: to).addingSaturating(rest * to / from)
    }
}
