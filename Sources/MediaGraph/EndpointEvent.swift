// SPDX-License-Identifier: Apache-2.0
// What endpoints are called, what they tell their owner, and what can be read of them.
// Made on a reactor, consumed by the control plane.
import Primitives
import SDP
import WebRTC

/// A stream inside the engine: one publisher's tracks, and whoever takes them. Lives on one reactor.
public struct StreamHandle: Hashable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// One peer connection (publisher or player), local source or local sink attached to a stream.
public struct EndpointID: Hashable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// What an endpoint tells its owner. Delivered on a reactor thread, in order: hand it on, never block.
public enum EndpointEvent: Sendable {
    /// ICE and DTLS are through; media can flow.
    case connected(remote: SocketAddress)
    /// The peer is reached at another address from now on.
    case moved(remote: SocketAddress)
    /// Publisher: media has arrived and the stream is playable (told once). The formats are what players will be offered.
    case mediaStarted(MediaInfo)
    /// Publisher: a track has come, gone, or changed its codec or configuration. The players have been told, and go on where they can.
    case tracksChanged(MediaInfo)
    /// Publisher: the picture size changed (also told once for the first size when it became known late).
    case resized(width: Int, height: Int)
    /// Publisher: its timestamps or numbers have jumped, `count` times since it began; its tracks go on by arrival. Told every ten seconds at most.
    case clockJumped(count: UInt64)
    /// Player: its line carries less than the stream brings, both in bit/s. Told again every few seconds while it lasts.
    case notEnoughBandwidth(bitrate: Int, bandwidth: Int)
    /// Player: its line has become wide enough.
    case enoughBandwidth
    /// Packets to the peer are larger than the MTU of the path to it (told once). `packetLength`: bytes of UDP payload. Fragmented ones
    /// arrive where the network lets fragments through; the others are dropped.
    case pathTooNarrow(packetLength: Int, isFragmented: Bool)
    /// The endpoint is gone and has been removed; nothing follows.
    case failed(EndpointFailure)
}

/// What a stream carries, as known when its media arrived.
public struct MediaInfo: Sendable, Equatable {
    /// SDP encoding names ("opus", "H264"), `nil` when the stream has no such track.
    public var audioCodec: String?
    public var videoCodec: String?
    /// Pixels; 0 when not known (yet).
    public var width: Int
    public var height: Int
    public init(audioCodec: String?, videoCodec: String?, width: Int, height: Int) {
        self.audioCodec = audioCodec; self.videoCodec = videoCodec; self.width = width; self.height = height
    }
}

/// A track that a player wants and does not get.
public struct MissingTrack: Sendable, Equatable {
    /// Its index in the stream.
    public var track: Int
    public var format: TrackFormat
    /// Encoding names that the player takes instead; empty when it has no place for such a track, and must be asked to come again.
    public var codecs: [String]

    public init(track: Int, format: TrackFormat, codecs: [String]) {
        self.track = track
        self.format = format
        self.codecs = codecs
    }
}

/// Why an endpoint ended without being asked to.
public enum EndpointFailure: Sendable, Equatable {
    /// No way to the peer was found in time. `checks`: how many of its checks arrived and were right.
    case iceTimeout(checks: Int)
    case iceError(String), iceConsentExpired
    case dtlsFingerprint, dtlsError(String)
    /// The remote closed its DTLS association (a browser tab closing says so at once).
    case closedByPeer
    /// No RTP for longer than `rtpActivityTimeout`.
    case rtpActivity
    /// The source's timestamps jumped more often within a minute than this; its clock can't be followed.
    case timestampJumps(perMinute: Int)
    /// The engine is shutting down.
    case shutdown
}

