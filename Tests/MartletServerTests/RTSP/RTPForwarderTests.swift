// SPDX-License-Identifier: Apache-2.0
import MediaIO
import Primitives
import RTP
import SDP
import Testing

@testable import MartletServer

/// A source of sound (Opus) and pictures (VP8) whose reports are off, as a tap tells it.
private struct TappedSource {
    static let start: Int64 = 50_000_000_000
    /// ns between arrival and the publisher's wall clock, which is also the time media was made.
    static let wall: Int64 = 3_900_000_000 * 1_000_000_000
    private var sequence: [UInt16] = [0, 0]

    static func ticks(_ media: Int64, track: Int) -> UInt32 { UInt32(truncatingIfNeeded: media / 1000 * (track == 0 ? 48 : 90) / 1000 + 77) }

    mutating func packet(_ track: Int, media: Int64) -> [UInt8] {
        sequence[track] &+= 1
        let timestamp = Self.ticks(media, track: track)
        var rtp: [UInt8] = [0x80, track == 1 ? 0x80 : 0, UInt8(sequence[track] >> 8), UInt8(sequence[track] & 0xff)]
        for shift in [24, 16, 8, 0] { rtp.append(UInt8(truncatingIfNeeded: timestamp >> UInt32(shift))) }
        rtp += [0, 0, 0, UInt8(track + 1)]
        // VP8: a descriptor, then a key frame's first bytes.
        rtp += track == 0 ? [0xfc, 1, 2] : [0x10, 0x10, 2, 0, 0x9d, 0x01, 0x2a, 64, 0, 48, 0]
        return TapRecord(track: track, arrival: Instant(nanoseconds: Self.start + media), content: .packet(orientation: 0xff, audioLevel: 0xff, rtp: rtp[...])).encoded
    }

    /// Every 20 ms, by their numbers from the first on.
    func packets(_ track: Int, _ range: Range<Int64>) -> [UInt8] {
        var source = self
        return range.flatMap { source.packet(track, media: $0 * 20_000_000) }
    }

    func report(_ track: Int, media: Int64, error: Int64) -> [UInt8] {
        let (seconds, rest) = (Self.wall + media + error).quotientAndRemainder(dividingBy: 1_000_000_000)
        return TapRecord(
            track: track, arrival: Instant(nanoseconds: Self.start + media),
            content: .report(ntp: UInt64(seconds) << 32 | (UInt64(rest) << 32) / 1_000_000_000, timestamp: Self.ticks(media, track: track))).encoded
    }
}

struct RTPForwarderTests {
    @Test("a publisher whose reports are up to 50 ms off gives clients reports on one line, from before the first packet on")
    func reports() throws {
        var random = RandomSource.seeded(3)
        let opus = try #require(SourceTrack.opus(channels: 2).format), vp8 = try #require(SourceTrack.vp8.format)
        var forwarder = RTPForwarder(formats: [opus, vp8], payloadTypes: [96, 97], wanted: [0, 1], wallOffset: .zero, random: &random)
        var source = TappedSource(), packets: [(RTPForwarder.Packet, media: Int64)] = []
        for step in 0..<3000 {
            let media = Int64(step) * 20_000_000
            var bytes: [UInt8] = []
            for track in 0..<2 where step % 100 == 10 * (track + 1) {
                bytes += source.report(track, media: media, error: Int64.random(in: -50_000_000...50_000_000, using: &random))
            }
            bytes += source.packet(0, media: media)
            if step % 2 == 0 { bytes += source.packet(1, media: media) }
            packets += forwarder.take(bytes).map { ($0, media) }
        }
        for track in 0..<2 {
            let own = packets.filter { $0.0.track == track }
            #expect(own.first?.0.isReport == true)
            #expect(own.count { !$0.0.isReport } == (track == 0 ? 3000 : 1500))
        }
        // What a report says about the time between media and clock; without error it would always be the same.
        var offsets: [[Int64]] = [[], []]
        for (packet, media) in packets where packet.isReport {
            let parsed = try packet.bytes.withUnsafeBytes { try RTCP.parse($0, readsTransportFeedback: false) }
            guard case .senderReport(let report)? = parsed.first else { continue }
            let clock = WallTime(ntp: report.ntpTimestamp).nanoseconds
            let ticks = Int64(report.rtpTimestamp - 77) * 1_000_000 / (packet.track == 0 ? 48 : 90)
            #expect(abs(ticks - media) < 2_000_000_000)
            offsets[packet.track].append(clock - ticks - TappedSource.start)
        }
        for track in 0..<2 {
            #expect(offsets[track].count > 50)
            // Settled, they stay where they are, and both tracks at the same place.
            let late = offsets[track].suffix(25)
            #expect((late.max() ?? 0) - (late.min() ?? 0) < 25_000_000, "\(late)")
            // A client that sets its clock by each of them never steps back by a packet.
            let steps = zip(offsets[track].dropFirst(), offsets[track]).map { abs($0 - $1) }
            #expect((steps.max() ?? 0) < RTPForwarder.maximumBend.nanoseconds + 100_000, "\(steps)")
        }
        let apart = abs((offsets[0].last ?? 0) - (offsets[1].last ?? 0))
        #expect(apart < 30_000_000, "\(apart)")
    }

