// SPDX-License-Identifier: Apache-2.0
// What is known about one publisher or player: told to its owner in statuses, to REST in find.
import MediaIO
import Signalling

/// The facts of one media session. A value; the registry keeps the current one.
struct StreamRecord: Sendable, Equatable {
    var mediaSessionID: String
    var name: String
    /// true: publisher, false: player.
    var isPublished: Bool
    var hasAudio: Bool
    var hasVideo: Bool
    var status = StreamStatus.pending
    var audioCodec: String?
    var videoCodec: String?
    var width = 0
    var height = 0
    /// kbit/s, as asked for.
    var bitrate = 0
    var minBitrate = 0
    var maxBitrate = 0
    var quality = 0
    var record = false
    /// The file, once it is complete.
    var recordName: String?
    /// It has ended, but its owner is told only when the record is complete.
    var awaitsRecord = false
    var cvoExtension = true
    var mediaProvider = "WebRTC"
    /// What media travels on; `nil` until the peer is connected.
    var transport: MediaTransportKind?
    /// Milliseconds since 1970.
    var createDate: Int64 = 0
    var sessionID: String
    var appKey: String
    var nodeID: String
    var custom: JSONValue?
    /// Where else it is to be published (`rtmpUrl`).
    var rtmpURL: String?
    /// The room it is published or played in; of a player also when only its publisher named one.
    var room: String?
    var audioMuted = false
    var videoMuted = false
    /// Of a publisher: its pictures come in another order than they are shown in.
    var hasBFrames = false

    func isInRoom(_ name: String) -> Bool { room.map { $0.utf8.elementsEqual(name.utf8) } ?? false }

    /// The status frame for this record.
    func statusMessage(info: String = "") -> StreamStatusMessage {
        var message = StreamStatusMessage(
            mediaSessionID: mediaSessionID, status: status, info: info, name: name, published: isPublished,
            hasVideo: hasVideo, hasAudio: hasAudio, record: record, mediaProvider: mediaProvider)
        message.recordName = recordName
        message.audioCodec = audioCodec
        message.videoCodec = videoCodec
        message.width = width
        message.height = height
        message.bitrate = bitrate
        message.minBitrate = minBitrate
        message.maxBitrate = maxBitrate
        message.quality = quality
        message.cvoExtension = cvoExtension
        message.createDate = createDate
        message.audioMuted = audioMuted
        message.videoMuted = videoMuted
        message.nodeID = nodeID
        message.appKey = appKey
        message.sessionID = sessionID
        message.transport = transport?.rawValue ?? message.transport
        return message
    }

    /// The REST form; `metrics` is added when given.
    func json(metrics: EndpointStatistics?? = nil) -> JSONValue {
        var object = statusMessage().json
        object["info"] = nil
        object["custom"] = custom
        if hasBFrames { object["bFrames"] = true }
        if let metrics { object["metrics"] = Self.metrics(metrics, isPublished: isPublished) }
        return object
    }

    /// The names a filter may use.
    static let filterableKeys: Set<String> = [
        "mediaSessionId", "name", "published", "status", "sessionId", "appKey", "mediaProvider", "mediaType", "hasAudio",
        "hasVideo", "audioCodec", "videoCodec", "record", "width", "height", "bitrate", "minBitrate", "maxBitrate", "quality",
        "transport", "createDate", "nodeId", "cvoExtension", "history", "gop", "fps", "audioBitrate", "codecImpl",
    ]

    /// Those that are true or false.
    static let booleanKeys: Set<String> = ["published", "hasAudio", "hasVideo", "record", "cvoExtension", "history"]

    private static func metrics(_ statistics: EndpointStatistics?, isPublished: Bool) -> JSONValue {
        func count(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
        var members: [String: JSONValue] = [:]
        if let bandwidth = statistics?.bandwidth {
            members["BANDWIDTH"] = JSONValue(bandwidth)
            members["NOT_ENOUGH_BANDWIDTH"] = .bool(statistics?.lacksBandwidth ?? false)
        }
        if let failures = statistics?.sendFailures, failures != SendFailures() {
            members["PACKETS_FRAGMENTED"] = count(failures.fragmented)
            members["PACKETS_TOO_LARGE"] = count(failures.tooLarge)
            members["PACKETS_NOT_SENT"] = count(failures.dropped)
        }
        if let roundTrip = statistics?.roundTripMilliseconds { members["ROUND_TRIP_MS"] = .number(roundTrip) }
        if let video = statistics?.video, isPublished {
            members["VIDEO_NACK_UNNEEDED"] = count(video.unneededNACKs)
            members["VIDEO_RECOVERED"] = count(video.recoveredPackets)
            members["VIDEO_ABANDONED"] = count(video.abandonedPackets)
            members["VIDEO_BROKEN_FRAMES"] = count(video.brokenFrames)
            members["VIDEO_OTHER_SOURCE_PACKETS"] = count(video.otherSourcePackets)
        }
        if let video = statistics?.video, !isPublished {
            members["VIDEO_RTX"] = count(video.retransmissions)
            members["VIDEO_RTX_REFUSED"] = count(video.refusedRetransmissions)
            members["VIDEO_RTX_MISSED"] = count(video.missedRetransmissions)
            members["VIDEO_DROPPED_FRAMES"] = count(video.droppedFrames)
        }
        if let video = statistics?.video {
            members["VIDEO_WIDTH"] = JSONValue(video.width)
            members["VIDEO_HEIGHT"] = JSONValue(video.height)
            members["VIDEO_RATE"] = JSONValue(video.bitrate)
            members["VIDEO_FPS"] = JSONValue(video.framesPerSecond)
            members["VIDEO_NACK"] = count(video.nacks)
            members["VIDEO_PLI"] = count(video.plis)
            members["VIDEO_LOST"] = count(video.lostPackets)
            members["VIDEO_CODEC"] = JSONValue(Int(video.payloadType))
            members["VIDEO_K_FRAMES"] = count(video.keyFrames)
            members["VIDEO_P_FRAMES"] = count(video.frames - min(video.frames, video.keyFrames))
            members["VIDEO_B_FRAMES"] = 0
            members["VIDEO_GOP_SIZE"] = count(video.keyFrames == 0 ? 0 : video.frames / video.keyFrames)
        }
        if let audio = statistics?.audio {
            members["AUDIO_RATE"] = JSONValue(audio.bitrate)
            members["AUDIO_LOST"] = count(audio.lostPackets)
            members["AUDIO_CODEC"] = JSONValue(Int(audio.payloadType))
        }
        return .object(members)
    }
}
