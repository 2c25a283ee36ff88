// SPDX-License-Identifier: Apache-2.0
// Which codecs are taken, best first.

/// Encoding names in order of preference; a codec that is not listed is not accepted from a publisher.
public struct CodecPreferences: Sendable, Equatable {
    public var video: [String] = ["H264", "VP8", "VP9", "AV1"]
    public var audio: [String] = ["opus", "PCMU", "PCMA", "G722"]
    public init() {}
    public init(video: [String], audio: [String]) { self.video = video; self.audio = audio }

    func names(for kind: SDPMediaKind) -> [String] {
        switch kind {
        case .audio: audio
        case .video: video
        default: []
        }
    }
}
