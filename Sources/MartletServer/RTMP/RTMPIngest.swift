// What an encoder sends, into a source of the media graph: waits until the codecs are known, starts the source, hands frames on.
// Fed on the connection's event loop; starting happens in a task. Used for publishers and for pulled streams.
import Logging
import RTMP
import Synchronization

/// Where the frames go: the source of one stream.
protocol IngestTarget: Sendable {
    func start(_ tracks: [IngestTrack]) async throws(StreamRefusal)
    func write(track: Int, frame: [UInt8], milliseconds: Int64, isKeyFrame: Bool)
    func update(track: Int, parameterSets: [[UInt8]])
}

/// A track as an encoder announces it.
enum IngestTrack: Sendable, Equatable {
    /// `reorders`: frames come in decoding order and are shown in another.
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
}

final class RTMPIngest: Sendable {
    private struct Frame {
        let isVideo: Bool
        let bytes: [UInt8]
        let time: Int64
        let isKeyFrame: Bool
    }

    private enum Phase {
        /// Waits for the codecs.
        case collecting
        /// The source is being started; frames wait.
        case starting
        /// Numbers of the tracks.
        case running(video: Int?, audio: Int?)
        case ended
    }

    private struct State {
        var phase = Phase.collecting
        var clock = MediaClock()
        var video: VideoFourCC?
        var configuration: AVCConfiguration?
        var reorders = false
        var audio: AudioTag.Codec?
        var audioConfig: [UInt8]?
        var isStereo = true
        /// What the metadata promises; `nil`: it doesn't say.
        var expectsVideo: Bool?
        var expectsAudio: Bool?
        var firstTime: Int64?
        var frames: [Frame] = []
        var bytes = 0
        var hasWarnedOfLateTrack = false
    }

    /// How long a promised, and an unmentioned, second track is waited for; in the stream's own time.
    private static let promisedWait: Int64 = 3000
    private static let unmentionedWait: Int64 = 700
    /// Frames that may wait for the start. Older ones go first, so that nothing grows.
    private static let maximumWaitingBytes = 16 << 20

    private let state = Mutex(State())
    private let target: any IngestTarget
    /// Why the stream can't go on; told once.
    private let onFailure: @Sendable (String) -> Void
    private let logger: Logger

    init(target: any IngestTarget, logger: Logger, onFailure: @escaping @Sendable (String) -> Void) {
        self.target = target
        self.logger = logger
        self.onFailure = onFailure
    }

    func end() {
        state.withLock { state in
            state.phase = .ended
            state.frames = []
        }
    }

    /// `onMetaData`: says which tracks to expect.
    func take(metadata: AMF0Value) {
        state.withLock { state in
            func has(_ key: String) -> Bool { metadata[key].map { !$0.isNull } ?? false }
            let saysVideo = has("videocodecid") || has("width"), saysAudio = has("audiocodecid")
            // Metadata that says nothing of codecs promises nothing.
            guard saysVideo || saysAudio else { return }
            state.expectsVideo = saysVideo
            state.expectsAudio = saysAudio
        }
    }

    /// Audio or video.
    func take(_ message: RTMPMessage) {
        do throws(RTMPError) {
            if message.type == RTMPMessageType.video {
                if let tag = try VideoTag(message.payload) { try take(tag, message) }
            } else if let tag = try AudioTag(message.payload) {
                try take(tag, message)
            }
        } catch {
            fail(error.description)
        }
    }

    private func fail(_ reason: String) {
        let isNew = state.withLock { state in
            if case .ended = state.phase { return false }
            state.phase = .ended
            state.frames = []
            return true
        }
        if isNew { onFailure(reason) }
    }

    private func take(_ tag: VideoTag, _ message: RTMPMessage) throws(RTMPError) {
        guard tag.codec.isAccepted else { throw .unsupported("video codec \(tag.codec.name); send H.264") }
        switch tag.content {
        case .configuration:
            var configuration: AVCConfiguration?
            if tag.codec == .avc { configuration = try AVCConfiguration(parsing: message.payload[tag.offset...]) }
            try configure(tag.codec, configuration)
        case .frame:
            guard tag.offset < message.payload.count else { return }
            accept(message, offset: tag.offset, isVideo: true, shift: Int64(tag.compositionTime), isKeyFrame: tag.isKeyFrame) { state in
                // VP8 needs no configuration to come first.
                if state.video == nil, tag.codec == .vp8 { state.video = .vp8 }
                guard state.video == tag.codec, tag.codec != .avc || state.configuration != nil else { return false }
                if tag.compositionTime != 0 { state.reorders = true }
                return true
            }
        case .endOfSequence, .other: break
        }
    }

    private func configure(_ codec: VideoFourCC, _ configuration: AVCConfiguration?) throws(RTMPError) {
        let update = state.withLock { state -> (track: Int, sets: [[UInt8]])?? in
            guard state.video == nil || state.video == codec else { return nil }
            let isNew = state.configuration != configuration
            guard state.configuration == nil || state.configuration?.lengthSize == configuration?.lengthSize else { return nil }
            state.video = codec
            state.configuration = configuration
            guard isNew, let configuration, case .running(let video?, _) = state.phase else { return .some(nil) }
            return (video, configuration.parameterSets)
        }
        guard let update else { throw .unsupported("another video codec in the middle of a stream") }
        if let update { target.update(track: update.track, parameterSets: update.sets) }
    }

