// SPDX-License-Identifier: Apache-2.0
// `sendStreamEvent` (publisher → server), `notifyStreamEvent` (server → subscriber) and the rate reports of each second.

/// An event about a stream, with the media session id of whoever sends or receives it.
public struct StreamEventMessage: Sendable, Equatable {
    public var mediaSessionID: String
    public var type: String
    public var payload: JSONValue?

    public init(mediaSessionID: String, type: StreamEventType, payload: JSONValue? = nil) {
        self.mediaSessionID = mediaSessionID
        self.type = type.rawValue
        self.payload = payload
    }

    public init(_ argument: JSONValue) {
        mediaSessionID = argument["mediaSessionId"]?.lenientString ?? ""
        type = argument["type"]?.stringValue ?? ""
        payload = argument["payload"]
    }

    public var known: StreamEventType? { StreamEventType(rawValue: type) }

    public var json: JSONValue {
        var members: [String: JSONValue] = ["mediaSessionId": .string(mediaSessionID), "type": .string(type)]
        if let payload { members["payload"] = payload }
        return .object(members)
    }
}

/// `inboundVideoRate` (to a publisher) and `outboundVideoRate` (to a player), once per second.
public struct VideoRate: Sendable, Equatable {
    public var mediaSessionID: String
    /// bit/s
    public var videoRate: Int
    public var framesPerSecond = 0
    public var nack: UInt64 = 0
    public var pli: UInt64 = 0
    public var lostPackets: UInt64 = 0
    public var width = 0
    public var height = 0

    public init(mediaSessionID: String, videoRate: Int) {
        self.mediaSessionID = mediaSessionID
        self.videoRate = videoRate
    }

    public init(_ argument: JSONValue) {
        func count(_ key: String) -> UInt64 { UInt64(max(0, argument[key]?.lenientInt ?? 0)) }
        mediaSessionID = argument["mediaSessionId"]?.lenientString ?? ""
        videoRate = argument["videoRate"]?.lenientInt ?? 0
        framesPerSecond = argument["fps"]?.lenientInt ?? 0
        nack = count("nack")
        pli = count("pli")
        lostPackets = count("lostPackets")
        width = argument["width"]?.lenientInt ?? 0
        height = argument["height"]?.lenientInt ?? 0
    }

    public var json: JSONValue {
        func count(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
        return [
            "mediaSessionId": .string(mediaSessionID), "videoRate": JSONValue(videoRate), "fps": JSONValue(framesPerSecond),
            "nack": count(nack), "pli": count(pli), "lostPackets": count(lostPackets),
            "width": JSONValue(width), "height": JSONValue(height),
        ]
    }

    /// The whole message as text, the same as by way of `json`. Every player gets one a second, so this goes straight to text.
    public func serialized(isInbound: Bool) -> String {
        var text = ""
        text.reserveCapacity(240)
        text += isInbound ? #"{"message":"inboundVideoRate","data":[{"mediaSessionId":"# : #"{"message":"outboundVideoRate","data":[{"mediaSessionId":"#
        text += JSONValue.string(mediaSessionID).serialized()
        func add(_ key: String, _ value: some BinaryInteger) {
            text += key
            text += String(value)
        }
        add(#","videoRate":"#, videoRate)
        add(#","fps":"#, framesPerSecond)
        add(#","nack":"#, nack)
        add(#","pli":"#, pli)
        add(#","lostPackets":"#, lostPackets)
        add(#","width":"#, width)
        add(#","height":"#, height)
        text += "}]}"
        return text
    }
}
