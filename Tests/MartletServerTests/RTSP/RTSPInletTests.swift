// SPDX-License-Identifier: Apache-2.0
import MediaIO
import Primitives
import RTP
import RTSP
import SDP
import Synchronization
import Testing

@testable import MartletServer

/// Keeps what is written into it.
private final class WrittenSource: LocalSource {
    let id = EndpointID(rawValue: 1)
    private let written = Mutex<[(track: Int, packet: [UInt8])]>([])
    var packets: [(track: Int, packet: [UInt8])] { written.withLock { $0 } }
    func write(track: Int, packet: [UInt8]) -> Bool { write(track: track, packets: [packet]) }
    func write(track: Int, packets: [[UInt8]]) -> Bool {
        written.withLock { $0 += packets.map { (track, $0) } }
        return true
    }
    func markReordered(track: Int) {}
    func report(track: Int, ntp: UInt64, timestamp: UInt32) {}
    func restart() {}
    func setTracks(_ tracks: [TrackFormat]) {}
    func onKeyFrameRequest(_ handler: @escaping @Sendable () -> Void) {}
}

struct RTSPInletTests {
    private func packet(_ type: UInt8, _ number: UInt8, payload: [UInt8] = [0x41, 0x9a, 1]) -> [UInt8] {
        [0x80, type, 0, number, 0, 0, 0, 0, 0, 0, 0, 5] + payload
    }

    private func track(_ name: String, _ type: UInt8, _ parameters: FormatParameters = [:], isOnly: Bool = true) -> RTSPTrack {
        let kind = CodecKind(encodingName: name)
        var codec = SDP.Codec(payloadType: type, name: name, clockRate: Int(kind.clockRate))
        codec.parameters = parameters
        return RTSPTrack(format: TrackFormat(kind: kind.isVideo ? .video : .audio, codec: codec), control: "", isOnlyFormat: isOnly)
    }

    @Test("a payload type that the description doesn't say is taken when it can mean nothing else, with what came before it was believed")
    func adopts() {
        let source = WrittenSource(), video = track("H264", 96)
        var inlet = RTSPInlet(into: source, found: [video], targets: [0], formats: [video.format])
        var remarks = 0
        for number in 0..<UInt8(40) {
            if case .remark(let text) = inlet.take(packet(97, number), track: 0, isReport: false, at: .zero) {
                remarks += 1
                #expect(text.contains("97") && text.contains("96"))
            }
        }
        #expect(remarks == 1 && source.packets.map { $0.packet[3] } == Array(0..<40))
        // In the stream they have the number that it knows.
        #expect(source.packets.allSatisfy { $0.packet[1] == 96 })
    }

    @Test("what can't be the codec, or may be another of several, is left out and named once", arguments: [true, false])
    func leavesOut(isOnly: Bool) {
        let source = WrittenSource(), video = track("H264", 96, isOnly: isOnly)
        var inlet = RTSPInlet(into: source, found: [video], targets: [0], formats: [video.format])
        let payload: [UInt8] = isOnly ? [0xff, 0xff, 0xff] : [0x41, 0x9a, 1]
        let outcomes = (0..<40).map { inlet.take(packet(26, UInt8($0), payload: payload), track: 0, isReport: false, at: .zero) }
        #expect(outcomes.count { $0 != .nothing } == 1 && source.packets.isEmpty)
        guard case .remark(let text) = outcomes[0] else { Issue.record("nothing said"); return }
        #expect(text.contains("payload type 26"))
    }

    @Test("stray packets of another payload type between the described ones are no media")
    func stray() {
        let source = WrittenSource(), video = track("H264", 96)
        var inlet = RTSPInlet(into: source, found: [video], targets: [0], formats: [video.format])
        for number in 0..<UInt8(60) { _ = inlet.take(packet(number % 2 == 0 ? 96 : 50, number), track: 0, isReport: false, at: .zero) }
        #expect(source.packets.count == 30)
    }

    @Test("a payload type that changes on the way is taken when the one before has been silent, with all that came of it meanwhile")
    func changes() {
        let source = WrittenSource(), video = track("H264", 96)
        var inlet = RTSPInlet(into: source, found: [video], targets: [0], formats: [video.format])
        var remarks: [(number: UInt8, text: String)] = []
        func send(_ type: UInt8, _ numbers: Range<UInt8>) {
            for number in numbers {
                let now = Instant.zero + .milliseconds(40 * Int64(number))
                if case .remark(let text) = inlet.take(packet(type, number), track: 0, isReport: false, at: now) { remarks.append((number, text)) }
            }
        }
        send(96, 0..<20)
        send(98, 20..<60)
        // The last of the first kind came at 19: a second later is 44.
        #expect(remarks.map(\.number) == [44] && remarks[0].text.contains("98") && remarks[0].text.contains("96"))
        #expect(source.packets.map { $0.packet[3] } == Array(0..<60) && source.packets.allSatisfy { $0.packet[1] == 96 })
        // And once more, and back to what is described, at once.
        send(99, 60..<100)
        send(96, 100..<110)
        #expect(remarks.map(\.number) == [44, 84] && source.packets.map { $0.packet[3] } == Array(0..<110))
    }

    @Test("in a pause, a payload type with a meaning of its own, or what can't be the codec, isn't taken", arguments: [13, 98] as [UInt8])
    func pause(type: UInt8) {
        let source = WrittenSource(), found = type == 13 ? track("PCMU", 0) : track("H264", 96)
        var inlet = RTSPInlet(into: source, found: [found], targets: [0], formats: [found.format])
        let described = found.format.codec.payloadType
        _ = inlet.take(packet(described, 0), track: 0, isReport: false, at: .zero)
        let outcomes = (1..<UInt8(200)).map { number in
            inlet.take(packet(type, number, payload: [0xff, 0xff, 0xff]), track: 0, isReport: false, at: .zero + .milliseconds(40 * Int64(number)))
        }
        #expect(source.packets.count == 1 && outcomes.count { $0 != .nothing } == 1)
        _ = inlet.take(packet(described, 201), track: 0, isReport: false, at: .zero + .seconds(9))
        #expect(source.packets.count == 2)
    }

