// SPDX-License-Identifier: Apache-2.0
// The codecs this module can handle and what FFmpeg calls them. Used by every encoder, decoder and the demuxer.
import CFFmpeg

/// A video codec that can be decoded and encoded here.
public enum VideoCodec: String, Sendable, CaseIterable {
    case h264, vp8, vp9, av1

    var id: AVCodecID {
        switch self {
        case .h264: AV_CODEC_ID_H264
        case .vp8: AV_CODEC_ID_VP8
        case .vp9: AV_CODEC_ID_VP9
        case .av1: AV_CODEC_ID_AV1
        }
    }
    init?(id: AVCodecID) {
        guard let match = Self.allCases.first(where: { $0.id == id }) else { return nil }
        self = match
    }
    /// FFmpeg's encoders for the codec, best for real time first.
    var encoderNames: [String] {
        switch self {
        case .h264: ["libx264"]
        case .vp8: ["libvpx"]
        case .vp9: ["libvpx-vp9"]
        case .av1: ["libaom-av1", "libsvtav1"]
        }
    }
    /// FFmpeg's decoders, preferred first. FFmpeg's own "av1" needs a graphics card, so it is not among them.
    var decoderNames: [String] {
        switch self {
        case .h264: ["h264"]
        case .vp8: ["vp8", "libvpx"]
        case .vp9: ["vp9", "libvpx-vp9"]
        case .av1: ["libdav1d", "libaom-av1"]
        }
    }
    /// Whether this machine's FFmpeg can encode it.
    public var canEncode: Bool { encoderNames.contains { avcodec_find_encoder_by_name($0) != nil } }
    /// Whether this machine's FFmpeg can decode it.
    public var canDecode: Bool { decoderNames.contains { avcodec_find_decoder_by_name($0) != nil } }
}

/// An audio codec that can be decoded and encoded here.
public enum AudioCodec: String, Sendable, CaseIterable {
    case opus, pcmu, pcma, g722, aac

    var id: AVCodecID {
        switch self {
        case .opus: AV_CODEC_ID_OPUS
        case .pcmu: AV_CODEC_ID_PCM_MULAW
        case .pcma: AV_CODEC_ID_PCM_ALAW
        case .g722: AV_CODEC_ID_ADPCM_G722
        case .aac: AV_CODEC_ID_AAC
        }
    }
    init?(id: AVCodecID) {
        guard let match = Self.allCases.first(where: { $0.id == id }) else { return nil }
        self = match
    }
    var encoderNames: [String] {
        switch self {
        case .opus: ["libopus"]
        case .pcmu: ["pcm_mulaw"]
        case .pcma: ["pcm_alaw"]
        case .g722: ["g722"]
        case .aac: ["aac"]
        }
    }
    var decoderNames: [String] {
        switch self {
        case .opus: ["libopus", "opus"]
        case .pcmu: ["pcm_mulaw"]
        case .pcma: ["pcm_alaw"]
        case .g722: ["g722"]
        case .aac: ["aac"]
        }
    }
    /// The sampling rate the codec works at when it knows only one (Hz); `nil` for AAC.
    public var fixedSampleRate: Int? {
        switch self {
        case .opus: 48_000
        case .pcmu, .pcma: 8_000
        case .g722: 16_000
        case .aac: nil
        }
    }
    /// The most channels the codec carries here.
    public var maximumChannels: Int {
        switch self {
        case .opus, .aac: 2
        case .pcmu, .pcma, .g722: 1
        }
    }
}
