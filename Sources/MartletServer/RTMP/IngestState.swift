// SPDX-License-Identifier: Apache-2.0
// What an encoder's messages come to: which tracks the stream has, when it begins, which frames are written where. What can't be used costs
// the message, or the track, never the stream. A value without clock or tasks, driven by RTMPIngest; its parts are in IngestState+….
import Primitives
import RTMP

/// A track as an encoder announces it.
enum IngestTrack: Sendable, Equatable {
    /// Frames come as Annex B. `reorders`: in decoding order, and are shown in another.
    case h264(AVCConfiguration, reorders: Bool)
    case vp8, vp9, av1
    case aac(config: [UInt8])
    case opus(channels: Int)
    case pcma, pcmu

    var isVideo: Bool {
        switch self {
        case .h264, .vp8, .vp9, .av1: true
        default: false
        }
    }

    /// The codec, for the log.
    var name: String {
        switch self {
        case .h264: "H264"
        case .vp8: "VP8"
        case .vp9: "VP9"
        case .av1: "AV1"
        case .aac: "AAC"
        case .opus: "opus"
        case .pcma: "PCMA"
        case .pcmu: "PCMU"
        }
    }

    /// A stream with this track can go on with the other in its place. H.264 may come with other parameter sets.
    func isContinued(by other: IngestTrack) -> Bool {
        guard case .h264 = self, case .h264 = other else { return self == other }
        return true
    }
}

/// A frame on its way into the stream.
struct IngestFrame: Sendable, Equatable {
    var isVideo: Bool
    var bytes: [UInt8]
    /// When it is shown or heard.
    var time: MediaTime
    var isKeyFrame: Bool
}

struct IngestState: Sendable {
    enum Action: Sendable, Equatable {
        /// To be answered by `began`.
        case begin([IngestTrack])
        /// The stream goes on with these tracks: one has come, or is another than it was. What is written afterwards counts by them.
        case change([IngestTrack])
        case write(track: Int, IngestFrame)
        case update(track: Int, parameterSets: [[UInt8]])
        /// `look` is to be called after so long.
        case lookAfter(TimeSpan)
        /// For the log, each text once.
        case note(String)
        /// The stream can't go on.
        case fail(String)
    }

    enum Phase: Sendable, Equatable {
        /// Waits for the codecs.
        case collecting
        /// The source is being started; frames wait.
        case starting
        case running
        case ended
    }

    /// Why a track isn't there though messages of it come.
    struct Missing: Sendable {
        var video: String?
        var audio: String?
    }

    /// What messages have been left out, by reason.
    struct Counts: Sendable, Equatable {
        /// Messages that can't be used, or not be read.
        var unusable = 0
        /// Messages of further tracks of the same kind (multitrack).
        var otherTracks = 0
        /// Units behind start codes, which were put right.
        var annexB = 0
    }

    /// How long a promised, and an unmentioned, second track is waited for.
    static let promisedWait = TimeSpan.seconds(3)
    static let unmentionedWait = TimeSpan.milliseconds(700)
    /// Frames that may wait for the start. Older ones go first, so that nothing grows.
    static let maximumWaitingBytes = 16 << 20
    /// Composition times beyond this are none.
    static let longestComposition = TimeSpan.seconds(10)
    /// Tracks change no more often than this.
    static let changeInterval = TimeSpan.seconds(1)

    var phase = Phase.collecting
    var clock = MediaClock()
    var counts = Counts()
    // Video.
    var video: VideoFourCC?
    var configuration: AVCConfiguration?
    var accessUnits = AccessUnits()
    /// Composition times of the first frames, which say whether frames are reordered.
    var compositions: [TimeSpan] = []
    // Audio.
    var audio: AudioTag.Codec?
    var audioConfig: [UInt8]?
    /// The configuration was read off the frames or guessed, so another may take its place.
    var isAudioConfigDerived = false
    var audioPace = AudioPace()
    var metadataAudio: (sampleRate: Int, channels: Int)?
    /// The metadata say in so many words that there are two channels.
    var saysStereo = false
    /// What the metadata promises; `nil`: it doesn't say.
    var expectsVideo: Bool?
    var expectsAudio: Bool?
    var missing = Missing()
    /// What the target has.
    private(set) var tracks: [IngestTrack] = []
    private var first: (time: MediaTime, arrival: Instant)?
    private var frames: [IngestFrame] = []
    private var hasWaitingVideo = false
    private var bytes = 0
    private var lastChange: Instant?
    private var noted: Set<String> = []
    private var isLookDue = false

