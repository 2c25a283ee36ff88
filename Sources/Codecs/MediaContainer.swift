// SPDX-License-Identifier: Apache-2.0
// The container formats that can be written here, and what FFmpeg calls them. Used by Muxer and MediaFinisher.
import CFFmpeg

public enum MediaContainer: String, Sendable, CaseIterable {
    case mp4, webm
    case matroska = "mkv"

    /// FFmpeg's muxer. Its WebM muxer refuses H.264, which players take in WebM all the same.
    func muxerName(isPlainWebM: Bool) -> String {
        switch self {
        case .mp4: "mp4"
        case .webm: isPlainWebM ? "webm" : "matroska"
        case .matroska: "matroska"
        }
    }
    /// Also the file name's ending.
    public var fileExtension: String { rawValue }
}

/// One track of a file to be written.
public struct MuxerTrack: Sendable, Equatable {
    public enum Kind: Sendable, Equatable {
        /// `parameterSets`: H.264 in Annex B, AV1 the sequence header, else empty.
        case video(VideoCodec, width: Int, height: Int, parameterSets: [UInt8], rotation: PictureRotation)
        /// `header`: the codec's own (AudioSpecificConfig, OpusHead).
        case audio(AudioCodec, sampleRate: Int, channels: Int, header: [UInt8])
    }
    public var kind: Kind
    /// Shown by players that know several tracks; goes into the file as the track's title.
    public var title: String?

    public init(_ kind: Kind, title: String? = nil) {
        self.kind = kind
        self.title = title
    }

    var codecID: AVCodecID {
        switch kind {
        case .video(let codec, _, _, _, _): codec.id
        case .audio(let codec, _, _, _): codec.id
        }
    }

    /// OpusHead (RFC 7845 §5.1) for packets as RTP carries them: nothing is to be skipped.
    public static func opusHead(channels: Int) -> [UInt8] {
        Array("OpusHead".utf8) + [1, UInt8(channels), 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 0]
    }
}
