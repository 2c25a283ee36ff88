// SPDX-License-Identifier: Apache-2.0
// The bounds and times of signalling, as sessions and the WebSocket service need them.
import NIOCore

struct SessionLimits: Sendable, Equatable {
    var maximumSessions = 20_000
    /// Connections of one address; generous, because a proxy in front makes everybody one address.
    var maximumSessionsPerAddress = 5_000
    /// Connections whose TLS or WebSocket handshake is not over; they have ten seconds for it.
    var maximumHandshakes = 2_000
    var maximumHandshakesPerAddress = 500
    /// Publishing and playing together.
    var maximumStreamsPerSession = 200
    /// Notices that may wait for one session before it is dropped.
    var maximumWaitingNotices = 8_192
    var keepAliveInterval = TimeAmount.seconds(5)
    /// Unanswered pings after which a session is dropped.
    var keepAliveProbes = 10
    /// From the open WebSocket to `connection`.
    var connectionTimeout = TimeAmount.seconds(10)
    /// How long a client may take to answer when another connection wants its place in a room.
    var presenceTimeout = Duration.seconds(1)
    /// Other servers' agents must come over TLS (`wcs_agent_ssl`).
    var requiresSecureAgents = false
    var websocket = WebSocketLimits()

    init() {}

    init(_ settings: Settings) {
        maximumSessions = settings.maximumSessions
        maximumSessionsPerAddress = max(5_000, settings.maximumSessions / 4)
        maximumStreamsPerSession = settings.maximumStreamsPerSession
        keepAliveInterval = .milliseconds(Int64(settings.keepAliveInterval))
        keepAliveProbes = settings.keepAliveProbes
        requiresSecureAgents = settings.agentSSL
        websocket.maximumMessageSize = settings.maximumMessageSize
        websocket.maximumSendQueue = settings.maximumSendQueue
    }
}