    /// Bytes of frames that are not complete, or wait for the start.
    var heldBytes: Int { bytes + accessUnits.heldBytes }

    // MARK: Input

    /// Audio or video.
    mutating func take(_ message: RTMPMessage, at now: Instant) -> [Action] {
        guard phase != .ended else { return [] }
        let isVideo = message.type == RTMPMessageType.video
        var actions: [Action] = []
        do throws(RTMPError) {
            if isVideo {
                if let tag = try VideoTag(message.payload) { try take(tag, message, now, &actions) }
            } else if let tag = try AudioTag(message.payload) {
                try take(tag, message, now, &actions)
            }
        } catch {
            counts.unusable += 1
            if case .unsupported(let what) = error {
                leaveOut(isVideo: isVideo, what, &actions)
            } else {
                note("\(isVideo ? "A video" : "An audio") message of the publisher can't be used and is left out: \(error)", &actions)
            }
        }
        if clock.isRunaway {
            fail("the timestamps jump again and again: more than \(MediaClock.rebasesPerMinute) times in a minute they had nothing to do with the time in which they came", &actions)
        }
        return actions
    }

    /// What was to be waited for may be over.
    mutating func look(at now: Instant) -> [Action] {
        isLookDue = false
        guard phase == .collecting else { return [] }
        var actions: [Action] = []
        settle(first.map { $0.time } ?? .zero, now, &actions)
        if phase == .collecting, first == nil || frames.isEmpty, let reason = missing.video ?? missing.audio { fail(reason, &actions) }
        return actions
    }

    /// The target has started.
    mutating func began(_ tracks: [IngestTrack], at now: Instant) -> [Action] {
        guard phase == .starting else { return [] }
        self.tracks = tracks
        phase = .running
        var actions: [Action] = []
        // What has come while the source was being started.
        if let track = tracks.firstIndex(where: \.isVideo), case .h264(let begun, let reorders) = tracks[track], let configuration, configuration != begun {
            replaceTrack(track, with: .h264(configuration, reorders: reorders))
            actions.append(.update(track: track, parameterSets: configuration.parameterSets))
        }
        let waiting = takeFrames()
        for frame in waiting { write(frame, now, &actions) }
        return actions
    }

    mutating func end() {
        phase = .ended
        frames = []
    }

    // MARK: Deciding

    /// The target's track is this one by now; when the other changes, it is told to the source once more.
    mutating func replaceTrack(_ index: Int, with track: IngestTrack) { tracks[index] = track }

    /// Tells the log, once, and counts nothing.
    mutating func note(_ text: String, _ actions: inout [Action]) {
        guard noted.count < 16, noted.insert(text).inserted else { return }
        actions.append(.note(text))
    }

    mutating func fail(_ reason: String, _ actions: inout [Action]) {
        guard phase != .ended else { return }
        end()
        actions.append(.fail(reason))
    }

    /// A codec isn't taken: the stream goes on without the track. When nothing else comes either, that is the end.
    private mutating func leaveOut(isVideo: Bool, _ what: String, _ actions: inout [Action]) {
        let reason = "not supported: \(what)"
        note("The publisher's \(isVideo ? "video" : "audio") is left out: \(reason)", &actions)
        let isKnown = isVideo ? video != nil : audio != nil
        guard phase == .collecting, !isKnown else { return }
        if isVideo { missing.video = missing.video ?? reason } else { missing.audio = missing.audio ?? reason }
        let expectsOther = isVideo ? expectsAudio : expectsVideo
        if expectsOther == false || missing.video != nil && missing.audio != nil { return fail(reason, &actions) }
        lookLater(expectsOther == true ? Self.promisedWait : Self.unmentionedWait, &actions)
    }