    private func take(_ tag: AudioTag, _ message: RTMPMessage) throws(RTMPError) {
        guard tag.codec != .speex else { throw .unsupported("audio codec Speex; send AAC, Opus or G.711") }
        switch tag.content {
        case .configuration:
            let config = Array(message.payload[tag.offset...])
            guard config.count >= 2, config.count <= 512 else { throw .malformed("an audio configuration of \(config.count) bytes") }
            let isOther = state.withLock { state in
                if state.audio == nil { state.audio = tag.codec }
                if state.audioConfig == nil { state.audioConfig = config }
                return state.audio != tag.codec || state.audioConfig != config
            }
            if isOther { throw .unsupported("another audio configuration in the middle of a stream") }
        case .frame:
            guard tag.offset < message.payload.count else { return }
            accept(message, offset: tag.offset, isVideo: false, shift: 0, isKeyFrame: true) { state in
                if state.audio == nil, tag.codec != .aac {
                    state.audio = tag.codec
                    state.isStereo = tag.isStereo
                }
                return state.audio == tag.codec && (tag.codec != .aac || state.audioConfig != nil)
            }
        case .endOfSequence, .other: break
        }
    }

    /// - Parameter admits: whether the frame's codec is known, and the stream's.
    private func accept(
        _ message: RTMPMessage, offset: Int, isVideo: Bool, shift: Int64, isKeyFrame: Bool, _ admits: (inout State) -> Bool
    ) {
        enum Step {
            case nothing
            case write(track: Int, time: Int64)
            case start([IngestTrack])
            case warn
        }
        let step = state.withLock { state -> Step in
            let time = state.clock.unwrap(message.timestamp)
            guard admits(&state) else { return .nothing }
            switch state.phase {
            case .ended: return .nothing
            case .running(let video, let audio):
                if let track = isVideo ? video : audio { return .write(track: track, time: time + shift) }
                guard !state.hasWarnedOfLateTrack else { return .nothing }
                state.hasWarnedOfLateTrack = true
                return .warn
            case .collecting, .starting:
                state.firstTime = state.firstTime ?? time
                let frame = Frame(isVideo: isVideo, bytes: Array(message.payload[offset...]), time: time + shift, isKeyFrame: isKeyFrame)
                state.frames.append(frame)
                state.bytes += frame.bytes.count
                if state.bytes > Self.maximumWaitingBytes {
                    state.bytes = 0
                    state.frames = []
                }
                if case .collecting = state.phase, let tracks = Self.tracks(state, at: time) {
                    state.phase = .starting
                    return .start(tracks)
                }
                return .nothing
            }
        }
        switch step {
        case .nothing: break
        case .write(let track, let time):
            target.write(track: track, frame: Array(message.payload[offset...]), milliseconds: time, isKeyFrame: isKeyFrame)
        case .warn:
            logger.warning("\(isVideo ? "Pictures begin" : "Sound begins") long after the stream and can't be added to it; the encoder should say in its metadata what it sends")
        case .start(let tracks): start(tracks)
        }
    }

    /// The stream's tracks, once nothing more is to be waited for.
    private static func tracks(_ state: State, at time: Int64) -> [IngestTrack]? {
        let waited = time - (state.firstTime ?? time)
        // The first picture says whether frames are reordered, so it must have come as well.
        let hasVideo = state.frames.contains { $0.isVideo }, hasAudio = state.audio != nil && (state.audio != .aac || state.audioConfig != nil)
        func isSettled(_ has: Bool, _ expected: Bool?) -> Bool {
            has || expected == false || waited >= (expected == true ? promisedWait : unmentionedWait)
        }
        guard hasVideo || hasAudio, isSettled(hasVideo, state.expectsVideo), isSettled(hasAudio, state.expectsAudio) else { return nil }
        var tracks: [IngestTrack] = []
        if hasVideo, let video = state.video {
            switch video {
            case .avc: if let configuration = state.configuration { tracks.append(.h264(configuration, reorders: state.reorders)) }
            case .vp8: tracks.append(.vp8)
            case .vp9: tracks.append(.vp9)
            case .av1: tracks.append(.av1)
            case .hevc, .vvc: break
            }
        }
        switch state.audio {
        case .aac: if let config = state.audioConfig { tracks.append(.aac(config: config)) }
        case .opus: tracks.append(.opus(channels: state.audioConfig.flatMap { $0.count > 9 ? Int($0[9]) : nil } ?? 2))
        case .g711A: tracks.append(.pcma)
        case .g711U: tracks.append(.pcmu)
        case .speex, nil: break
        }
        return tracks.isEmpty ? nil : tracks
    }

    private func start(_ tracks: [IngestTrack]) {
        Task {
            do throws(StreamRefusal) {
                try await target.start(tracks)
            } catch {
                if case .refused(_, let reason) = error { fail(reason) } else { end() }
                return
            }
            let video = tracks.firstIndex { $0.isVideo }, audio = tracks.firstIndex { !$0.isVideo }
            // Under the lock, so that no later frame overtakes those that waited.
            state.withLock { state in
                guard case .starting = state.phase else { return }
                for frame in state.frames {
                    guard let track = frame.isVideo ? video : audio else { continue }
                    target.write(track: track, frame: frame.bytes, milliseconds: frame.time, isKeyFrame: frame.isKeyFrame)
                }
                state.frames = []
                state.phase = .running(video: video, audio: audio)
            }
        }
    }
}