/// Counters of one track of an endpoint. Rates are over the last full second.
public struct TrackStatistics: Sendable {
    public var codec = ""
    public var payloadType: UInt8 = 0
    public var packets: UInt64 = 0
    public var bytes: UInt64 = 0
    public var lostPackets: UInt64 = 0
    public var nacks: UInt64 = 0
    public var plis: UInt64 = 0
    /// Publisher: missing packets that came after all / that were given up / that were asked for though they were only late.
    public var recoveredPackets: UInt64 = 0
    public var abandonedPackets: UInt64 = 0
    public var unneededNACKs: UInt64 = 0
    /// Publisher: frames handed on between a gap that stayed and the next key frame.
    public var brokenFrames: UInt64 = 0
    /// Publisher: packets of further sources of the same m-line (layers of simulcast), of which one is taken.
    public var otherSourcePackets: UInt64 = 0
    /// Publisher: late packets that belong nowhere / times that its clock has jumped and the track went on by arrival.
    public var misplacedPackets: UInt64 = 0
    public var timestampJumps: UInt64 = 0
    /// Player: packets sent again / requests beyond the line's room / for packets no longer here.
    public var retransmissions: UInt64 = 0
    public var refusedRetransmissions: UInt64 = 0
    public var missedRetransmissions: UInt64 = 0
    /// Player: frames left out because its line was too thin.
    public var droppedFrames: UInt64 = 0
    public var frames: UInt64 = 0
    public var keyFrames: UInt64 = 0
    /// bit/s
    public var bitrate: Int = 0
    public var framesPerSecond: Int = 0
    public var width = 0
    public var height = 0
    public init() {}
}

public struct EndpointStatistics: Sendable {
    public var endpoint: EndpointID
    public var audio: TrackStatistics?
    public var video: TrackStatistics?
    public var remoteAddress: SocketAddress?
    public var roundTripMilliseconds: Double?
    /// Player: what its line is estimated to carry, bit/s; `nil` until its feedback says so.
    public var bandwidth: Int?
    /// Player: `notEnoughBandwidth` has been told and not taken back.
    public var lacksBandwidth = false
    /// Packets to the peer that could not leave as they were meant to.
    public var sendFailures = SendFailures()
    public init(endpoint: EndpointID) { self.endpoint = endpoint }
}

public typealias EndpointEventHandler = @Sendable (EndpointEvent) -> Void

/// What media travels on.
public enum MediaTransportKind: String, Sendable {
    case udp = "UDP", tcp = "TCP"
}

/// Options of one endpoint, from the request that made it.
public struct EndpointOptions: Sendable {
    /// bit/s; 0 = not set. Publishers are held to these by REMB / b=AS.
    public var minimumBitrate = 0
    public var bitrate = 0
    public var maximumBitrate = 0
    /// Publishers: bounds of what they are told by REMB, whatever they asked for themselves, bit/s; 0 = not set.
    public var lowestREMB = 0
    public var highestREMB = 0
    public var offersVideoOrientation = true
    /// Publishers: every codec that is taken is named, the most wanted first, and any of them may come.
    public var namesAllCodecs = false
    /// Players: audio that they can't take is left out where they get video; else they are refused.
    public var leavesOutAudio = false
    /// What the peer is offered; `nil` = what the engine's settings say.
    public var transport: MediaTransportKind?
    /// What log lines call it, e.g. "stream=abc session=… peer=…".
    public var label = ""
    public init() {}

    /// What a publisher is told to stay below, bit/s; `nil` = nothing. The request's own limits go first: an explicit maximum, else the
    /// wished for bitrate, both within the server's bounds.
    var publisherLimit: Int? {
        let wished = maximumBitrate > 0 ? maximumBitrate : bitrate
        guard wished > 0 else { return highestREMB > 0 ? highestREMB : nil }
        return max(lowestREMB, highestREMB > 0 ? min(wished, highestREMB) : wished)
    }

    /// What a publisher's answer says of bitrates beside that: only what the request itself asked for.
    public var sendLimits: SendLimits {
        SendLimits(
            minimum: minimumBitrate, start: bitrate,
            maximum: maximumBitrate > 0 || bitrate > 0 ? publisherLimit ?? 0 : 0)
    }
}
