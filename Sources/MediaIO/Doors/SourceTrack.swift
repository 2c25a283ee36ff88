// SPDX-License-Identifier: Apache-2.0
// What a source inside the server brings, in the terms of its own protocol. Used by RTMP, files and tests; see FrameSource.
import RTP
import SDP

/// One track of frames.
public enum SourceTrack: Sendable, Equatable {
    /// How H.264 units lie in a frame.
    public enum Framing: Sendable, Equatable {
        case annexB
        /// Units behind lengths of so many bytes, 1…4 (MP4, FLV).
        case lengthPrefixed(Int)
    }
    /// - Parameters:
    ///   - parameterSets: SPS and PPS, without start codes. Put in front of every key frame that lacks them.
    ///   - reordersFrames: there are B-frames; otherwise this is read from the SPS, or found out.
    case h264(parameterSets: [[UInt8]], framing: Framing = .annexB, reordersFrames: Bool = false)
    case vp8, vp9, av1
    /// - Parameter config: the AudioSpecificConfig. Frames come without ADTS.
    case aac(config: [UInt8])
    case opus(channels: Int = 2)
    case pcmu, pcma

    public var codec: CodecKind {
        switch self {
        case .h264: .h264
        case .vp8: .vp8
        case .vp9: .vp9
        case .av1: .av1
        case .aac: .aac
        case .opus: .opus
        case .pcmu: .pcmu
        case .pcma: .pcma
        }
    }

    /// The frames of a source that has been `other` can go on as this, in the same sequence of packets.
    func continues(_ other: SourceTrack) -> Bool {
        guard case .h264(_, let framing, _) = self, case .h264(_, let before, _) = other else { return self == other }
        return framing == before
    }

    /// As SDP says it; `nil` for AAC whose header can't be read.
    public var format: TrackFormat? {
        switch self {
        case .h264(let parameterSets, _, let reordersFrames):
            var codec = SDP.Codec(payloadType: 108, name: "H264", clockRate: 90_000)
            let sps = parameterSets.first { ($0.first ?? 0) & 0x1f == 7 }
            codec.parameters = [
                "level-asymmetry-allowed": "1", "packetization-mode": "1",
                "profile-level-id": sps.flatMap(H264Framing.profileLevelID) ?? "42e01f",
            ]
            if !parameterSets.isEmpty { codec.parameters["sprop-parameter-sets"] = Base64.encode(parameterSets) }
            var format = TrackFormat(kind: .video, codec: codec)
            format.isReordered = reordersFrames || sps.flatMap(H264Framing.reorders) ?? false
            return format
        case .vp8: return Self.video(96, "VP8")
        case .vp9: return Self.video(98, "VP9", ["profile-id": "0"])
        case .av1: return Self.video(45, "AV1", ["level-idx": "5", "profile": "0", "tier": "0"])
        case .aac(let config):
            guard let header = AudioSpecificConfig(config), let channels = header.describedChannels else { return nil }
            return Self.aac(config: config, sampleRate: header.sampleRate, channels: channels)
        case .opus(let channels):
            var format = TrackFormat(kind: .audio, codec: SDP.Codec(payloadType: 111, name: "opus", clockRate: 48_000, channels: 2))
            format.codec.parameters = ["minptime": "10", "useinbandfec": "1"]
            if channels == 2 { format.codec.parameters["sprop-stereo"] = "1" }
            return format
        case .pcmu: return TrackFormat(kind: .audio, codec: SDP.Codec(payloadType: 0, name: "PCMU", clockRate: 8_000))
        case .pcma: return TrackFormat(kind: .audio, codec: SDP.Codec(payloadType: 8, name: "PCMA", clockRate: 8_000))
        }
    }

    private static func video(_ payloadType: UInt8, _ name: String, _ parameters: FormatParameters = [:]) -> TrackFormat {
        TrackFormat(kind: .video, codec: SDP.Codec(payloadType: payloadType, name: name, clockRate: 90_000, parameters: parameters))
    }

    /// AAC-hbr as RFC 3640 §4.1 writes it.
    public static func aac(config: [UInt8], sampleRate: Int, channels: Int) -> TrackFormat {
        var codec = SDP.Codec(payloadType: 97, name: "mpeg4-generic", clockRate: sampleRate, channels: channels)
        codec.parameters = [
            "streamtype": "5", "profile-level-id": "1", "mode": "AAC-hbr", "sizelength": "13", "indexlength": "3", "indexdeltalength": "3",
            "config": config.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(),
        ]
        return TrackFormat(kind: .audio, codec: codec)
    }
}

extension TrackFormat {
    /// AAC: how it lies in packets; `nil` for a form that is not handled.
    public var aacPayload: AACPayloadFormat? { AACPayloadFormat { codec.parameters[$0] } }
}
