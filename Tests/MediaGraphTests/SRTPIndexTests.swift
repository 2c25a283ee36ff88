// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import SDP
import SRTP
import Testing

@testable import MediaGraph

/// A source that does anything, and players whose lines do anything, one step after the other from a seed. Every datagram is remembered.
private final class Disorder {
    let track: UplinkTrack
    let isVideo: Bool
    private let path = PlayerPath(hasFeedback: false)
    private let sender: SRTPSender
    private var arena: SendArena!
    private var random: RandomSource
    private var sinks: [UnsafeMutablePointer<DownlinkTrack>] = []
    private var now = Instant(milliseconds: 1000)
    private var sequence: UInt16
    private var timestamp: UInt32 = 0
    private var ssrc: UInt32 = 77
    private var level: UInt8 = 20
    private var held: [[UInt8]] = []
    /// By SSRC and sequence number. Fewer than 2^16 packets of an SSRC are sent, so a number used twice is an index used twice.
    private(set) var sent: [UInt64: [UInt8]] = [:]
    private(set) var counts: [UInt32: Int] = [:]
    private(set) var reused: [String] = []
    private var step = ""

    init(seed: UInt64, isVideo: Bool) throws {
        random = RandomSource.seeded(seed)
        self.isVideo = isVideo
        sequence = UInt16.random(in: 0...UInt16.max, using: &random)
        let codec = isVideo
            ? Codec(payloadType: 96, name: "VP8", clockRate: 90_000) : Codec(payloadType: 111, name: "opus", clockRate: 48_000, channels: 2)
        track = UplinkTrack(format: TrackFormat(kind: isVideo ? .video : .audio, codec: codec), codec: isVideo ? .vp8 : .opus)
        sender = try SRTPSender(profile: .aeadAES128GCM, key: .init(repeating: 1, count: 16), salt: .init(repeating: 2, count: 12))
        arena = SendArena { [unowned self] arena in
            for run in arena.runs {
                for offset in stride(from: run.offset, to: run.offset + run.length, by: run.segmentLength) {
                    let length = min(run.segmentLength, run.offset + run.length - offset)
                    self.note(Array(UnsafeRawBufferPointer(start: arena.memory + offset, count: length)))
                }
            }
        }
        if !isVideo { track.withholdSilence() }
        for number in 0..<3 {
            var parameters = DownlinkTrack.Parameters(ssrc: UInt32(100 + number), payloadType: 100)
            // One without RTX, whose retransmissions are the same packets to the bit.
            if number > 0 {
                parameters.rtxSSRC = UInt32(200 + number)
                parameters.rtxPayloadType = 101
            }
            sinks.append(track.addSink(
                parameters, sender: sender, destination: Destination(address: SocketAddress(ipv4: 1, port: UInt16(2 + number)), socket: 3),
                history: path.history, random: &random))
            _ = track.open(sinks[number], arena: arena, at: now)
        }
    }

    deinit { sender.destroy() }

    private func note(_ packet: [UInt8]) {
        let number = UInt64(packet[2]) << 8 | UInt64(packet[3]), ssrc = packet[8..<12].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        counts[ssrc, default: 0] += 1
        if let before = sent.updateValue(packet, forKey: UInt64(ssrc) << 16 | number), before != packet { reused.append("\(ssrc) \(number) after \(step)") }
    }

    private func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    private func makePacket() -> [UInt8] {
        var bytes: [UInt8] = [isVideo ? 0x80 : 0x90, (number(0...2) == 0 ? 0x80 : 0) | (isVideo ? 96 : 111)]
        bytes += withUnsafeBytes(of: sequence.bigEndian, Array.init) + withUnsafeBytes(of: timestamp.bigEndian, Array.init)
        bytes += withUnsafeBytes(of: ssrc.bigEndian, Array.init)
        if !isVideo { bytes += [0xbe, 0xde, 0, 1, 0x10, level, 0, 0] }
        bytes += [0x10, number(0...15) == 0 ? 0x10 : 0x11, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01]
        bytes += (0..<number(0...900)).map { _ in UInt8(number(0...255)) }
        sequence &+= 1
        if number(0...2) == 0 { timestamp &+= isVideo ? 3600 : 960 }
        return bytes
    }

    private func receive(_ packet: [UInt8], isRetransmission: Bool) {
        var extensions = UplinkExtensions()
        extensions.audioLevel = 1
        packet.withUnsafeBytes { raw in
            guard let view = RTPView(raw) else { return }
            track.receive(view, bytes: raw, isRetransmission: isRetransmission, extensions: extensions, arena: arena, at: now)
        }
    }

