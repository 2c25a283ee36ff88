// SPDX-License-Identifier: Apache-2.0
// The codecs this server knows by name, as a trivial value that the packet path can switch over.
// Made from SDP encoding names by whoever negotiates; used by the payload inspector, packetisers and assemblers.

/// A codec, independent of payload type and format parameters. `other` is anything that can only be passed through.
@frozen public enum CodecKind: UInt8, Sendable, CaseIterable {
    case opus, pcmu, pcma, g722, h264, vp8, vp9, av1, h265, aac, other

    /// The codec of an SDP `a=rtpmap` encoding name (compared without case, RFC 8866 §6.6); `.other` when unknown.
    public init(encodingName: String) {
        switch encodingName.uppercased() {
        case "OPUS": self = .opus
        case "PCMU": self = .pcmu
        case "PCMA": self = .pcma
        case "G722": self = .g722
        case "H264": self = .h264
        case "VP8": self = .vp8
        case "VP9": self = .vp9
        case "AV1", "AV1X": self = .av1
        case "H265", "HEVC": self = .h265
        case "MPEG4-GENERIC", "MP4A-LATM", "AAC": self = .aac
        default: self = .other
        }
    }

    /// The name used in `a=rtpmap`. `.other` has none and gives an empty string.
    public var encodingName: String {
        switch self {
        case .opus: "opus"
        case .pcmu: "PCMU"
        case .pcma: "PCMA"
        case .g722: "G722"
        case .h264: "H264"
        case .vp8: "VP8"
        case .vp9: "VP9"
        case .av1: "AV1"
        case .h265: "H265"
        case .aac: "mpeg4-generic"
        case .other: ""
        }
    }

    /// RTP clock rate in Hz. G.722 says 8000 although it samples at 16 kHz (RFC 3551 §4.5.2); AAC's depends on the
    /// stream and is given as the usual 48000; `.other` is taken for video.
    @inlinable public var clockRate: UInt32 {
        switch self {
        case .opus, .aac: 48_000
        case .pcmu, .pcma, .g722: 8_000
        case .h264, .vp8, .vp9, .av1, .h265, .other: 90_000
        }
    }

    /// True for the video codecs known here; false for `.other`.
    @inlinable public var isVideo: Bool {
        switch self {
        case .h264, .vp8, .vp9, .av1, .h265: true
        case .opus, .pcmu, .pcma, .g722, .aac, .other: false
        }
    }
}
