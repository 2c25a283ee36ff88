// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import RTP

/// Where decoding can begin, and what belongs to one picture.
@Suite struct EntryPointTests {
    typealias Sets = ParameterSetStoreTests

    /// Slices: header, then first_mb_in_slice 0 and the type: P = 1 1…, I = 1 011…
    static let idr: [UInt8] = [0x65, 0x88, 0x84, 0x21], p: [UInt8] = [0x41, 0x9a, 0x02], i: [UInt8] = [0x61, 0xb0, 0x02]
    static let laterSlice: [UInt8] = [0x41, 0x40, 0x02]
    /// SEI with a recovery point (type 6, one byte), alone and behind another message.
    static let recovery: [UInt8] = [0x06, 0x06, 0x01, 0xc4, 0x80]
    static let recoveryBehind: [UInt8] = [0x06, 0x05, 0x05, 0, 0, 3, 1, 6, 7, 0x06, 0x01, 0xc4, 0x80]
    static let otherSEI: [UInt8] = [0x06, 0x05, 0x02, 6, 1, 0x80]

    private func units(_ payload: [UInt8], _ codec: CodecKind = .h264) -> VideoUnits {
        payload.withUnsafeBytes { PayloadInspector.units(codec: codec, payload: $0) }
    }

    @Test("units say what begins with them")
    func h264() {
        #expect(units(Self.idr) == [.slice, .pictureStart, .intraStart, .instantStart])
        #expect(units(Self.p) == [.slice, .pictureStart] && units(Self.i) == [.slice, .pictureStart, .intraStart])
        #expect(units(Self.laterSlice) == .slice)
        #expect(units(Self.recovery) == .recovery && units(Self.otherSEI) == [])
        // The sizes of messages don't count the byte that prevents emulation.
        #expect(units(Self.recoveryBehind) == .recovery)
        #expect(units(Sets.stapA(Sets.sps, Sets.pps, Self.idr)).isSuperset(of: [.sequenceSet, .pictureSet, .instantStart]))
        #expect(units([0x7c, 0x81, 0x9a, 1]) == [.slice, .pictureStart] && units([0x7c, 0x01, 0x9a, 1]) == .slice)
    }

    @Test("in H.265 IDR, BLA, CRA and recovery points are places to begin at")
    func h265() {
        #expect(units([19 << 1, 1, 0x80, 0], .h265).contains(.instantStart) && units([16 << 1, 1, 0x80, 0], .h265).contains(.instantStart))
        #expect(units([21 << 1, 1, 0x80, 0], .h265).isSuperset(of: [.recovery, .pictureStart]))
        #expect(units([39 << 1, 1, 6, 1, 0x80, 0x80], .h265) == .recovery)
        #expect(units([1 << 1, 1, 0x80, 0], .h265) == [.slice, .pictureStart] && units([49 << 1, 1, 19, 0], .h265) == .slice)
    }

    // MARK: pictures

    private func frames(_ packets: [(payload: [UInt8], timestamp: UInt32, marker: Bool)]) -> [EncodedFrame] {
        var depacketizer = H264Depacketizer(), frames: [EncodedFrame] = []
        for packet in packets {
            let frame = packet.payload.withUnsafeBytes {
                depacketizer.push(payload: $0, marker: packet.marker, timestamp: packet.timestamp, lost: false)
            }
            if let frame { frames.append(frame) }
        }
        while let frame = depacketizer.flush() { frames.append(frame) }
        return frames
    }

    private func kinds(_ frame: EncodedFrame) -> [UInt8] { H264Framing.units(ofAnnexB: frame.bytes).compactMap { $0.first.map { $0 & 0x1f } } }

    @Test("recovery points and I pictures with sets are key frames, P pictures with sets are none")
    func keyFrames() {
        let found = frames([
            (Self.idr, 0, true), (Self.p, 1, true), (Self.recovery, 2, false), (Self.p, 2, true), (Sets.sps, 3, false), (Sets.pps, 3, false),
            (Self.i, 3, true), (Self.i, 4, true), (Sets.sps, 5, false), (Self.p, 5, true),
        ])
        #expect(found.map(\.isKeyFrame) == [true, false, true, true, false, false])
        #expect(found.allSatisfy { $0.isComplete && !$0.followsLoss })
    }

    @Test("sets and messages with a marker of their own belong to the picture that follows, at the same time or the next")
    func oneUnitPerPicture() {
        let found = frames([
            (Sets.sps, 0, true), (Sets.pps, 0, true), (Self.idr, 0, true), (Self.otherSEI, 1, true), (Self.p, 1, true), (Sets.stapA(Sets.sps, Sets.pps), 2, true),
            (Self.idr, 3, true),
        ])
        #expect(found.map(kinds) == [[7, 8, 5], [6, 1], [7, 8, 5]])
        #expect(found.map(\.timestamp) == [0, 1, 3] && found.map(\.isKeyFrame) == [true, false, true])
    }

    @Test("a source that marks every slice is found out, and its pictures end with their timestamps")
    func everySliceMarked() {
        let found = frames((0..<4).flatMap { n -> [(payload: [UInt8], timestamp: UInt32, marker: Bool)] in
            [(Self.p, UInt32(n), true), (Self.laterSlice, UInt32(n), true)]
        })
        #expect(found.suffix(3).map(kinds) == [[1, 1], [1, 1], [1, 1]])
    }

    @Test("messages without a picture for ever don't grow without bound")
    func noPictures() {
        var depacketizer = H264Depacketizer(), longest = 0
        let message = [UInt8(0x06), 0x05, 0xff] + [UInt8](repeating: 7, count: 1000)
        for n in 0..<5000 {
            let frame = message.withUnsafeBytes { depacketizer.push(payload: $0, marker: true, timestamp: UInt32(n), lost: false) }
            longest = max(longest, frame?.bytes.count ?? 0)
        }
        #expect(longest > 0 && longest < 100_000)
    }

    // MARK: the gate

    private func frame(_ timestamp: UInt32, key: Bool = false, complete: Bool = true, loss: Bool = false) -> EncodedFrame {
        EncodedFrame(bytes: [1], timestamp: timestamp, isKeyFrame: key, isComplete: complete, followsLoss: loss)
    }

    @Test("what is shown before the first picture is left out, later groups are not")
    func leading() {
        var gate = EntryGate()
        let verdicts = [frame(50), frame(100, key: true), frame(60), frame(80), frame(140), frame(120), frame(200, key: true), frame(180)]
            .map { gate.judge($0) }
        #expect(verdicts == [.wait, .take, .leading, .leading, .take, .take, .take, .take])
    }

    @Test("after a loss the next key frame is waited for, and its leading pictures are left out")
    func loss() {
        var gate = EntryGate()
        let verdicts = [frame(0, key: true), frame(1), frame(2, loss: true), frame(3), frame(10, key: true, loss: true), frame(9), frame(11)]
            .map { gate.judge($0) }
        #expect(verdicts == [.take, .take, .wait, .wait, .take, .leading, .take])
    }
}
