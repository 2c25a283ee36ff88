// SPDX-License-Identifier: Apache-2.0
// `publishStream` and `playStream`, and the identity fields of `unPublishStream` / `stopStream`.

/// A client's wish to publish or to play a stream.
public struct StreamRequest: Sendable, Equatable {
    /// Chosen by the client; the key of every later message about this stream.
    public var mediaSessionID: String
    public var name: String
    /// true: publish, false: play.
    public var published: Bool
    public var hasVideo: Bool
    public var hasAudio: Bool
    public var status: String
    public var record: Bool
    /// Missing counts as WebRTC.
    public var mediaProvider: String
    /// The offer.
    public var sdp: String
    public var custom: JSONValue?
    public var constraints: JSONValue?
    /// kbit/s, 0 = not set.
    public var bitrate: Int
    public var minBitrate: Int
    public var maxBitrate: Int
    /// Pixels, 0 = as published. Play only.
    public var width: Int
    public var height: Int
    /// 0…100, 0 = not set. Play only.
    public var quality: Int
    public var rtmpURL: String?
    /// "UDP" or "TCP".
    public var transport: String?
    public var cvoExtension: Bool?

    public init(_ argument: JSONValue, published: Bool) {
        func number(_ key: String) -> Int { max(0, min(argument[key]?.lenientInt ?? 0, 1_000_000_000)) }
        mediaSessionID = argument["mediaSessionId"]?.lenientString ?? ""
        name = argument["name"]?.lenientString ?? ""
        self.published = published
        hasVideo = argument["hasVideo"]?.lenientBool ?? true
        hasAudio = argument["hasAudio"]?.lenientBool ?? true
        status = argument["status"]?.stringValue ?? StreamStatus.pending.rawValue
        record = argument["record"]?.lenientBool ?? false
        mediaProvider = argument["mediaProvider"]?.stringValue ?? "WebRTC"
        sdp = argument["sdp"]?.stringValue ?? ""
        custom = argument["custom"]
        constraints = argument["constraints"]
        bitrate = number("bitrate")
        minBitrate = number("minBitrate")
        maxBitrate = number("maxBitrate")
        width = number("width")
        height = number("height")
        quality = number("quality")
        rtmpURL = argument["rtmpUrl"]?.stringValue
        transport = argument["transport"]?.stringValue
        cvoExtension = argument["cvoExtension"]?.lenientBool
    }

    public init(mediaSessionID: String, name: String, published: Bool, hasAudio: Bool = true, hasVideo: Bool = true, sdp: String) {
        self.init(.null, published: published)
        self.mediaSessionID = mediaSessionID
        self.name = name
        self.hasAudio = hasAudio
        self.hasVideo = hasVideo
        self.sdp = sdp
    }

    /// The room it is meant for; rooms find it in `custom`.
    public var room: String? { custom?["name"]?.lenientString }

    /// As a client sends it.
    public var json: JSONValue {
        var members: [String: JSONValue] = [
            "mediaSessionId": .string(mediaSessionID), "name": .string(name), "published": .bool(published),
            "hasVideo": .bool(hasVideo), "hasAudio": .bool(hasAudio), "status": .string(status), "record": .bool(record),
            "mediaProvider": .string(mediaProvider), "sdp": .string(sdp), "bitrate": JSONValue(bitrate),
            "minBitrate": JSONValue(minBitrate), "maxBitrate": JSONValue(maxBitrate),
        ]
        if !published {
            members["width"] = JSONValue(width)
            members["height"] = JSONValue(height)
            members["quality"] = JSONValue(quality)
        }
        if let custom { members["custom"] = custom }
        if let constraints { members["constraints"] = constraints }
        if let rtmpURL { members["rtmpUrl"] = .string(rtmpURL) }
        if let transport { members["transport"] = .string(transport) }
        if let cvoExtension { members["cvoExtension"] = .bool(cvoExtension) }
        return .object(members)
    }
}

/// `unPublishStream` / `stopStream` and other messages that only name a stream: `snapshot`, `availableStream`.
public struct StreamIdentity: Sendable, Equatable {
    public var mediaSessionID: String
    public var name: String
    public var published: Bool
    public var status: String

    public init(_ argument: JSONValue, published: Bool = false) {
        mediaSessionID = argument["mediaSessionId"]?.lenientString ?? ""
        name = argument["name"]?.lenientString ?? ""
        self.published = argument["published"]?.lenientBool ?? published
        status = argument["status"]?.stringValue ?? ""
    }

    public init(mediaSessionID: String, name: String, published: Bool, status: StreamStatus = .new) {
        self.mediaSessionID = mediaSessionID
        self.name = name
        self.published = published
        self.status = status.rawValue
    }

    /// As a client stops its stream; the media fields are constants there.
    public var json: JSONValue {
        [
            "mediaSessionId": .string(mediaSessionID), "name": .string(name), "published": .bool(published),
            "hasVideo": true, "hasAudio": true, "status": .string(status), "record": false,
        ]
    }

    /// Only the two keys by which a stream is looked for.
    public var lookup: JSONValue { ["mediaSessionId": .string(mediaSessionID), "name": .string(name)] }
}
