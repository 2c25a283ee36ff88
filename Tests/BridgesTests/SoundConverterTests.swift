// SPDX-License-Identifier: Apache-2.0
import Codecs
import MediaTools
import Primitives
import RTP
import Testing

@testable import Bridges

/// Sound that has been converted: where its beeps lie, in seconds of the source's time.
private struct Heard {
    var beeps: [Double] = []
    private var lastLoud = -1.0
    private let decoder: AudioDecoder
    private let rate: Double

    init(_ codec: AudioCodec, header: [UInt8] = []) throws {
        decoder = try AudioDecoder(codec, extradata: header)
        rate = Double(codec.fixedSampleRate ?? 48_000)
    }

    mutating func add(_ output: SoundConverter.Output) throws {
        for frame in try decoder.decode(output.bytes, timestamp: 0) {
            for index in 0..<frame.sampleCount where abs(frame.samples[index * frame.channels]) > 0.25 {
                let time = (Double(output.ticks) + Double(index) * rate / Double(frame.sampleRate)) / rate
                if time - lastLoud > 0.5 { beeps.append(time) }
                lastLoud = time
            }
        }
    }
}

struct SoundConverterTests {
    /// Frames of AAC with a beep at each full second of their timestamps' time.
    private func aac(rate: Int, channels: Int, seconds: Int) throws -> (frames: [(timestamp: Int64, bytes: [UInt8])], header: [UInt8]) {
        let encoder = try AudioEncoder(.init(codec: .aac, sampleRate: rate, channels: channels))
        var tone = Tone(channels: channels), frames: [(Int64, [UInt8])] = []
        for _ in 0..<seconds * 50 {
            for packet in try encoder.encode(tone.next(960)) { frames.append((packet.timestamp - Int64(encoder.delay), packet.bytes)) }
        }
        return (frames, encoder.extradata)
    }

    private func order(_ source: CodecKind, _ rate: Int, _ channels: Int, _ target: CodecKind, header: [UInt8] = []) -> BridgeOrder {
        var order = BridgeOrder(source: source, clockRate: rate, channels: channels, target: target, bitrate: 64_000 * channels)
        order.header = header
        return order
    }

    private func frame(_ bytes: [UInt8], _ timestamp: Int64) -> EncodedFrame {
        EncodedFrame(bytes: bytes, timestamp: UInt32(truncatingIfNeeded: timestamp), isKeyFrame: true, isComplete: true)
    }

    @Test("timestamps of any kind cost no more silence than a fifth of a second each, and end nothing", arguments: [(CodecKind.pcmu, CodecKind.opus), (.opus, .pcmu)])
    func noise(source: CodecKind, target: CodecKind) throws {
        let converter = try SoundConverter(order(source, source == .opus ? 48_000 : 8_000, 1, target))
        var random = RandomSource.seeded(5), timestamp: UInt32 = 0, packets = 0
        let extremes: [UInt32] = [0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x4000_0000, 1, 8, 960]
        let bytes: [UInt8] = source == .opus ? [0xe4] : [UInt8](repeating: 0xff, count: 8), steps = 100_000
        for step in 0..<steps {
            timestamp &+= step % 3 == 0 ? UInt32.random(in: 0...UInt32.max, using: &random) : extremes.randomElement(using: &random) ?? 0
            if step % 1000 == 0 { converter.restart() }
            _ = converter.targetTicks(timestamp)
            packets += try converter.convert(EncodedFrame(bytes: bytes, timestamp: timestamp, isKeyFrame: true, isComplete: true)).count
        }
        #expect(packets <= steps * 11)
        #expect(converter.reference.magnitude <= 1 << 53)
    }

    @Test("AAC of any rate and width becomes Opus whose beeps lie where they were, within 3 ms", arguments: [(48_000, 2), (44_100, 2), (44_100, 1), (32_000, 1), (22_050, 2)])
    func place(_ rate: Int, _ channels: Int) throws {
        let source = try aac(rate: rate, channels: channels, seconds: 4)
        let converter = try SoundConverter(order(.aac, rate, channels, .opus, header: source.header))
        var heard = try Heard(.opus)
        let base = Int64(rate) * 1000
        for one in source.frames { for output in try converter.convert(frame(one.bytes, base + one.timestamp)) { try heard.add(output) } }
        // The counter begins at 2^32; the first beep is the stream's beginning, where a codec may need a moment.
        let zero = Double((Int64(1) << 32) + base) / Double(rate)
        try #require(heard.beeps.count >= 3, "\(heard.beeps.map { $0 - zero })")
        for beep in heard.beeps.dropFirst() {
            let time = beep - zero
            #expect(abs(time - time.rounded()) < 0.003, "\(time)")
        }
    }

