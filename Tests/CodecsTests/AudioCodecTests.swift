// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Codecs

/// A sine of half amplitude.
func makeSine(_ count: Int, channels: Int, rate: Int, from position: Int = 0, frequency: Double = 440) -> AudioFrame {
    var samples: [Float] = []
    for index in 0..<count {
        let value = Float(0.5 * sin(2 * .pi * frequency * Double(position + index) / Double(rate)))
        for _ in 0..<channels { samples.append(value) }
    }
    return AudioFrame(samples: samples, channels: channels, sampleRate: rate, timestamp: Int64(position))
}

func rms(_ samples: some Collection<Float>) -> Double {
    samples.isEmpty ? 0 : (samples.reduce(0.0) { $0 + Double($1 * $1) } / Double(samples.count)).squareRoot()
}

@Suite("Audio codecs")
struct AudioCodecTests {
    @Test("every codec keeps the loudness and the length of a tone", arguments: AudioCodec.allCases)
    func roundTrip(codec: AudioCodec) throws {
        let encoder = try AudioEncoder(.init(codec: codec))
        let decoder = try AudioDecoder(codec, extradata: codec == .aac ? encoder.extradata : [])
        var samples: [Float] = []
        var rate = 0, channels = 0, nextTimestamp: Int64 = 0
        for part in 0..<50 {
            for packet in try encoder.encode(makeSine(960, channels: 2, rate: 48_000, from: part * 960)) {
                #expect(packet.timestamp == nextTimestamp)
                nextTimestamp = packet.timestamp + Int64(encoder.packetSamples)
                for frame in try decoder.decode(packet.bytes, timestamp: packet.timestamp) {
                    samples += frame.samples
                    rate = frame.sampleRate
                    channels = frame.channels
                }
            }
        }
        #expect(rate == (codec.fixedSampleRate ?? 48_000))
        #expect(channels == codec.maximumChannels)
        let seconds = Double(samples.count) / Double(max(1, rate * channels))
        #expect(seconds > 0.9 && seconds <= 1.05)
        // The middle, where no codec is still settling: 0.5 / √2.
        let middle = samples[samples.count / 4..<samples.count * 3 / 4]
        #expect(abs(rms(middle) - 0.3535) < 0.03)
    }

    @Test("sound of any frame length becomes packets of 20 ms")
    func packetLength() throws {
        let encoder = try AudioEncoder(.init(codec: .opus))
        #expect(encoder.packetSamples == 960)
        var packets: [EncodedPacket] = []
        for part in 0..<100 { packets += try encoder.encode(makeSine(441, channels: 1, rate: 44_100, from: part * 441)) }
        #expect((48...50).contains(packets.count))
        for (before, after) in zip(packets, packets.dropFirst()) { #expect(after.timestamp - before.timestamp == 960) }
    }

    @Test("resampling keeps pitch, length and loudness")
    func resampling() throws {
        let resampler = try Resampler(sampleRate: 48_000, channels: 2)
        var samples: [Float] = []
        for part in 0..<50 {
            let frame = try resampler.convert(makeSine(160, channels: 1, rate: 8_000, from: part * 160))
            #expect(frame.timestamp == Int64(samples.count / 2))
            samples += frame.samples
        }
        #expect(abs(samples.count / 2 - 48_000) < 400)
        let left = stride(from: 0, to: samples.count, by: 2).map { samples[$0] }
        let crossings = zip(left, left.dropFirst()).count { $0.0 < 0 && $0.1 >= 0 }
        #expect((436...441).contains(crossings))
        #expect(abs(rms(left[4800..<43_000]) - 0.3535) < 0.01)
    }

    /// 440 Hz in one of four channels, by ffmpeg: the configuration has a program config element, since no number stands for this layout.
    private static let quad: [UInt8] = bytes("118004c4040021100d4c61766335392e33372e31303056e500")
    private static let frontLeft = [
        "de02004c61766335392e33372e31303000416044892aaf1f6e3db5a1f4fa7d1381111460800462008c118380",
        "20a6446d3288ba24e0a34fc79ff5cfdfcff6cfdfcffadfe3cac7ab1e0031eac79003c47c77052982b985fcba7b922c3b1fcb65ea3a001fc9cf5648843133e5132cb9eb38"
            + "131820011880230460e0",
    ]
    private static let rearLeft = [
        "de02004c61766335392e33372e31303000422008c11808acc9415073f3c79bd71abd4b92482fbfe89c08888b8d55232cd3171aaaab2cd345155522298a30400e",
        "211004608c0454c88da65917649c1469f8f3fd3bfdfcff1dfefe7fd6ff1e563d58f0018f563c801e23e3b8294b8b1d9ee141e174322c3b1fcb65ee1d8072d507becba442"
            + "1899f289965cf59c098c100380",
    ]

    private static func bytes(_ text: String) -> [UInt8] {
        let digits = Array(text.utf8)
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap { UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16) }
    }

    @Test("of AAC whose channels a program config element says the front is heard, in its place, and the rear isn't", arguments: [true, false])
    func programConfig(isFront: Bool) throws {
        let decoder = try AudioDecoder(.aac, sampleRate: 48_000, channels: 2, extradata: Self.quad)
        var left: Float = 0, right: Float = 0, count = 0
        for packet in isFront ? Self.frontLeft : Self.rearLeft {
            for frame in try decoder.decode(Self.bytes(packet), timestamp: 0) {
                #expect(frame.channels == 2 && frame.sampleRate == 48_000)
                count += frame.sampleCount
                for index in 0..<frame.sampleCount {
                    left = max(left, abs(frame.samples[2 * index]))
                    right = max(right, abs(frame.samples[2 * index + 1]))
                }
            }
        }
        #expect(count == 2048 && right < 0.01)
        #expect(isFront ? left > 0.1 : left < 0.01)
    }

    @Test("garbage for an audio decoder gives an error or sound, never a crash", arguments: AudioCodec.allCases)
    func garbage(codec: AudioCodec) throws {
        let decoder = try AudioDecoder(codec)
        var state: UInt64 = 3
        for length in 1..<200 {
            let bytes = (0..<length).map { _ -> UInt8 in
                state = state &* 6364136223846793005 &+ 1442695040888963407
                return UInt8(truncatingIfNeeded: state >> 33)
            }
            _ = try? decoder.decode(bytes, timestamp: Int64(length))
        }
    }
}
