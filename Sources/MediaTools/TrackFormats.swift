// SPDX-License-Identifier: Apache-2.0
// How the tools' own tracks are described in SDP: the payload types and parameters that browsers use.
import Codecs
import RTP
import SDP

/// Track formats for what the encoders here give.
enum TrackFormats {
    private static let videoFeedback = ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"]

    /// - Parameter h264Profile: profile_idc and constraint byte when the stream is passed through; constrained baseline otherwise.
    static func video(
        _ codec: VideoCodec, width: Int, height: Int, frameRate: Int, h264Profile: (idc: UInt8, constraints: UInt8)? = nil
    ) -> TrackFormat {
        var format = switch codec {
        case .h264: SDP.Codec(payloadType: 108, name: "H264", clockRate: 90_000)
        case .vp8: SDP.Codec(payloadType: 96, name: "VP8", clockRate: 90_000)
        case .vp9: SDP.Codec(payloadType: 98, name: "VP9", clockRate: 90_000, parameters: ["profile-id": "0"])
        case .av1: SDP.Codec(payloadType: 45, name: "AV1", clockRate: 90_000, parameters: ["level-idx": "5", "profile": "0", "tier": "0"])
        }
        if codec == .h264 {
            let profile = h264Profile ?? (idc: 0x42, constraints: 0xe0)
            let level = h264Level(width: width, height: height, frameRate: frameRate)
            format.parameters = [
                "level-asymmetry-allowed": "1", "packetization-mode": "1",
                "profile-level-id": [profile.idc, profile.constraints, level].map(hex).joined(),
            ]
        }
        format.feedback = videoFeedback
        return TrackFormat(kind: .video, codec: format)
    }

    /// `nil` for AAC, which has no RTP form that WebRTC knows.
    static func audio(_ codec: AudioCodec) -> TrackFormat? {
        var format: SDP.Codec
        switch codec {
        case .opus:
            format = SDP.Codec(
                payloadType: 111, name: "opus", clockRate: 48_000, channels: 2, parameters: ["minptime": "10", "useinbandfec": "1"])
        case .pcmu: format = SDP.Codec(payloadType: 0, name: "PCMU", clockRate: 8_000)
        case .pcma: format = SDP.Codec(payloadType: 8, name: "PCMA", clockRate: 8_000)
        case .g722: format = SDP.Codec(payloadType: 9, name: "G722", clockRate: 8_000)
        case .aac: return nil
        }
        format.feedback = ["transport-cc"]
        return TrackFormat(kind: .audio, codec: format)
    }

    /// The lowest level_idc of H.264 table A-1 from 3.1 on that the size and rate fit into.
    static func h264Level(width: Int, height: Int, frameRate: Int) -> UInt8 {
        let macroblocks = ((width + 15) / 16) * ((height + 15) / 16), rate = macroblocks * frameRate
        let levels: [(idc: UInt8, frame: Int, rate: Int)] = [
            (31, 3_600, 108_000), (32, 5_120, 216_000), (40, 8_192, 245_760), (42, 8_704, 522_240), (50, 22_080, 589_824),
            (51, 36_864, 983_040),
        ]
        return levels.first { macroblocks <= $0.frame && rate <= $0.rate }?.idc ?? 52
    }

    private static func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }
}

extension AudioCodec {
    /// Samples at the codec's own rate as RTP ticks: G.722 counts 8 kHz while it samples at 16 (RFC 3551 §4.5.2).
    func rtpTicks(samples: Int64) -> Int64 { self == .g722 ? samples / 2 : samples }
}