    @Test("Opus becomes AAC, G.711 becomes Opus and Opus becomes G.711, each in its place", arguments: [
        (AudioCodec.opus, CodecKind.opus, CodecKind.aac), (.pcmu, .pcmu, .opus), (.pcma, .pcma, .opus), (.opus, .opus, .pcmu), (.g722, .g722, .opus),
    ])
    func others(_ codec: AudioCodec, _ source: CodecKind, _ target: CodecKind) throws {
        let encoder = try AudioEncoder(.init(codec: codec, channels: 2))
        let clock = Int64(source.clockRate)
        let converter = try SoundConverter(order(source, Int(clock), encoder.configuration.channels, target))
        let header = target == .aac ? AudioSpecificConfig(sampleRate: 48_000, channels: 2).bytes ?? [] : []
        var heard = try Heard(AudioCodec(target) ?? .opus, header: header)
        var tone = Tone(channels: 2)
        for _ in 0..<200 {
            for packet in try encoder.encode(tone.next(960)) {
                let samples = packet.timestamp - Int64(encoder.delay)
                let ticks = samples * clock / Int64(encoder.configuration.sampleRate) + clock * 100
                for output in try converter.convert(frame(packet.bytes, ticks)) { try heard.add(output) }
            }
        }
        let zero = Double((Int64(1) << 32) + clock * 100) / Double(clock)
        try #require(heard.beeps.count >= 3)
        for beep in heard.beeps.dropFirst() { #expect(abs((beep - zero) - (beep - zero).rounded()) < 0.004, "\(beep - zero)") }
    }

    @Test("over a clock that is wrong by three per mille, and a wrap of its timestamps, the result keeps to the timestamps", arguments: [1.003, 0.997])
    func drift(_ speed: Double) throws {
        let source = try aac(rate: 44_100, channels: 1, seconds: 3)
        let converter = try SoundConverter(order(.aac, 44_100, 1, .opus, header: source.header))
        let first = Double(UInt32.max) - 44_100 * 10
        var newest = 0.0, previous: Int64?, worst = 0.0
        for index in 0..<(43 * 35) {
            let ticks = first + Double(index) * 1024 * speed
            let outputs = try converter.convert(frame(source.frames[10 + index % 80].bytes, Int64(ticks)))
            newest = (Double(1 << 32) + ticks + 1024) / 44_100
            for output in outputs {
                if let previous { #expect(output.ticks - previous == 960) }
                previous = output.ticks
                #expect(!output.startsTalk || index < 5)
                // A packet is 20 ms; what waits for its end is less than that.
                if index > 100 { worst = max(worst, abs(newest - Double(output.ticks + 960 + 312) / 48_000 - 0.01)) }
            }
        }
        #expect(worst < 0.025)
    }

    @Test("a short gap becomes silence, a long one a pause in the timestamps")
    func gaps() throws {
        let source = try aac(rate: 48_000, channels: 2, seconds: 3)
        let converter = try SoundConverter(order(.aac, 48_000, 2, .opus, header: source.header))
        var ticks: [Int64] = [], talks: [Int64] = []
        for (index, one) in source.frames.enumerated() {
            // 85 ms are missing at first, later the source pauses for five seconds.
            if (40..<44).contains(index) { continue }
            let time = one.timestamp + 100_000 + (index > 90 ? 240_000 : 0)
            for output in try converter.convert(frame(one.bytes, time)) {
                ticks.append(output.ticks)
                if output.startsTalk { talks.append(output.ticks) }
            }
        }
        let steps = Set(zip(ticks.dropFirst(), ticks).map { $0 - $1 })
        #expect(talks.count == 2)
        #expect(steps.filter { $0 != 960 }.count == 1)
        #expect(steps.max() ?? 0 > 235_000 && steps.max() ?? 0 < 243_000)
    }

    @Test("what can't be decoded is left out and counted, and the sound goes on")
    func garbage() throws {
        let source = try aac(rate: 48_000, channels: 2, seconds: 2)
        let converter = try SoundConverter(order(.aac, 48_000, 2, .opus, header: source.header))
        var count = 0
        for (index, one) in source.frames.enumerated() {
            let bytes = index % 10 == 5 ? [UInt8](repeating: 0xff, count: 40) : one.bytes
            count += try converter.convert(frame(bytes, one.timestamp + 100_000)).count
        }
        #expect(converter.undecodable > 0)
        #expect(count > 85)
    }

    @Test("a job that follows another counts on where that was")
    func reference() throws {
        let source = try aac(rate: 44_100, channels: 1, seconds: 2)
        var first = order(.aac, 44_100, 1, .opus, header: source.header)
        let one = try SoundConverter(first)
        let base = Int64(UInt32.max) - 20_000
        var last: Int64 = 0
        for (index, item) in source.frames.enumerated() where index < 60 {
            for output in try one.convert(frame(item.bytes, base + item.timestamp)) { last = output.ticks }
        }
        first.reference = one.reference
        let other = try SoundConverter(first)
        var next: Int64 = 0
        for (index, item) in source.frames.enumerated() where index >= 60 && next == 0 {
            for output in try other.convert(frame(item.bytes, base + item.timestamp)) where next == 0 { next = output.ticks }
        }
        #expect(next - last > 0 && next - last < 4800)
    }
}