    @Test("parameter sets of a description say the profile, with or without start codes and quotes", arguments: [
        "Z2QAH9k=,aMk=", "AAAAAWdkAB/Z,AAAAAWjJ", "\"AAABZ2QAH9k=\", \"AAABaMk=\"",
    ])
    func profile(_ sets: String) {
        let format = RTSPInlet.completed(track("H264", 96, ["sprop-parameter-sets": sets]))
        #expect(format.codec.parameters["profile-level-id"] == "64001f")
    }

    @Test("a payload type with a meaning of its own is never taken for another one, not even at first", arguments: [8, 13, 9, 35] as [UInt8])
    func otherStatic(type: UInt8) {
        let source = WrittenSource(), audio = track("PCMU", 0)
        var inlet = RTSPInlet(into: source, found: [audio], targets: [0], formats: [audio.format])
        let outcomes = (0..<UInt8(100)).map { inlet.take(packet(type, $0), track: 0, isReport: false, at: .zero + .milliseconds(20 * Int64($0))) }
        #expect(source.packets.isEmpty && outcomes.count { $0 != .nothing } == 1)
        guard case .remark(let text) = outcomes[0] else { Issue.record("nothing said"); return }
        #expect(text.contains("payload type \(type), its description says 0: they are left out"))
        // Its own still is, and so is one that means nothing by itself.
        #expect(inlet.take(packet(0, 100), track: 0, isReport: false, at: .zero + .seconds(2)) == .media)
        for number in 101..<UInt8(160) {
            _ = inlet.take(packet(97, number), track: 0, isReport: false, at: .zero + .milliseconds(20 * Int64(number)))
        }
        #expect(source.packets.count == 60)
    }

    @Test("packets that are too long are cut, behind the parameter sets of the description")
    func cuts() {
        let source = WrittenSource(), video = track("H264", 96, ["sprop-parameter-sets": "Z0IAH9k=,aMk="])
        var inlet = RTSPInlet(into: source, found: [video], targets: [0], formats: [video.format])
        let picture = [0x65, 0x88] + [UInt8](repeating: 7, count: 30_000)
        #expect(inlet.take(packet(0x80 | 96, 1, payload: picture), track: 0, isReport: false, at: .zero) == .media)
        #expect(inlet.take(packet(0x80 | 96, 2), track: 0, isReport: false, at: .zero) == .media)
        let packets = source.packets.map(\.packet)
        #expect(packets.count == 28 && packets.allSatisfy { $0.count <= 1200 } && packets.map { $0[3] } == Array(1..<29))
        #expect(packets.map { $0[1] & 0x80 != 0 } == (0..<28).map { $0 >= 26 } && inlet.tooLong == 0)
    }

    @Test("packets that are too long and can't be cut are counted and named once")
    func tooLong() {
        let source = WrittenSource(), video = track("VP8", 96)
        var inlet = RTSPInlet(into: source, found: [video], targets: [0], formats: [video.format])
        let outcomes = (0..<UInt8(5)).map {
            inlet.take(packet(96, $0, payload: [UInt8](repeating: 1, count: 3_000)), track: 0, isReport: false, at: .zero)
        }
        #expect(inlet.tooLong == 5 && source.packets.isEmpty && outcomes.dropFirst().allSatisfy { $0 == .nothing })
        guard case .remark(let text) = outcomes[0] else { Issue.record("nothing said"); return }
        #expect(text.contains("3012 bytes of VP8"))
        #expect(inlet.take(packet(96, 6), track: 0, isReport: false, at: .zero) == .media)
    }

    @Test("a camera that is back with other payload types, or its tracks the other way round, goes on in the same stream")
    func back() throws {
        let source = WrittenSource()
        let before = [track("H264", 96, ["sprop-parameter-sets": "Z0IAH9k=,aMk="]), track("PCMU", 0)].map(\.format)
        let now = [track("PCMU", 100), track("H264", 98)]
        let targets = try #require(RTSPInlet.targets(of: now.map(\.format), in: before))
        #expect(targets == [1, 0])
        var inlet = RTSPInlet(into: source, found: now, targets: targets, formats: before)
        #expect(inlet.take(packet(0x80 | 98, 1), track: 1, isReport: false, at: .zero) == .media)
        #expect(inlet.take(packet(100, 2), track: 0, isReport: false, at: .zero) == .media)
        #expect(source.packets.map(\.track) == [0, 1] && source.packets.map { $0.packet[1] } == [0x80 | 96, 0])
    }

    @Test("other codecs, another number of tracks or another AAC configuration are another stream")
    func others() {
        let aac = { (config: String) in self.track("mpeg4-generic", 97, ["config": config]).format }
        let video = track("H264", 96).format, other = track("H265", 96).format
        #expect(RTSPInlet.targets(of: [other], in: [video]) == nil)
        #expect(RTSPInlet.targets(of: [video], in: [video, aac("1210")]) == nil)
        #expect(RTSPInlet.targets(of: [video, aac("1210")], in: [video]) == nil)
        #expect(RTSPInlet.targets(of: [video, aac("1408")], in: [video, aac("1210")]) == nil)
        #expect(RTSPInlet.targets(of: [video, aac("1210")], in: [aac("1210"), video]) == [1, 0])
    }
}
