// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import SDP
import Testing

@testable import MediaGraph

/// What a track takes and hands on to those who are no players.
private final class Source {
    let track: UplinkTrack
    private(set) var taken: [(sequence: Int64, timestamp: UInt32)] = []
    let arena = SendArena(capacity: 64 * 1024, maximumRuns: 16) { _ in }
    var now = Instant(milliseconds: 1000)

    init(clockRate: Int = 90_000, name: String = "VP8") {
        track = UplinkTrack(
            format: TrackFormat(kind: .video, codec: Codec(payloadType: 96, name: name, clockRate: clockRate)), codec: CodecKind(encodingName: name))
        track.addTap(id: 1) { [unowned self] _, slot in taken.append((slot.pointee.sequence, slot.pointee.timestamp)) }
    }

    @discardableResult
    func send(_ sequence: UInt16, timestamp: UInt32, ssrc: UInt32 = 7, after milliseconds: Int64 = 40, isRetransmission: Bool = false) -> Bool {
        now += .milliseconds(milliseconds)
        var packet: [UInt8] = [0x80, 0x80 | 96]
        packet += withUnsafeBytes(of: sequence.bigEndian, Array.init)
        packet += withUnsafeBytes(of: timestamp.bigEndian, Array.init)
        packet += withUnsafeBytes(of: ssrc.bigEndian, Array.init)
        packet += [0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01]
        return packet.withUnsafeBytes { raw in
            guard let view = RTPView(raw) else { return false }
            defer { track.flush(into: arena, at: now) }
            return track.receive(view, bytes: raw, isRetransmission: isRetransmission, extensions: UplinkExtensions(), arena: arena, at: now)
        }
    }

    func takeLast() -> (sequence: Int64, timestamp: UInt32) { taken.removeLast() }

    /// How far apart neighbours are by their timestamps.
    var steps: [Int32] { zip(taken, taken.dropFirst()).map { Int32(bitPattern: $1.timestamp &- $0.timestamp) } }
}

@Suite("UplinkTrack with timestamps that jump") struct TimestampJumpTests {
    @Test("whoever takes the track sees its time go on; late packets keep the place that they had")
    func goesOn() {
        let source = Source()
        for number in 0..<100 where number != 97 { source.send(UInt16(number), timestamp: UInt32(number) * 3600) }
        for number in 100..<150 { source.send(UInt16(number), timestamp: 4_000_000_000 &+ UInt32(number) * 3600) }
        source.send(97, timestamp: 97 * 3600, after: 0, isRetransmission: true)
        #expect(source.track.restarts == 1)
        let late = source.takeLast()
        #expect(source.taken.count == 149 && late.timestamp == 97 * 3600)
        let steps = source.steps
        #expect(steps.allSatisfy { (step: Int32) -> Bool in step == 3600 || step == 7200 })
    }

    @Test("a late packet with a timestamp from elsewhere is left out and counted")
    func misplaced() {
        let source = Source()
        for number in 0..<100 where number != 97 { source.send(UInt16(number), timestamp: UInt32(number) * 3600) }
        #expect(!source.send(97, timestamp: 2_000_000_000, after: 0))
        #expect(source.track.misplaced == 1 && source.taken.count == 99)
    }

    @Test("a camera that is back with the very numbers of before goes on at once, by the time that passed")
    func sameNumbers() {
        let source = Source()
        for number in 0..<200 { source.send(1000 &+ UInt16(number), timestamp: 90_000 + UInt32(number) * 3600) }
        source.now += .milliseconds(500)
        source.track.restart()
        for number in 0..<200 { source.send(1000 &+ UInt16(number), timestamp: 90_000 + UInt32(number) * 3600) }
        #expect(source.taken.count == 400)
        let numbers = source.taken.map(\.sequence), first = numbers.first ?? 0
        #expect(numbers == Array(first..<first + 400))
        let steps = source.steps
        #expect(steps.allSatisfy { (step: Int32) -> Bool in step == 3600 || (48_500...48_700).contains(step) })
        // What it says of its connection is no jump.
        #expect(source.track.clocks.rebases == 0)
    }

    @Test("a retransmission from far behind is left out and restarts nothing")
    func farRetransmission() {
        let source = Source()
        for number in 0..<100 { source.send(20_000 + UInt16(number), timestamp: UInt32(number) * 3600) }
        for far in [UInt16(100), 10_000, 16_900, 40_000, 52_000] { #expect(!source.send(far, timestamp: 0, after: 0, isRetransmission: true)) }
        #expect(!source.send(20_050, timestamp: 0, ssrc: 99, after: 0, isRetransmission: true))
        source.send(20_100, timestamp: 100 * 3600)
        #expect(source.track.restarts == 0 && source.track.misplaced == 6)
        #expect(source.steps.allSatisfy { $0 == 3600 })
    }

    @Test("sequence numbers that jump leave the time as it is")
    func sequenceJump() {
        let source = Source()
        for number in 0..<100 { source.send(UInt16(number), timestamp: UInt32(number) * 3600) }
        for number in 100..<200 { source.send(30_000 + UInt16(number), timestamp: UInt32(number) * 3600) }
        #expect(source.taken.count == 200 && source.track.restarts == 0)
        #expect(source.steps.allSatisfy { $0 == 3600 })
    }

    @Test("sender reports that have nothing to do with the packets are refused; one that comes just before a jump is kept for it")
    func reports() {
        let source = Source()
        let wall = WallTime(nanoseconds: 1_700_000_000_000_000_000)
        source.track.receiveReport(ntp: wall.ntp, timestamp: 1000, at: source.now)
        #expect(source.track.reportedNTP == 0)
        for number in 0..<100 { source.send(UInt16(number), timestamp: UInt32(number) * 3600) }
        // Known from before the first packet.
        #expect(source.track.reportedNTP != 0 && source.track.reportedTimestamp == 1000)
        source.track.receiveReport(ntp: (wall + .seconds(4)).ntp, timestamp: 3_000_000_000, at: source.now)
        #expect(source.track.refusedReports == 1 && source.track.reportedTimestamp == 1000)
        source.send(100, timestamp: 3_000_000_000)
        #expect(source.track.restarts == 1)
        #expect(source.track.reportedTimestamp == 100 * 3600)
    }

    @Test("a description's clock rate that is not the codec's is not reckoned with", arguments: [-5, 0, 1, 8000, 1_000_000, Int.max])
    func clockRate(_ said: Int) {
        let source = Source(clockRate: said, name: "H264")
        #expect(source.track.clockRate == 90_000 && source.track.format.codec.clockRate == 90_000)
        for number in 0..<50 { source.send(UInt16(number), timestamp: UInt32(number) &* 0x7fff_ffff) }
        var aac = Codec(payloadType: 97, name: "mpeg4-generic", clockRate: said, channels: 2)
        let bounded = TrackFormat(kind: .audio, codec: aac).withClockRateOfCodec.codec.clockRate
        #expect((7_350...96_000).contains(bounded))
        aac.parameters["config"] = "1210"
        #expect(TrackFormat(kind: .audio, codec: aac).withClockRateOfCodec.codec.clockRate == 44_100)
    }

    @Test("AAC whose configuration is doubled by SBR keeps the doubled rate")
    func doubledRate() {
        var aac = Codec(payloadType: 97, name: "mpeg4-generic", clockRate: 44_100, channels: 2)
        aac.parameters["config"] = "1390"
        #expect(AudioSpecificConfig([0x13, 0x90])?.sampleRate == 22_050)
        #expect(TrackFormat(kind: .audio, codec: aac).withClockRateOfCodec.codec.clockRate == 44_100)
    }
}
