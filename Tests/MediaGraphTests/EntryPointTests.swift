// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import SDP
import Testing

@testable import MediaGraph

/// Parameter sets and entry points of an uplink track: what its ring holds for everybody who joins.
@Suite("Entry points") struct EntryPointTests {
    static let sps: [UInt8] = [0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0xb1, 0xfe, 0x4f]
    static let otherSPS: [UInt8] = [0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78]
    static let pps: [UInt8] = [0x68, 0xcb, 0x83, 0xcb, 0x20]
    static let idr: [UInt8] = [0x65, 0x88, 0x84, 0x21], p: [UInt8] = [0x41, 0x9a, 0x02], i: [UInt8] = [0x61, 0xb0, 0x02]
    static let recovery: [UInt8] = [0x06, 0x06, 0x01, 0xc4, 0x80]
    static func stapA(_ units: [UInt8]...) -> [UInt8] {
        var bytes: [UInt8] = [0x78]
        for unit in units { bytes += [UInt8(unit.count >> 8), UInt8(unit.count & 0xff)] + unit }
        return bytes
    }

    /// A track and a source that numbers its packets.
    final class Source {
        let track: UplinkTrack
        let arena = SendArena(capacity: 64 * 1024, maximumRuns: 16) { _ in }
        var sequence: UInt16 = 100, timestamp: UInt32 = 0, now = Instant(milliseconds: 1000)

        init(_ codec: CodecKind = .h264, parameters: FormatParameters = ["profile-level-id": "42e01f"]) {
            let format = TrackFormat(
                kind: .video, codec: Codec(payloadType: 96, name: codec.encodingName, clockRate: 90_000, parameters: parameters))
            track = UplinkTrack(format: format, codec: codec)
        }

        func packet(_ payload: [UInt8], marker: Bool) -> [UInt8] {
            defer { sequence &+= 1 }
            var bytes: [UInt8] = [0x80, (marker ? 0x80 : 0) | 96, UInt8(sequence >> 8), UInt8(sequence & 0xff)]
            bytes += withUnsafeBytes(of: timestamp.bigEndian, Array.init)
            return bytes + [0, 0, 0, 1] + payload
        }

        func deliver(_ packet: [UInt8]) {
            packet.withUnsafeBytes { bytes in
                guard let view = RTPView(bytes) else { return }
                track.receive(view, bytes: bytes, isRetransmission: false, extensions: UplinkExtensions(), arena: arena, at: now)
            }
        }

        /// A picture of one packet each unit; the last is marked.
        func send(_ units: [UInt8]...) {
            for (index, unit) in units.enumerated() { deliver(packet(unit, marker: index == units.count - 1)) }
            timestamp &+= 3600
            now += .milliseconds(40)
        }

        /// What a joiner would get.
        var joined: [[UInt8]] {
            guard let first = track.ring.joinPoint else { return [] }
            return (first.pointee.sequence...track.ring.newest).compactMap { track.ring.slot($0).map { Array(track.ring.payload(of: $0)) } }
        }
        var numbers: [Int64] { (1...track.ring.newest).filter { track.ring.slot($0) != nil } }
    }

    /// Main profile; says nothing of the order of pictures.
    static let mainSPS: [UInt8] = [0x67, 0x4d, 0x40, 0x1f, 0xec, 0xa0, 0xa0, 0xfc, 0x80]

    @Test("B-frames are found by the order of the pictures, but not where the sets rule them out", arguments: [mainSPS, sps])
    func order(set: [UInt8]) {
        let source = Source()
        source.send(set, Self.pps, Self.idr)
        for place in [3, 1, 2, 6, 4] as [UInt32] {
            #expect(!source.track.format.isReordered)
            source.timestamp = place * 3600
            source.send(Self.p)
        }
        #expect(source.track.format.isReordered == (set == Self.mainSPS))
    }

