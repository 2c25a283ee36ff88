// SPDX-License-Identifier: Apache-2.0
// What `martlet publish` can be told about its media. Taken by PublishPipeline.
import Codecs

/// Source, codecs, size and rates of a publication.
public struct PublishOptions: Sendable {
    public enum Source: Sendable, Equatable {
        /// The test pattern with burnt-in clock, and the tone.
        case pattern
        /// A media file, from its beginning, for ever when `loops`.
        case file(path: String, loops: Bool)
    }

    public var source = Source.pattern
    public var includesVideo = true
    public var includesAudio = true
    /// `nil`: H.264 for the pattern; for a file its own codec, passed through when a WebRTC receiver can take it.
    public var videoCodec: VideoCodec?
    /// `nil`: Opus; for a file with Opus it is passed through. AAC can't be sent over WebRTC and is refused.
    public var audioCodec: AudioCodec?
    /// Pixels. `nil`: 640 x 360, or the file's own size. Giving a size for a file means re-encoding.
    public var size: (width: Int, height: Int)?
    /// Frames per second of the pattern, 1…120.
    public var frameRate = 30
    /// Bit/s.
    public var videoBitrate = 1_000_000
    public var audioBitrate = 64_000
    /// A part of the pattern is noise, so that all of `videoBitrate` is used.
    public var isNoisy = false
    /// Seconds between key frames, 0: at the start and on request only. Of no effect on what is passed through.
    public var keyFrameSeconds = 0
    public var encoderThreads = 1
    /// Largest RTP payload in bytes, 200…1400.
    public var maximumPayload = 1180
    /// Packets of one picture are spread over at most this many milliseconds (and a third of the frame's time).
    public var pacingMilliseconds = 8

    public init() {}
}