    func run(steps: Int) {
        for _ in 0..<steps {
            now += .milliseconds(Int64(number(0...40)))
            let sink = sinks[number(0...2)]
            switch number(0...29) {
            case 0...11:
                step = "packet"
                receive(makePacket(), isRetransmission: false)
            case 12, 13:
                step = "held"
                held.append(makePacket())
            case 14, 15:
                step = "late"
                if !held.isEmpty { receive(held.remove(at: number(0...held.count - 1)), isRetransmission: Bool.random(using: &random)) }
            case 16:
                // The same number with other content: a publisher may do that on purpose.
                step = "again"
                sequence &-= UInt16(number(1...40))
                receive(makePacket(), isRetransmission: Bool.random(using: &random))
                sequence &+= UInt16(number(0...40))
            case 17:
                step = "suspend"
                track.suspend(sink)
            case 18:
                step = "resume"
                track.resume(sink)
            case 19:
                step = "hold"
                if sink.pointee.isOpen { track.hold(sink, arena: arena, at: now) }
            case 20, 21:
                step = "pace"
                var room = number(0...4000)
                if sink.pointee.isOpen, sink.pointee.isStarted, sink.pointee.cursor != .max,
                    track.pace(sink, since: now - .milliseconds(100), patience: .milliseconds(200), room: &room, arena: arena, at: now) == .caughtUp
                {
                    track.release(sink)
                }
            case 22:
                step = "skip"
                if sink.pointee.isOpen, sink.pointee.isStarted { _ = track.skipToKeyFrame(sink, after: now - .seconds(1)) }
            case 23:
                step = "NACK"
                var room = 100_000
                let newest = UInt16(truncatingIfNeeded: sink.pointee.newestIndex)
                if sink.pointee.isOpen {
                    track.retransmit((0..<10).map { _ in newest &- UInt16(number(0...60)) }, to: sink, room: &room, arena: arena, at: now)
                }
            case 24:
                step = "silence"
                level = level > 50 ? 20 : 127
                now += .milliseconds(1500)
            case 25 where number(0...3) == 0:
                step = "restart"
                switch number(0...3) {
                case 0: ssrc &+= 1
                case 1: sequence &+= UInt16(number(3000...60_000))
                case 2: timestamp &+= UInt32.random(in: 0...UInt32.max, using: &random)
                default: track.restart()
                }
            default:
                step = "flush"
                track.flush(into: arena, at: now)
                arena.flush()
            }
        }
        track.flush(into: arena, at: now)
        arena.flush()
    }
}

@Suite("SRTP indices") struct SRTPIndexTests {
    @Test("whatever source, lines and players do, no index is used for two packets", arguments: 1...10 as ClosedRange<UInt64>, [true, false])
    func neverTwice(seed: UInt64, isVideo: Bool) throws {
        let disorder = try Disorder(seed: seed, isVideo: isVideo)
        disorder.run(steps: 6_000)
        #expect(disorder.reused.isEmpty, "\(disorder.reused.count): \(disorder.reused.prefix(5))")
        for ssrc in [100, 101, 102] as [UInt32] {
            let count = disorder.counts[ssrc] ?? 0
            #expect((100...60_000).contains(count), "\(ssrc): \(count)")
        }
        let retransmitted: Int = disorder.counts[201, default: 0] + disorder.counts[202, default: 0]
        #expect(retransmitted > 10)
    }

    @Test("a stall that begins with a late packet in hand goes on above everything that was sent")
    func stallAfterLatePacket() throws {
        let track = UplinkTrack(format: TrackFormat(kind: .audio, codec: Codec(payloadType: 111, name: "opus", clockRate: 48_000, channels: 2)), codec: .opus)
        var numbers: [UInt16] = []
        let arena = SendArena { arena in
            for run in arena.runs {
                for offset in stride(from: run.offset, to: run.offset + run.length, by: run.segmentLength) {
                    let bytes = UnsafeRawBufferPointer(start: arena.memory + offset, count: 12)
                    numbers.append(UInt16(bytes[2]) << 8 | UInt16(bytes[3]))
                }
            }
        }
        let sender = try SRTPSender(profile: .aeadAES128GCM, key: .init(repeating: 1, count: 16), salt: .init(repeating: 2, count: 12))
        defer { sender.destroy() }
        let path = PlayerPath(hasFeedback: false)
        var random = RandomSource.seeded(1)
        let sink = track.addSink(
            DownlinkTrack.Parameters(ssrc: 5, payloadType: 100), sender: sender,
            destination: Destination(address: SocketAddress(ipv4: 1, port: 2), socket: 3), history: path.history, random: &random)
        _ = track.open(sink, arena: arena, at: .zero)
        func receive(_ number: UInt8, isFlushed: Bool = true) {
            let bytes: [UInt8] = [0x80, 111, 0, number, 0, 0, number, 0, 0, 0, 0, 9] + [UInt8](repeating: number, count: 20)
            bytes.withUnsafeBytes { raw in
                _ = track.receive(
                    RTPView(raw)!, bytes: raw, isRetransmission: false, extensions: UplinkExtensions(), arena: arena, at: Instant(milliseconds: Int64(number) * 20))
            }
            if isFlushed { track.flush(into: arena, at: .zero) }
        }
        for number in [1, 2, 3, 5, 6, 7, 8] as [UInt8] { receive(number) }
        receive(4, isFlushed: false)
        track.suspend(sink)
        track.flush(into: arena, at: .zero)
        track.resume(sink)
        for number in 9...12 as ClosedRange<UInt8> { receive(number) }
        arena.flush()
        #expect(numbers.count == 11 && Set(numbers).count == 11)
        #expect(numbers == numbers.sorted())
    }

    @Test("a number stays taken when its bytes have left the ring and the ring has grown")
    func ringRemembers() {
        let ring = PacketRing(initialBytes: 4096, maximumBytes: 1 << 16)
        func append(_ sequence: Int64, isKeyFrame: Bool = false) -> Bool {
            var slot = PacketSlot()
            slot.sequence = sequence
            slot.headerLength = 12
            slot.payloadLength = 988
            slot.timestamp = UInt32(sequence)
            slot.startsKeyFrame = isKeyFrame
            return [UInt8](repeating: 1, count: 1000).withUnsafeBytes { ring.append($0, slot) }
        }
        for sequence in Int64(1)...20 { #expect(append(sequence)) }
        // The group of pictures that begins here makes it grow several times.
        #expect(append(21, isKeyFrame: true))
        for sequence in Int64(22)...60 { #expect(append(sequence)) }
        #expect(ring.memory > 20_000 && ring.slot(2) == nil && ring.slot(21) != nil)
        for sequence in Int64(1)...60 { #expect(!append(sequence), "\(sequence)") }
    }
}