    @Test("what a client has not set up is left out; sound that comes in the wrong order goes out in the right one")
    func order() throws {
        var random = RandomSource.seeded(4)
        let opus = try #require(SourceTrack.opus(channels: 2).format), vp8 = try #require(SourceTrack.vp8.format)
        var forwarder = RTPForwarder(formats: [opus, vp8], payloadTypes: [96, 97], wanted: [0], wallOffset: .zero, random: &random)
        var source = TappedSource()
        var bytes = source.report(0, media: 0, error: 0)
        var sound = (0..<6).map { source.packet(0, media: Int64($0) * 20_000_000) }
        sound.swapAt(2, 3)
        bytes += sound.flatMap { $0 } + source.packet(1, media: 0)
        let packets = forwarder.take(bytes)
        #expect(packets.allSatisfy { $0.track == 0 })
        let numbers = packets.filter { !$0.isReport }.map { UInt16($0.bytes[2]) << 8 | UInt16($0.bytes[3]) }
        #expect(numbers.count == 6 && zip(numbers.dropFirst(), numbers).allSatisfy { $0 &- $1 == 1 })
    }

    @Test("the reports of a track of which nothing comes are not waited for; those of others are")
    func silent() throws {
        var random = RandomSource.seeded(5)
        let opus = try #require(SourceTrack.opus(channels: 2).format), vp8 = try #require(SourceTrack.vp8.format)
        for (silent, expected) in [([1], 3), ([], 0)] as [(Set<Int>, Int)] {
            var source = TappedSource()
            var forwarder = RTPForwarder(
                formats: [opus, vp8], payloadTypes: [96, 97], wanted: [0, 1], silent: silent, wallOffset: .zero, random: &random)
            let bytes = source.report(0, media: 0, error: 0) + (0..<3).flatMap { source.packet(0, media: $0 * 20_000_000) }
            #expect(forwarder.take(bytes).count { !$0.isReport } == expected)
        }
    }

    @Test("sound of before the first picture isn't sent, however much has come at once")
    func earlySound() throws {
        var random = RandomSource.seeded(8), source = TappedSource()
        let opus = try #require(SourceTrack.opus(channels: 2).format), vp8 = try #require(SourceTrack.vp8.format)
        var forwarder = RTPForwarder(formats: [opus, vp8], payloadTypes: [96, 97], wanted: [0, 1], wallOffset: .zero, random: &random)
        let reports = source.report(0, media: 790_000_000, error: 0) + source.report(1, media: 790_000_000, error: 0)
        let sound = (0..<40).flatMap { source.packet(0, media: $0 * 20_000_000) }
        let sent = forwarder.take(sound + source.packet(1, media: 780_000_000) + reports).filter { !$0.isReport }
        #expect(sent.count { $0.track == 0 } == 6 && sent.count { $0.track == 1 } == 1)
    }

