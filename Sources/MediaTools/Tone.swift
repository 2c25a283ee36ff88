// SPDX-License-Identifier: Apache-2.0
// The sound that `martlet publish` sends: a soft sine with a short higher beep at each full second of the stream.
// Owned by a publish pipeline.
import Codecs
import Glibc

/// A 48 kHz tone generator whose phase goes on from frame to frame.
public struct Tone: Sendable {
    public static let sampleRate = 48_000
    /// Hz of the tone and of the beep.
    public static let frequency = 440.0
    public static let beepFrequency = 1_000.0
    /// Length of the beep at the start of each second.
    public static let beepMilliseconds = 50
    /// Peak of the tone, where 1 is full scale: -18 dBFS (-21 dBFS RMS); the beep is 12 dB louder.
    public static let amplitude = 0.125893
    public static let beepAmplitude = 0.501187

    public let channels: Int
    /// The next sample's number.
    public private(set) var position: Int64 = 0

    /// - Parameter channels: 1 or 2, both the same.
    public init(channels: Int = 2) { self.channels = min(2, max(1, channels)) }

    /// The next `count` samples per channel; the timestamp counts samples.
    public mutating func next(_ count: Int) -> AudioFrame {
        var samples = [Float](repeating: 0, count: count * channels)
        for index in 0..<count {
            let inSecond = Int((position + Int64(index)) % Int64(Self.sampleRate))
            let isBeep = inSecond < Self.sampleRate * Self.beepMilliseconds / 1000
            // Both frequencies are whole numbers, so that each second begins at phase zero.
            let phase = 2 * Double.pi * Double(inSecond) / Double(Self.sampleRate)
            let value = isBeep
                ? Self.beepAmplitude * sin(phase * Self.beepFrequency) : Self.amplitude * sin(phase * Self.frequency)
            for channel in 0..<channels { samples[index * channels + channel] = Float(value) }
        }
        defer { position += Int64(count) }
        return AudioFrame(samples: samples, channels: channels, sampleRate: Self.sampleRate, timestamp: position)
    }
}
