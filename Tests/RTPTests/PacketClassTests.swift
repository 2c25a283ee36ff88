// SPDX-License-Identifier: Apache-2.0
import RTP
import Testing

@Suite struct PacketClassTests {
    @Test("datagrams on one port are told apart by their first two bytes", arguments: [
        ([0x00, 0x01], PacketClass.stun), ([0x01, 0x01], .stun), ([0x03, 0xff], .stun),
        ([22, 254], .dtls), ([20, 254], .dtls), ([63, 254], .dtls),
        ([0x80, 96], .rtp), ([0x80, 96 | 0x80], .rtp), ([0xbf, 111], .rtp), ([0x80, 191], .rtp), ([0x80, 224], .rtp),
        ([0x80, 200], .rtcp), ([0x81, 201], .rtcp), ([0x8f, 205], .rtcp), ([0x80, 192], .rtcp), ([0x80, 223], .rtcp),
        ([64, 0], .unknown), ([19, 0], .unknown), ([4, 0], .unknown), ([192, 0], .unknown), ([0x80], .unknown), ([], .unknown),
    ] as [([UInt8], PacketClass)])
    func classes(bytes: [UInt8], expected: PacketClass) {
        #expect(bytes.view { PacketClass($0) } == expected)
    }
}

@Suite struct CodecKindTests {
    @Test("encoding names are read without regard to case and written canonically")
    func names() {
        #expect(CodecKind(encodingName: "h264") == .h264)
        #expect(CodecKind(encodingName: "OPUS") == .opus)
        #expect(CodecKind(encodingName: "telephone-event") == .other)
        for codec in CodecKind.allCases where codec != .other {
            #expect(CodecKind(encodingName: codec.encodingName) == codec)
        }
        #expect(CodecKind.opus.encodingName == "opus")
        #expect(CodecKind.g722.clockRate == 8000)
        #expect(CodecKind.vp8.clockRate == 90_000 && CodecKind.vp8.isVideo)
    }
}
