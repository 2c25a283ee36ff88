// SPDX-License-Identifier: Apache-2.0
// The codecs of Enhanced RTMP (v1 and v2) by their four characters, video and audio.

public enum VideoFourCC: Sendable, CaseIterable {
    case avc, hevc, av1, vp9, vp8, vvc

    public var text: String {
        switch self {
        case .avc: "avc1"
        case .hevc: "hvc1"
        case .av1: "av01"
        case .vp9: "vp09"
        case .vp8: "vp08"
        case .vvc: "vvc1"
        }
    }

    /// Taken from publishers.
    public var isAccepted: Bool {
        switch self {
        case .avc, .av1, .vp9, .vp8: true
        case .hevc, .vvc: false
        }
    }

    /// The name people know.
    public var name: String {
        switch self {
        case .avc: "H.264"
        case .hevc: "H.265"
        case .av1: "AV1"
        case .vp9: "VP9"
        case .vp8: "VP8"
        case .vvc: "H.266"
        }
    }

    init?(_ bytes: ArraySlice<UInt8>) {
        guard let found = Self.allCases.first(where: { bytes.elementsEqual($0.text.utf8) }) else { return nil }
        self = found
    }
}
