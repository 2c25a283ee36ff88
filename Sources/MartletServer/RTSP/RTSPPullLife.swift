// SPDX-License-Identifier: Apache-2.0
// The decisions of a pull as a value: whether and when a camera is called again, when a stream that nobody plays ends, what REST shows.
// No socket, no clock; owned by RTSPPull.
import Primitives

struct RTSPPullLife {
    enum Status: String, Sendable { case new = "NEW", playing = "PLAYING", reconnecting = "RECONNECTING" }

    enum Next: Equatable {
        case callAgain(after: TimeSpan)
        case end(RTSPPullEnd)
    }

    static let shortestPause = TimeSpan.milliseconds(500), longestPause = TimeSpan.seconds(10)
    /// After media for so long the next pause is the shortest again: a camera that breaks off at once is not called twice a second.
    static let steadySpan = TimeSpan.seconds(5)

    /// A camera that can't be had for this long is given up; `nil`: never.
    let longestGap: TimeSpan?
    /// A stream begun by a player who asked for it ends after this long without any; `nil`: it has been asked for by REST and stays.
    let idleTimeout: TimeSpan?

    private(set) var status = Status.new
    private(set) var reconnects = 0
    private var pause = shortestPause
    private var brokenSince: Instant?
    private var idleSince: Instant?
    /// Decided on this side; the first reason holds.
    private(set) var ending: RTSPPullEnd?

    init(longestGap: TimeSpan?, idleTimeout: TimeSpan?) {
        self.longestGap = longestGap
        self.idleTimeout = idleTimeout
    }

    /// The camera has agreed to send.
    mutating func plays() { status = .playing }

    /// It ends, whatever the camera does.
    mutating func end(_ reason: RTSPPullEnd) { if ending == nil { ending = reason } }

    /// - Returns: true when it is time to end it.
    mutating func note(players: Int, at now: Instant) -> Bool {
        // Who asked for it waits for the first attempt.
        guard let idleTimeout, players == 0, status != .new else {
            idleSince = nil
            return false
        }
        let since = idleSince ?? now
        idleSince = since
        guard now.span(since: since) >= idleTimeout else { return false }
        end(.idle)
        return true
    }

    /// A connection has come to its end.
    /// - Parameter media: how long something that can be used came over it; `nil`: nothing did.
    mutating func linkEnded(_ end: RTSPPullEnd, media: TimeSpan?, at now: Instant) -> Next {
        if let ending { return .end(ending) }
        // The first attempt is answered, so that whoever asked can put the address right.
        guard status != .new, end.isWorthRetrying else { return .end(end) }
        if let media {
            brokenSince = nil
            if media >= Self.steadySpan { pause = Self.shortestPause }
        }
        let since = brokenSince ?? now
        brokenSince = since
        if let longestGap, now.span(since: since) > longestGap { return .end(end) }
        status = .reconnecting
        reconnects &+= 1
        let wait = max(pause, end.leastPause)
        pause = min(pause * 2, Self.longestPause)
        return .callAgain(after: wait)
    }
}

/// When a connection is held to be broken, and what is to be sent meanwhile. Asked every half second; owned by RTSPLink.
struct RTSPLinkWatch {
    enum Action: Equatable { case signOfLife, receiverReport, giveUp }

    static let reportInterval = TimeSpan.seconds(5)
    let activityTimeout: TimeSpan
    private var lastMedia: Instant
    private var lastSignOfLife: Instant
    private var lastReport: Instant
    private var firstMedia: Instant?
    /// How long media came; `nil`: none did.
    var media: TimeSpan? { firstMedia.map { lastMedia.span(since: $0) } }

    init(activityTimeout: TimeSpan, at now: Instant) {
        self.activityTimeout = activityTimeout
        (lastMedia, lastSignOfLife, lastReport) = (now, now, now)
    }

    mutating func noteMedia(at now: Instant) {
        lastMedia = now
        if firstMedia == nil { firstMedia = now }
    }

    mutating func tick(at now: Instant, signOfLifeInterval: TimeSpan) -> [Action] {
        guard now.span(since: lastMedia) <= activityTimeout else { return [.giveUp] }
        var actions: [Action] = []
        if now.span(since: lastSignOfLife) >= signOfLifeInterval {
            lastSignOfLife = now
            actions.append(.signOfLife)
        }
        if now.span(since: lastReport) >= Self.reportInterval {
            lastReport = now
            actions.append(.receiverReport)
        }
        return actions
    }
}

extension TimeSpan {
    init(_ duration: Duration) { self.init(nanoseconds: duration.inNanoseconds) }
}