    @Test("an IDR picture without sets gets the newest in front, as a packet with a number of its own")
    func setsOnlyOnce() throws {
        let source = Source()
        source.send(Self.sps, Self.pps, Self.idr)
        #expect(source.joined == [Self.sps, Self.pps, Self.idr])
        for _ in 0..<3 { source.send(Self.p) }
        source.send(Self.idr)
        source.send(Self.p)
        #expect(source.joined == [Self.stapA(Self.sps, Self.pps), Self.idr, Self.p])
        let start = try #require(source.track.ring.joinPoint)
        #expect(start.pointee.startsKeyFrame && !start.pointee.marker && start.pointee.timestamp == 4 * 3600 && start.pointee.isMade)
        #expect(source.numbers.count == 9 && source.numbers.last.map { $0 - source.numbers[0] } == 8, "no number is missing or twice")
        #expect(source.track.keyFrames == 2 && source.track.packets == 8)
    }

    @Test("sets of a description serve, until the stream has sent its own")
    func described() {
        let source = Source(parameters: [
            "profile-level-id": "42e01f", "sprop-parameter-sets": Base64.encode([Self.sps, Self.pps]),
        ])
        source.send(Self.idr)
        #expect(source.joined == [Self.stapA(Self.sps, Self.pps), Self.idr])
        source.send(Self.otherSPS, Self.pps, Self.idr)
        source.send(Self.idr)
        #expect(source.joined == [Self.stapA(Self.otherSPS, Self.pps), Self.idr])
        let described = source.track.format.described.parameters
        #expect(described["sprop-parameter-sets"] == Base64.encode([Self.otherSPS, Self.pps]) && described["profile-level-id"] == "640028")
        #expect(source.track.format.codec.parameters["profile-level-id"] == "42e01f", "what was agreed on stays")
    }

    @Test("a recovery point is an entry point, and a source without IDR pictures is known for one")
    func openGroups() {
        let source = Source()
        source.send(Self.stapA(Self.sps, Self.pps), Self.idr)
        for second in 1...8 {
            for _ in 0..<24 { source.send(Self.p) }
            #expect(!source.track.format.beginsWithoutIDR || second > 5)
            source.send(Self.recovery, Self.i)
        }
        #expect(source.joined == [Self.stapA(Self.sps, Self.pps), Self.recovery, Self.i])
        #expect(source.track.keyFrames == 9)
        source.send(Self.p)
        #expect(source.track.format.beginsWithoutIDR && !source.track.format.isRealTime)
    }

    @Test("I pictures with sets are entry points, P pictures with sets are none")
    func setsEverywhere() {
        let source = Source()
        source.send(Self.sps, Self.pps, Self.i)
        for _ in 0..<3 { source.send(Self.sps, Self.pps, Self.p) }
        #expect(source.joined.prefix(3) == [Self.sps, Self.pps, Self.i] && source.joined.count == 12)
        #expect(source.track.keyFrames == 1)
    }

    @Test("packets that come late are put in front of what was made behind them, and nothing is counted twice")
    func late() {
        let source = Source()
        source.send(Self.sps, Self.pps, Self.idr)
        source.send(Self.idr)
        let held = source.packet(Self.p, marker: true)
        source.timestamp &+= 3600
        source.send(Self.idr)
        source.deliver(held)
        source.deliver(held)
        source.send(Self.p)
        let all = source.numbers.compactMap { source.track.ring.slot($0).map { Array(source.track.ring.payload(of: $0)) } }
        let made = Self.stapA(Self.sps, Self.pps)
        #expect(all == [Self.sps, Self.pps, Self.idr, made, Self.idr, Self.p, made, Self.idr, Self.p])
        #expect(source.track.duplicates == 1)
    }

    @Test("where sets come with every key frame and theirs are missing, older ones are not put in their place")
    func lostSets() {
        let source = Source()
        for _ in 0..<2 { source.send(Self.stapA(Self.sps, Self.pps), Self.idr) }
        let held = source.packet(Self.stapA(Self.otherSPS, Self.pps), marker: false)
        source.deliver(source.packet(Self.idr, marker: true))
        #expect(source.track.keyFrames == 2)
        source.deliver(held)
        #expect(source.joined == [Self.stapA(Self.otherSPS, Self.pps), Self.idr])
        #expect(source.track.keyFrames == 3)
    }

