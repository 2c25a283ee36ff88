// SPDX-License-Identifier: Apache-2.0
// Which container a recording gets by its codecs: the setting record_formats. A value; read at start and in workers.
import Codecs
import RTP

/// `h264-mp4,vp8-webm`: codec and container in pairs; what is not named keeps its default.
public struct RecordFormats: Sendable, Equatable {
    /// What can be written; H.264 in anything, the others where players expect them.
    static let possible: [VideoCodec: [MediaContainer]] = [
        .h264: [.mp4, .webm, .matroska], .vp8: [.webm, .matroska], .vp9: [.webm, .matroska], .av1: [.webm, .matroska],
    ]
    public static let choices = possible.keys.map(\.rawValue).sorted().flatMap { name in
        (VideoCodec(rawValue: name).flatMap { possible[$0] } ?? []).map { "\(name)-\($0.rawValue)" }
    }

    private var containers: [VideoCodec: MediaContainer] = [.h264: .mp4, .vp8: .webm, .vp9: .webm, .av1: .webm]

    public init() {}

    /// `nil` when a pair is not possible.
    public init?(_ text: String) {
        for pair in text.split(separator: ",") {
            let parts = pair.lowercased().filter { !$0.isWhitespace }.split(separator: "-").map(String.init)
            guard parts.count == 2, let codec = VideoCodec(rawValue: parts[0]), let container = MediaContainer(rawValue: parts[1]),
                Self.possible[codec]?.contains(container) == true
            else { return nil }
            containers[codec] = container
        }
    }

    var text: String { containers.map { "\($0.key.rawValue)-\($0.value.rawValue)" }.sorted().joined(separator: ",") }

    /// Without video always MP4 with AAC.
    func container(for codec: VideoCodec?) -> MediaContainer { codec.flatMap { containers[$0] } ?? .mp4 }

    /// The sound that goes with it.
    func sound(for container: MediaContainer) -> SoundLane.Target { container == .mp4 ? .aac : .opus }
}
