// SPDX-License-Identifier: Apache-2.0
// The decisions of an agent as a value: takes one input, says what is to be done. No socket, no clock.
import Signalling

struct AgentLife {
    enum Action {
        case nothing
        /// A link is up; listen to it.
        case watch(Agent.Link)
        /// A link that came too late.
        case discard(Agent.Link)
        /// Both sides have accepted.
        case running
        /// A local event for the far side.
        case forward(StreamEventMessage)
        /// A far event for the local players.
        case publish(StreamEventMessage)
        case attempt
        /// The peer connection was closed from afar; its reason is on the way.
        case expectGoodbye
        case broken(AgentEnd)
        case end(AgentEnd)
    }

    private let direction: AgentDirection
    /// Tells inputs of this attempt from those of earlier ones.
    private(set) var generation = 0
    /// Attempts since the link last ran for a while.
    private(set) var failures = 0
    private(set) var hasRun = false
    private(set) var isRunning = false
    var link: Agent.Link?
    /// Since when the present link has run.
    var runningSince: ContinuousClock.Instant?
    /// Since when a link that ran is missing.
    var brokenSince: ContinuousClock.Instant?
    private var farAccepted = false
    /// Of a pull: media has arrived and the local stream is playable. A push has nothing to wait for.
    private var localReady: Bool
    private var isAudioMuted = false
    private var isVideoMuted = false

    init(direction: AgentDirection) {
        self.direction = direction
        localReady = direction == .push
    }

    /// The mutes that a fresh far side has to be told.
    var mutes: [StreamEventType] {
        direction == .push ? (isAudioMuted ? [.audioMuted] : []) + (isVideoMuted ? [.videoMuted] : []) : []
    }

    /// The link has run for long enough not to have failed.
    mutating func forgetFailures() { failures = 0 }

    mutating func prepareRetry() {
        generation += 1
        failures += 1
        isRunning = false
        farAccepted = false
    }

    mutating func take(_ input: Agent.Input) -> Action {
        switch input {
        case .terminate: return .end(.terminated)
        case .local(let notice): return take(notice)
        case .attempted(let from, .success(let link)):
            guard from == generation, self.link == nil else { return .discard(link) }
            self.link = link
            return .watch(link)
        case .attempted(let from, .failure(let reason)):
            return from == generation ? .broken(reason) : .nothing
        case .far(let from, let status):
            return from == generation && link != nil ? take(status) : .nothing
        case .farEvent(let from, let event):
            return from == generation && direction == .pull ? .publish(event) : .nothing
        case .farGone(let from):
            guard from == generation, link != nil else { return .nothing }
            return .broken(.link(.disconnected("the connection to the far side is gone")))
        case .overdue(let from):
            guard from == generation, !isRunning else { return .nothing }
            return .broken(.timeout(farAccepted ? "no media came from the far side in time" : "the far side did not accept in time"))
        case .retryDue(let from): return from == generation ? .attempt : .nothing
        case .mediaClosed(let from):
            return from == generation && link != nil ? .broken(.media(.dtlsError)) : .nothing
        }
    }

    private mutating func take(_ status: StreamStatusMessage) -> Action {
        guard let known = status.known else { return .nothing }
        if known.isTerminal { return .broken(.link(.stream(status: status.status, info: status.info ?? ""))) }
        guard known == .publishing || known == .playing else { return .nothing }
        farAccepted = true
        return runsNow()
    }

    private mutating func take(_ notice: StreamNotice) -> Action {
        switch notice {
        case .started(let record):
            isAudioMuted = record.audioMuted
            isVideoMuted = record.videoMuted
            localReady = true
            return runsNow()
        case .event(let event):
            switch event.known {
            case .audioMuted: isAudioMuted = true
            case .audioUnmuted: isAudioMuted = false
            case .videoMuted: isVideoMuted = true
            case .videoUnmuted: isVideoMuted = false
            case .data: break
            default: return .nothing
            }
            return isRunning && direction == .push ? .forward(event) : .nothing
        case .ended(_, let reason):
            switch reason {
            case .user: return .expectGoodbye  // the far side closed the peer connection
            case .failed(let failure): return .broken(.media(failure.info))
            case .terminated: return .end(.terminated)
            // The next attempt offers the tracks that there are now.
            case .tracksChanged: return .broken(.media(.publisherStop))
            case .publisherStopped, .sessionLost, .restricted, .rtspEnded, .reordered, .shutdown: return .end(.localStreamEnded)
            }
        case .linkLost(_, let failure):
            return failure == .closedByPeer ? .expectGoodbye : .broken(.media(failure.info))
        case .rate, .notEnoughBandwidth, .recorded, .tracksChanged: return .nothing
        }
    }

    private mutating func runsNow() -> Action {
        guard farAccepted, localReady, link != nil, !isRunning else { return .nothing }
        isRunning = true
        hasRun = true
        brokenSince = nil
        return .running
    }
}