    @Test("any order of packets with jumps gives numbers that are unique", arguments: UInt64(1)...12)
    func anyOrder(seed: UInt64) {
        let source = Source()
        var random = RandomSource.seeded(seed), waiting: [[UInt8]] = []
        let kinds = [Self.sps, Self.pps, Self.idr, Self.p, Self.i, Self.recovery, Self.stapA(Self.otherSPS, Self.pps), Self.p, Self.p]
        for step in 0..<3000 {
            if step % 3 == 0 { source.timestamp &+= UInt32.random(in: 0...9000, using: &random) }
            if UInt32.random(in: 0...400, using: &random) == 0 { source.sequence &+= UInt16.random(in: 0...UInt16.max, using: &random) }
            waiting.append(source.packet(kinds[Int(UInt32.random(in: 0...8, using: &random))], marker: UInt32.random(in: 0...1, using: &random) == 0))
            if UInt32.random(in: 0...2, using: &random) == 0 { waiting.shuffle(using: &random) }
            while waiting.count > 6 { source.deliver(waiting.removeFirst()) }
            source.now += .milliseconds(5)
        }
        var last: Int64 = 0
        for number in max(1, source.track.ring.newest - 400)...source.track.ring.newest {
            guard let slot = source.track.ring.slot(number) else { continue }
            #expect(slot.pointee.sequence == number && number > last)
            last = number
        }
        // A joiner always begins with sets or a place that has them.
        if let first = source.joined.first { #expect(!first.isEmpty) }
    }

    @Test("a marker on packets with sets is left out once the source is known for it")
    func earlyMarkers() {
        let source = Source()
        for _ in 0..<3 {
            source.deliver(source.packet(Self.sps, marker: true))
            source.deliver(source.packet(Self.pps, marker: true))
            source.send(Self.idr)
        }
        let markers = source.numbers.compactMap { source.track.ring.slot($0)?.pointee.marker }
        #expect(markers == [true, true, true, false, false, true, false, false, true])
    }

    @Test("a tap whose taker can't ask makes a key frame due at the interval, another doesn't")
    func refresh() {
        let source = Source()
        source.send(Self.sps, Self.pps, Self.idr)
        let interval = TimeSpan.seconds(3)
        source.track.addTap(id: 1) { _, _ in }
        #expect(!source.track.isRefreshDue(interval: interval, at: source.now + interval))
        source.track.addTap(id: 2, isPassive: true) { _, _ in }
        #expect(!source.track.isRefreshDue(interval: interval, at: source.now + interval / 2))
        #expect(source.track.isRefreshDue(interval: interval, at: source.now + interval) && !source.track.isRefreshDue(interval: .zero, at: .distantFuture))
        #expect(source.track.mayRequestKeyFrame(gap: .zero, repeatAfter: .zero, at: source.now + interval))
        #expect(!source.track.isRefreshDue(interval: interval, at: source.now + interval + .nanoseconds(1)), "it has just been asked for")
        source.now += interval + .milliseconds(100)
        source.send(Self.idr)
        #expect(!source.track.isRefreshDue(interval: interval, at: source.now + interval / 2))
        source.track.removeTap(id: 2)
        #expect(!source.track.isRefreshDue(interval: interval, at: source.now + interval * 10))
    }

    @Test("H.265 entry points get their sets as well")
    func h265() {
        let vps: [UInt8] = [0x40, 0x01, 0x0c, 0x01, 0xff, 0xff], pps: [UInt8] = [0x44, 0x01, 0xc1, 0x72]
        var sps: [UInt8] = [0x42, 0x01, 0x01]
        sps += [UInt8](repeating: 0, count: 12)
        sps += [0xa0, 0x80]
        let source = Source(.h265, parameters: [:])
        source.send(vps, sps, pps, [19 << 1, 1, 0x80, 7])
        source.send([1 << 1, 1, 0x80, 7])
        source.send([21 << 1, 1, 0x80, 7])
        var sets: [UInt8] = [0x60, 1]
        for unit in [vps, sps, pps] { sets += [0, UInt8(unit.count)] + unit }
        let cra: [UInt8] = [21 << 1, 1, 0x80, 7]
        #expect(source.joined == [sets, cra])
        #expect(source.track.format.described.parameters["sprop-vps"] == Base64.encode(vps))
    }
}
