// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import Testing

@Suite struct PayloadInspectorTests {
    /// Sequence parameter sets of libx264: 426×240 baseline (cropped from 432), 1920×1080 high (cropped from 1088).
    static let sps240 = "67 42 c0 15 d9 01 b1 fe 4f 01 10 00 00 03 00 10 00 00 03 03 20 f1 62 e4 80"
    static let sps1080 = "67 64 00 28 ac d9 40 78 02 27 e5 ff c0 9f c0 a0 04 00 00 03 00 04 00 00 03 00 c8 3c 60 c6 58"
    /// First bytes of libvpx's VP8 and VP9 key frames and of a frame that follows, 426×240.
    static let vp8Key = "b0 67 00 9d 01 2a aa 01 f0 00 00 07 08 85 85 88"
    static let vp8Delta = "71 09 00 05 10 ac 00 18 41 04 61 fe 7f e3 f9 1f"
    static let vp9Key = "82 49 83 42 00 1a 90 0e f6 08 38 24 1c 18 4a 00"
    static let vp9Delta = "86 00 40 92 9c 18 50 00 00 0b 60 f9 db 37 e7 d5"
    /// Sequence header OBU of libaom without size field, 426×240.
    static let av1Sequence = "08 00 00 00 04 3e a7 bc da f9 00 40"

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var codec: CodecKind
        var payload: String
        var isFrameStart: Bool
        var isKeyFrameStart: Bool
        var size: [Int]?
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(name: "H.264 SPS", codec: .h264, payload: sps240, isFrameStart: true, isKeyFrameStart: true, size: [426, 240]),
        Case(name: "H.264 high SPS", codec: .h264, payload: sps1080, isFrameStart: true, isKeyFrameStart: true, size: [1920, 1080]),
        Case(
            name: "H.264 STAP-A of delimiter, SPS and PPS", codec: .h264,
            payload: "78 0002 09f0 0019" + sps240 + "0005 68cb83cb20", isFrameStart: true, isKeyFrameStart: true,
            size: [426, 240]),
        Case(name: "H.264 STAP-A of two slices", codec: .h264, payload: "78 0003 41e001 0003 416001", isFrameStart: true, isKeyFrameStart: false),
        Case(name: "H.264 PPS alone", codec: .h264, payload: "68cb83cb20", isFrameStart: true, isKeyFrameStart: false),
        Case(name: "H.264 IDR slice", codec: .h264, payload: "65 88 84 00", isFrameStart: true, isKeyFrameStart: true),
        Case(name: "H.264 second IDR slice", codec: .h264, payload: "65 08 84 00", isFrameStart: false, isKeyFrameStart: false),
        Case(name: "H.264 slice", codec: .h264, payload: "41 9a 02", isFrameStart: true, isKeyFrameStart: false),
        Case(name: "H.264 FU-A start of IDR", codec: .h264, payload: "7c 85 88 84", isFrameStart: true, isKeyFrameStart: true),
        Case(name: "H.264 FU-A middle of IDR", codec: .h264, payload: "7c 05 88 84", isFrameStart: false, isKeyFrameStart: false),
        Case(name: "H.264 FU-A start of slice", codec: .h264, payload: "5c 81 9a 84", isFrameStart: true, isKeyFrameStart: false),
        Case(name: "H.264 STAP-A cut off", codec: .h264, payload: "78 00ff 67", isFrameStart: false, isKeyFrameStart: false),
        Case(name: "VP8 key frame, plain descriptor", codec: .vp8, payload: "10" + vp8Key, isFrameStart: true, isKeyFrameStart: true, size: [426, 240]),
        Case(name: "VP8 key frame, 15-bit picture ID", codec: .vp8, payload: "90 80 8123" + vp8Key, isFrameStart: true, isKeyFrameStart: true, size: [426, 240]),
        Case(name: "VP8 key frame, all extensions", codec: .vp8, payload: "90 f0 8123 07 60" + vp8Key, isFrameStart: true, isKeyFrameStart: true, size: [426, 240]),
        Case(name: "VP8 delta frame", codec: .vp8, payload: "90 80 12" + vp8Delta, isFrameStart: true, isKeyFrameStart: false),
        Case(name: "VP8 middle", codec: .vp8, payload: "80 80 12" + vp8Key, isFrameStart: false, isKeyFrameStart: false),
        Case(name: "VP8 second partition", codec: .vp8, payload: "91 80 12" + vp8Key, isFrameStart: false, isKeyFrameStart: false),
        Case(name: "VP8 descriptor cut off", codec: .vp8, payload: "90 f0 81", isFrameStart: false, isKeyFrameStart: false),
        Case(name: "VP9 key frame", codec: .vp9, payload: "8c 81 23" + vp9Key, isFrameStart: true, isKeyFrameStart: true, size: [426, 240]),
        Case(
            name: "VP9 key frame with structure of two layers", codec: .vp9,
            payload: "aa 81 23 00 01 38 00a0 005a 0140 00b4 01 14 01" + vp9Key, isFrameStart: true, isKeyFrameStart: true,
            size: [320, 180]),
        Case(name: "VP9 upper layer of a key picture", codec: .vp9, payload: "ac 81 23 02 01" + vp9Key, isFrameStart: false, isKeyFrameStart: false, size: [426, 240]),
        Case(name: "VP9 delta frame", codec: .vp9, payload: "cc 81 23" + vp9Delta, isFrameStart: true, isKeyFrameStart: false),
        Case(name: "VP9 flexible mode with references", codec: .vp9, payload: "fc 81 23 00 03 04" + vp9Delta, isFrameStart: true, isKeyFrameStart: false),
        Case(name: "VP9 middle of a key frame", codec: .vp9, payload: "80 81 23" + vp9Key, isFrameStart: false, isKeyFrameStart: false),
        Case(name: "VP9 structure cut off", codec: .vp9, payload: "8a 81 23 f8 0000", isFrameStart: false, isKeyFrameStart: false),
        Case(name: "AV1 new sequence, one element", codec: .av1, payload: "18" + av1Sequence, isFrameStart: true, isKeyFrameStart: true, size: [426, 240]),
        Case(name: "AV1 sequence header and frame", codec: .av1, payload: "28 0c" + av1Sequence + "30 10 00", isFrameStart: true, isKeyFrameStart: true, size: [426, 240]),
        Case(name: "AV1 sequence header with size field", codec: .av1, payload: "10 0a 0b" + String(av1Sequence.dropFirst(2)), isFrameStart: true, isKeyFrameStart: true, size: [426, 240]),
        Case(name: "AV1 frame", codec: .av1, payload: "10 30 30 00", isFrameStart: true, isKeyFrameStart: false),
        Case(name: "AV1 tile group", codec: .av1, payload: "10 20 30 00", isFrameStart: false, isKeyFrameStart: false),
        Case(name: "AV1 continuation", codec: .av1, payload: "90 08 00 00", isFrameStart: false, isKeyFrameStart: false),
        Case(name: "AV1 length beyond the packet", codec: .av1, payload: "00 7f 08 00", isFrameStart: false, isKeyFrameStart: false),
        Case(name: "H.265 VPS", codec: .h265, payload: "40 01 0c 01", isFrameStart: true, isKeyFrameStart: true),
        Case(name: "H.265 FU start of IDR", codec: .h265, payload: "62 01 93 80", isFrameStart: true, isKeyFrameStart: true),
        Case(name: "H.265 slice", codec: .h265, payload: "02 01 d0 00", isFrameStart: true, isKeyFrameStart: false),
        Case(name: "Opus", codec: .opus, payload: "fc ff fe", isFrameStart: true, isKeyFrameStart: true),
        Case(name: "nothing", codec: .h264, payload: "", isFrameStart: false, isKeyFrameStart: false),
    ]

    @Test("frame starts, key frames and picture sizes are seen", arguments: cases)
    func inspects(_ test: Case) {
        [UInt8](hex: test.payload).view { payload in
            #expect(PayloadInspector.isFrameStart(codec: test.codec, payload: payload) == test.isFrameStart)
            #expect(PayloadInspector.isKeyFrameStart(codec: test.codec, payload: payload) == test.isKeyFrameStart)
            #expect(PayloadInspector.videoSize(codec: test.codec, payload: payload).map { [$0.width, $0.height] } == test.size)
        }
    }

    @Test("cut off and mutated payloads never lead beyond their bytes", arguments: CodecKind.allCases)
    func fuzz(codec: CodecKind) {
        var random = RandomSource.seeded(UInt64(codec.rawValue) + 1)
        for test in Self.cases {
            let whole = [UInt8](hex: test.payload)
            for _ in 0..<200 {
                var payload = Array(whole.prefix(Int.random(in: 0...max(whole.count, 1), using: &random)))
                for _ in 0..<Int.random(in: 0...3, using: &random) where !payload.isEmpty {
                    payload[Int.random(in: 0..<payload.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
                payload.view { bytes in
                    _ = PayloadInspector.isFrameStart(codec: codec, payload: bytes)
                    _ = PayloadInspector.isKeyFrameStart(codec: codec, payload: bytes)
                    if let size = PayloadInspector.videoSize(codec: codec, payload: bytes) {
                        #expect(size.width > 0 && size.height > 0)
                    }
                }
            }
        }
    }
}
