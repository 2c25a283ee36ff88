// SPDX-License-Identifier: Apache-2.0
import RTP
import Testing

struct H264FramingTests {
    @Test("no more parameter sets are kept than any encoder has")
    func manySets() {
        let set: [UInt8] = [0, 0, 0, 1, 0x68] + [UInt8](repeating: 2, count: 999)
        let kept = H264Framing.parameterSets(inAnnexB: (0..<1000).flatMap { _ in set })
        #expect(kept.count == 8 && kept.allSatisfy { $0.count == 1000 })
    }

    @Test("units change their framing and stay the same; a length beyond the end ends it")
    func framing() {
        let annexB: [UInt8] = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 4, 5, 6]
        let prefixed = H264Framing.lengthPrefixed(fromAnnexB: annexB)
        #expect(prefixed == [0, 0, 0, 3, 0x67, 1, 2, 0, 0, 0, 2, 0x68, 3, 0, 0, 0, 4, 0x65, 4, 5, 6])
        #expect(H264Framing.annexB(fromLengthPrefixed: prefixed, lengthSize: 4) == annexB)
        #expect(H264Framing.parameterSets(inAnnexB: annexB) == [[0x67, 1, 2], [0x68, 3]])
        #expect(H264Framing.annexB(fromLengthPrefixed: [0, 0, 0, 9, 1, 2], lengthSize: 4).isEmpty)
        #expect(H264Framing.annexB(fromLengthPrefixed: [1, 7, 0, 1, 8], lengthSize: 1) == [0, 0, 0, 1, 7, 0, 0, 0, 1, 8])
        #expect(H264Framing.annexB(fromLengthPrefixed: [1, 2, 3], lengthSize: 9).isEmpty)
    }

    // Out of x264: High with two B-frames, High with none (zerolatency), and baseline.
    @Test("an SPS says whether there may be B-frames")
    func reordering() {
        let withB: [UInt8] = [0x67, 0x64, 0x00, 0x0c, 0xac, 0xd9, 0x41, 0x41, 0xfb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x42, 0x99, 0x60]
        #expect(H264Framing.reorders(sps: withB) == true)
        #expect(H264Framing.reorders(sps: [0x67, 0x42, 0xc0, 0x1f, 0xd9]) == false)
        #expect(H264Framing.profileLevelID(ofSPS: withB) == "64000c")
        #expect(H264Framing.reorders(sps: [0x67, 0x64]) == nil)
        for length in 0..<withB.count { _ = H264Framing.reorders(sps: Array(withB.prefix(length))) }
    }
}