    mutating func lookLater(_ time: TimeSpan, _ actions: inout [Action]) {
        guard !isLookDue else { return }
        isLookDue = true
        actions.append(.lookAfter(time))
    }

    /// A frame whose codec is known.
    mutating func deliver(_ frame: IngestFrame, _ now: Instant, _ actions: inout [Action]) {
        switch phase {
        case .ended: break
        case .running: write(frame, now, &actions)
        case .starting: keep(frame)
        case .collecting:
            first = first ?? (frame.time, now)
            keep(frame)
            settle(frame.time, now, &actions)
        }
    }

    private mutating func keep(_ frame: IngestFrame) {
        frames.append(frame)
        if frame.isVideo { hasWaitingVideo = true }
        // What a frame takes besides its bytes.
        bytes += frame.bytes.count + 128
        if bytes > Self.maximumWaitingBytes { _ = takeFrames() }
    }

    private mutating func takeFrames() -> [IngestFrame] {
        defer {
            frames = []
            bytes = 0
            hasWaitingVideo = false
        }
        return frames
    }

    /// Into the running stream. A track that is new, or another than it was, is told to the source with its first frame.
    private mutating func write(_ frame: IngestFrame, _ now: Instant, _ actions: inout [Action]) {
        let index = tracks.firstIndex { $0.isVideo == frame.isVideo }
        guard let track = frame.isVideo ? videoTrack : audioTrack else {
            if let index {
                actions.append(.write(track: index, frame))
            } else if frame.isVideo {
                // The next frame says whether frames are reordered.
                keep(frame)
            }
            return
        }
        if let index, tracks[index].isContinued(by: track) { return actions.append(.write(track: index, frame)) }
        guard lastChange.map({ now.span(since: $0) >= Self.changeInterval }) ?? true else { return }
        lastChange = now
        if let index { tracks[index] = track } else { tracks.append(track) }
        actions.append(.change(tracks))
        for waiting in takeFrames() + [frame] { actions.append(.write(track: index ?? tracks.count - 1, waiting)) }
    }

    /// Begins the stream once nothing more is to be waited for.
    private mutating func settle(_ time: MediaTime, _ now: Instant, _ actions: inout [Action]) {
        guard phase == .collecting else { return }
        let waited = first.map { max(time - $0.time, now.span(since: $0.arrival)) } ?? .zero
        if waited >= Self.unmentionedWait { guessAudioConfig(&actions) }
        let hasVideo = videoTrack != nil && hasWaitingVideo, hasAudio = audioTrack != nil
        func isSettled(_ has: Bool, _ expected: Bool?, _ missing: String?) -> Bool {
            has || expected == false || missing != nil || waited >= (expected == true ? Self.promisedWait : Self.unmentionedWait)
        }
        guard hasVideo || hasAudio, isSettled(hasVideo, expectsVideo, missing.video), isSettled(hasAudio, expectsAudio, missing.audio) else { return }
        // Video that is promised and described is part of it even when its first key frame is still a while away.
        let described = hasVideo ? videoTrack : video == .avc ? configuration.map { .h264($0, reorders: reorders ?? false) } : nil
        let tracks = [described, hasAudio ? audioTrack : nil].compactMap { $0 }
        phase = .starting
        actions.append(.begin(tracks))
    }

    /// The video track, once it is known what it is.
    var videoTrack: IngestTrack? {
        switch video {
        case .avc:
            guard let configuration, let reorders else { return nil }
            return .h264(configuration, reorders: reorders)
        case .vp8: return .vp8
        case .vp9: return .vp9
        case .av1: return .av1
        case .hevc, .vvc, nil: return nil
        }
    }

    var audioTrack: IngestTrack? {
        switch audio {
        case .aac: audioConfig.map { .aac(config: $0) }
        case .opus: .opus(channels: audioConfig.flatMap { $0.count > 9 ? Int($0[9]) : nil } ?? 2)
        case .g711A: .pcma
        case .g711U: .pcmu
        case .speex, nil: nil
        }
    }
}
