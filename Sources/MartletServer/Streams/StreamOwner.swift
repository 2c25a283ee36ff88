// SPDX-License-Identifier: Apache-2.0
// How the registry of streams speaks to whoever asked for a publisher or player: a WebSocket session or an agent.
import MediaIO
import Primitives
import SDP
import Signalling
import Workers

/// The party a media session belongs to.
struct StreamOwner: Sendable {
    /// The session's id; an agent has one as well.
    let id: String
    let appKey: String
    /// What the client calls itself; empty when it doesn't.
    var login = ""
    /// Where it speaks from, as limits count it; `nil`: the server itself, or not known.
    var address: AddressKey?
    /// Its publishers may send any codec that is taken; else the most wanted one that they have.
    var choosesCodec = false
    /// Takes a notice and returns at once; called in order.
    let deliver: @Sendable (StreamNotice) -> Void
    /// Told when somebody else wants the name of a publisher of its, with that one's media session id: if the publisher is silent, it should be
    /// ended soon. Returns at once.
    var contested: @Sendable (String) -> Void = { _ in }
}

extension StreamOwner {
    /// Whose media its streams carry, for worker processes.
    var workerOrigin: WorkerOrigin { WorkerOrigin(address: address?.description ?? "", owner: id) }
}

/// What an owner is told about its media sessions.
enum StreamNotice: Sendable {
    /// PUBLISHING or PLAYING has been reached.
    case started(StreamRecord)
    /// The media session is over and forgotten; the record has its last status.
    case ended(StreamRecord, StreamEnd)
    /// The record of an ended stream is complete, or there is none after all. Follows an end that said `awaitsRecord`.
    case recorded(StreamRecord, StreamEnd)
    /// Something happened on the stream a player watches; carries the player's own id.
    case event(StreamEventMessage)
    /// The older form of the event `notEnoughBandwidth`, a status that changes nothing; `info` is "<bitrate>/<bandwidth>", bit/s.
    case notEnoughBandwidth(StreamRecord, info: String)
    /// The figures of the last second.
    case rate(VideoRate, isPublisher: Bool)
    /// The stream of a packet sink has these tracks from now on; those that are the same as before go on by themselves.
    case tracksChanged([TrackFormat])
    /// An agent's peer connection broke; its stream is kept, the agent decides what follows.
    case linkLost(mediaSessionID: String, EndpointFailure)
}

/// Why a media session ended.
enum StreamEnd: Sendable, Equatable {
    /// Its owner asked for it, or closed its peer connection.
    case user
    /// A player's publisher is gone.
    case publisherStopped
    /// The owner's socket is gone.
    case sessionLost
    case terminated
    /// Its owner is not (or no longer) allowed to have it.
    case restricted
    /// A stream fetched by RTSP can't be had any more.
    case rtspEnded
    /// It has B-frames, and such publishers are refused.
    case reordered
    /// A player's stream has a track now, or a codec, that it can get only by playing anew.
    case tracksChanged
    case shutdown
    case failed(EndpointFailure)

    func status(ofPublisher isPublisher: Bool) -> StreamStatus {
        if self == .user { return isPublisher ? .unpublished : .stopped }
        return .failed
    }

    /// A sentence for the person in front of the client, where there is more to say than `info` does.
    var explanation: String? {
        switch self {
        case .failed(.iceTimeout(let checks)): StreamRegistry.noWay(checks)
        case .reordered: StreamRegistry.reorderingRefusal
        case .failed(.timestampJumps(let count)):
            "The publisher's timestamps jumped more than \(count) times within a minute; its clock can't be followed. Does it count its timestamps on without breaks, at the clock rate of its codec?"
        case .tracksChanged: "The stream has another track or codec now; play it again to get it"
        default: nil
        }
    }

    var info: StreamStatusInfo {
        switch self {
        case .user: .user
        // Pages begin to play again by themselves after this one.
        case .publisherStopped, .tracksChanged: .publisherStop
        case .sessionLost: .sessionDisconnect
        case .terminated: .restTerminate
        case .restricted: .restrictedAccess
        case .rtspEnded: .rtspAgentShutdown
        case .reordered: .noCommonCodecs
        case .shutdown: .shutdownRequested
        case .failed(let failure): failure.info
        }
    }
}

extension EndpointFailure {
    /// The words of the protocol for a failed peer connection.
    var info: StreamStatusInfo {
        switch self {
        case .iceTimeout: .iceTimeout
        case .iceError: .iceError
        case .iceConsentExpired: .iceKeepAlive
        case .dtlsFingerprint: .dtlsFingerprintError
        case .dtlsError: .dtlsError
        case .closedByPeer: .user
        case .rtpActivity: .rtpActivity
        case .timestampJumps: .streamFailed
        case .shutdown: .shutdownRequested
        }
    }
}

/// Why a media session was not begun.
enum StreamRefusal: Error, Sendable, Equatable {
    /// The info for the client and a sentence for the log.
    case refused(StreamStatusInfo, String)
    /// It ended while it was being set up, and its owner has been told by a notice.
    case alreadyEnded

    /// What a client is told that waits for an answer: a notice names a media session which it doesn't know yet.
    var words: (info: StreamStatusInfo, reason: String) {
        switch self {
        case .refused(let info, let reason): (info, reason)
        case .alreadyEnded: (.publisherStop, "the stream ended meanwhile")
        }
    }

    init(_ error: EngineError) {
        switch error {
        case .negotiation(.noCommonCodecs): self = .refused(.noCommonCodecs, "no common codecs")
        case .negotiation(let reason): self = .refused(.addToProxy, "the offer can't be answered: \(reason)")
        case .noSuchStream, .noSuchEndpoint: self = .refused(.publisherStop, "the stream ended meanwhile")
        case .notReady: self = .refused(.publishNotReady, "no media has arrived from the publisher yet")
        case .alreadyPublished: self = .refused(.nameInUse, "the stream has a publisher")
        case .limit(let bound): self = .refused(.addToProxy, "a bound was reached: \(bound)")
        case .shutDown: self = .refused(.error, "the media engine is shut down")
        }
    }
}
