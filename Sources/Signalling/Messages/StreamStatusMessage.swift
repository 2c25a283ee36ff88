// SPDX-License-Identifier: Apache-2.0
// `notifyStreamStatusEvent`: the only way in which a client learns the state of its stream.

/// The state of one publisher or player, with every field that consumers of the protocol look at.
public struct StreamStatusMessage: Sendable, Equatable {
    public var mediaSessionID: String
    /// Text, because a foreign server may say something new; see `known`.
    public var status: String
    /// Never `nil` on FAILED when sent by us.
    public var info: String?
    public var name: String
    public var published: Bool
    public var hasVideo: Bool
    public var hasAudio: Bool
    public var record: Bool
    public var recordName: String?
    public var mediaProvider: String
    public var audioCodec: String?
    public var videoCodec: String?
    public var width = 0
    public var height = 0
    /// kbit/s
    public var bitrate = 0
    public var minBitrate = 0
    public var maxBitrate = 0
    public var quality = 0
    public var transport = "UDP"
    public var cvoExtension = true
    /// Milliseconds since 1970.
    public var createDate: Int64 = 0
    public var audioMuted = false
    public var videoMuted = false
    public var nodeID: String?
    public var appKey: String?
    public var sessionID: String?
    /// What to do about a failure, in a sentence; not in the vendor's protocol.
    public var explanation: String?

    public init(
        mediaSessionID: String, status: StreamStatus, info: String? = nil, name: String, published: Bool,
        hasVideo: Bool = true, hasAudio: Bool = true, record: Bool = false, mediaProvider: String = "WebRTC"
    ) {
        self.mediaSessionID = mediaSessionID
        self.status = status.rawValue
        self.info = info
        self.name = name
        self.published = published
        self.hasVideo = hasVideo
        self.hasAudio = hasAudio
        self.record = record
        self.mediaProvider = mediaProvider
    }

    /// Reads what a server sent; `fail` frames name the stream by `id`.
    public init?(_ argument: JSONValue) {
        guard argument.objectValue != nil else { return nil }
        mediaSessionID = (argument["mediaSessionId"] ?? argument["id"])?.lenientString ?? ""
        status = argument["status"]?.lenientString ?? ""
        info = argument["info"]?.lenientString
        name = argument["name"]?.lenientString ?? ""
        published = argument["published"]?.lenientBool ?? false
        hasVideo = argument["hasVideo"]?.lenientBool ?? true
        hasAudio = argument["hasAudio"]?.lenientBool ?? true
        record = argument["record"]?.lenientBool ?? false
        recordName = argument["recordName"]?.lenientString
        mediaProvider = argument["mediaProvider"]?.lenientString ?? ""
        audioCodec = argument["audioCodec"]?.lenientString
        videoCodec = argument["videoCodec"]?.lenientString
        width = argument["width"]?.lenientInt ?? 0
        height = argument["height"]?.lenientInt ?? 0
        bitrate = argument["bitrate"]?.lenientInt ?? 0
        minBitrate = argument["minBitrate"]?.lenientInt ?? 0
        maxBitrate = argument["maxBitrate"]?.lenientInt ?? 0
        quality = argument["quality"]?.lenientInt ?? 0
        transport = argument["transport"]?.lenientString ?? "UDP"
        cvoExtension = argument["cvoExtension"]?.lenientBool ?? false
        createDate = Int64(argument["createDate"]?.lenientInt ?? 0)
        audioMuted = argument["audioState"]?["muted"]?.lenientBool ?? false
        videoMuted = argument["videoState"]?["muted"]?.lenientBool ?? false
        nodeID = argument["nodeId"]?.lenientString
        appKey = argument["appKey"]?.lenientString
        sessionID = argument["sessionId"]?.lenientString
        explanation = argument["explanation"]?.lenientString
    }

    /// The status as one of ours; `nil` for words we don't know.
    public var known: StreamStatus? { StreamStatus(rawValue: status) }

    public var json: JSONValue {
        var members: [String: JSONValue] = [
            "mediaSessionId": .string(mediaSessionID), "status": .string(status), "info": .string(info ?? ""),
            "name": .string(name), "published": .bool(published), "hasVideo": .bool(hasVideo), "hasAudio": .bool(hasAudio),
            "record": .bool(record), "mediaProvider": .string(mediaProvider),
            "mediaType": .string(published ? "publish" : "play"),
            "width": JSONValue(width), "height": JSONValue(height), "bitrate": JSONValue(bitrate),
            "minBitrate": JSONValue(minBitrate), "maxBitrate": JSONValue(maxBitrate), "quality": JSONValue(quality),
            "history": false, "gop": 0, "fps": 0, "audioBitrate": 0, "codecImpl": "",
            "transport": .string(transport), "cvoExtension": .bool(cvoExtension), "createDate": .integer(createDate),
            "audioState": ["muted": .bool(audioMuted)], "videoState": ["muted": .bool(videoMuted)],
        ]
        if let audioCodec { members["audioCodec"] = .string(audioCodec) }
        if let videoCodec { members["videoCodec"] = .string(videoCodec) }
        if let recordName { members["recordName"] = .string(recordName) }
        if let nodeID { members["nodeId"] = .string(nodeID) }
        if let appKey { members["appKey"] = .string(appKey) }
        if let sessionID { members["sessionId"] = .string(sessionID) }
        if let explanation { members["explanation"] = .string(explanation) }
        return .object(members)
    }
}