    @Test("to a client that goes on after a pause the tracks are the same, with the numbers that follow")
    func goesOn() throws {
        var random = RandomSource.seeded(7)
        let opus = try #require(SourceTrack.opus(channels: 2).format), vp8 = try #require(SourceTrack.vp8.format)
        var source = TappedSource()
        var before = RTPForwarder(
            formats: [opus, vp8], payloadTypes: [96, 97], wanted: [0, 1], silent: [0, 1], wallOffset: .zero, random: &random)
        var packets = before.take((0..<5).flatMap { source.packet(0, media: $0 * 20_000_000) })
        #expect(before.numbering[0].packets == 5 && before.numbering[1].next == nil)
        // The source goes on meanwhile. Of what comes then the first is from before the pause.
        let repeated = TappedSource().packets(0, 0..<5)
        for step in 5..<15 { _ = source.packet(0, media: Int64(step) * 20_000_000) }
        var after = RTPForwarder(
            formats: [opus, vp8], payloadTypes: [96, 97], wanted: [0, 1], silent: [0, 1], wallOffset: .zero, continuing: before.numbering,
            random: &random)
        let media = after.take(repeated).filter { !$0.isReport }
        #expect(media.isEmpty)
        packets += after.take((15..<18).flatMap { source.packet(0, media: $0 * 20_000_000) } + source.packet(1, media: 360_000_000))
        let sound = packets.filter { $0.track == 0 && !$0.isReport }.map(\.bytes)
        let numbers = sound.map { UInt16($0[2]) << 8 | UInt16($0[3]) }
        #expect(numbers.count == 8 && zip(numbers.dropFirst(), numbers).allSatisfy { $0 &- $1 == 1 })
        #expect(Set(sound.map { Array($0[8..<12]) }).count == 1)
        #expect(after.numbering.map(\.ssrc) == before.numbering.map(\.ssrc) && after.numbering.map(\.packets) == [8, 1])
    }

    @Test("timestamps that jump for ever, and reports that say anything, end nothing: packets go on in order")
    func jumps() throws {
        var random = RandomSource.seeded(6)
        let pcmu = try #require(SourceTrack.pcmu.format)
        var forwarder = RTPForwarder(formats: [pcmu], payloadTypes: [0], wanted: [0], wallOffset: .zero, random: &random)
        var numbers: [UInt16] = [], timestamp: UInt32 = 0
        // At 8 kHz the time line would leave 64 bits of nanoseconds behind after some 34,000 of these.
        for step in 0..<40_000 {
            timestamp &+= step % 7 == 0 ? UInt32.random(in: 0...UInt32.max, using: &random) : 0x7fff_ffff
            let arrival = TappedSource.start + Int64(step) * 1_000_000
            var rtp: [UInt8] = [0x80, 0, UInt8(step >> 8 & 0xff), UInt8(step & 0xff)]
            for shift in [24, 16, 8, 0] { rtp.append(UInt8(truncatingIfNeeded: timestamp >> UInt32(shift))) }
            rtp += [0, 0, 0, 1, 0xff]
            var bytes = TapRecord(track: 0, arrival: Instant(nanoseconds: arrival), content: .packet(orientation: 0xff, audioLevel: 0xff, rtp: rtp[...])).encoded
            if step % 50 == 0 {
                let ntp = [0, UInt64.max, UInt64.random(in: 0...UInt64.max, using: &random)][step / 50 % 3]
                bytes += TapRecord(track: 0, arrival: Instant(nanoseconds: arrival), content: .report(ntp: ntp, timestamp: timestamp)).encoded
            }
            if step % 1000 == 999 { bytes += TapRecord(track: 0, arrival: Instant(nanoseconds: arrival), content: .restart).encoded }
            numbers += forwarder.take(bytes).filter { !$0.isReport }.map { UInt16($0.bytes[2]) << 8 | UInt16($0.bytes[3]) }
        }
        #expect(numbers.count == 40_000 && zip(numbers.dropFirst(), numbers).allSatisfy { $0 &- $1 == 1 })
    }
}
