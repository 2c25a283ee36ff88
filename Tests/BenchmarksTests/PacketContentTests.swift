// SPDX-License-Identifier: Apache-2.0
import RTP
import Testing

@testable import Benchmarks

@Suite("Content of the benchmark's packets")
struct PacketContentTests {
    private let stamp = Stamp(stream: 7, counter: 123_456_789, frame: 42, packetsInFrame: 12, isKeyFrame: true, sentAt: 987_654_321)

    private func fragment(first: Bool = true, isKey: Bool = true) -> [UInt8] {
        var stamp = stamp
        stamp.isKeyFrame = isKey
        var bytes = [UInt8](repeating: 0, count: 1100)
        bytes.withUnsafeMutableBytes {
            PacketContent.writeFragment(stamp, length: 1100, isFirst: first, isLast: false, to: $0.baseAddress!)
        }
        return bytes
    }
    private func check(_ bytes: [UInt8], isVideo: Bool = true, stream: UInt32 = 7) -> Stamp? {
        bytes.withUnsafeBytes { LoadPlayer.check($0, isVideo: isVideo, stream: stream) }
    }

    @Test("a fragment is read back as it was written")
    func fragmentRoundTrip() { #expect(check(fragment()) == stamp) }

    @Test("parameter sets carry a stamp too")
    func parameterSets() {
        var bytes = [UInt8](repeating: 0, count: PacketContent.parameterSetsLength)
        bytes.withUnsafeMutableBytes { PacketContent.writeParameterSets(stamp, to: $0.baseAddress!) }
        #expect(check(bytes) == stamp)
        let (size, isKey) = bytes.withUnsafeBytes {
            (PayloadInspector.videoSize(codec: .h264, payload: $0), PayloadInspector.isKeyFrameStart(codec: .h264, payload: $0))
        }
        #expect(size?.width == 1280)
        #expect(size?.height == 720)
        #expect(isKey)
    }

    @Test("sound is read back as it was written")
    func audio() {
        var bytes = [UInt8](repeating: 0, count: 160)
        bytes.withUnsafeMutableBytes { PacketContent.writeAudio(stamp, length: 160, to: $0.baseAddress!) }
        #expect(check(bytes, isVideo: false) == stamp)
    }

    @Test("a changed byte is noticed wherever it is", arguments: [2, 10, 34, 600, 1099])
    func changed(position: Int) {
        var bytes = fragment()
        bytes[position] ^= 1
        #expect(check(bytes) != stamp)
    }

    @Test("a packet of another stream is noticed")
    func otherStream() { #expect(check(fragment(), stream: 8) == nil) }

    @Test("a packet that is too short is no crash", arguments: 0..<40)
    func short(length: Int) { #expect(check(Array(fragment().prefix(length))).map { _ in length >= 34 } ?? true) }

    @Test("only the first fragment of a key frame looks like its start")
    func keyFrameStart() {
        func looks(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { PayloadInspector.isKeyFrameStart(codec: .h264, payload: $0) } }
        #expect(looks(fragment()))
        #expect(!looks(fragment(first: false)))
        #expect(!looks(fragment(isKey: false)))
    }
}
