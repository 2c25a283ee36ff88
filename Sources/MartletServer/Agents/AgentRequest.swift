// SPDX-License-Identifier: Apache-2.0
// What an agent is to do, and how agents behave; from REST and from settings.
import NIOCore
import Primitives
import Signalling

/// Which way the media goes.
enum AgentDirection: String, Sendable {
    /// A local stream is published on another server.
    case push
    /// Another server's stream is published here.
    case pull
}

/// The body of /pull/push and /pull/pull.
struct AgentRequest: Sendable, Equatable {
    let direction: AgentDirection
    let address: WCSAddress
    let localStreamName: String
    let remoteStreamName: String
}

/// How an agent is doing, in the words of `status`.
enum AgentStatus: String, Sendable {
    /// Asked for, the far side has not accepted yet.
    case new = "NEW"
    /// A push runs: the local stream is being sent.
    case processedLocal = "PROCESSED_LOCAL"
    /// A pull runs: the remote stream is being received.
    case processedRemote = "PROCESSED_REMOTE"
    /// The link broke; it is being established again while the local stream lives.
    case reconnecting = "RECONNECTING"
}

/// Times and rules of agents.
struct AgentSettings: Sendable {
    /// The far side must have accepted within this time.
    var timeout = Duration.seconds(10)
    /// true: wss only; false: ws only.
    var usesSSL = false
    var trust = WCSTrust.system
    var reconnects = true
    var firstDelay = Duration.milliseconds(250)
    var longestDelay = Duration.seconds(2)
    /// Failed attempts in a row after which an agent gives up; 0 = never.
    var maximumAttempts = 0
    /// A pulled stream without its link lives this long; its players see nothing meanwhile.
    var longestPullGap = Duration.seconds(60)
    var maximumAgents = 1_000
    /// What is held for other servers counts in it.
    var memory = MemoryBudget.unlimited

    init() {}

    init(_ settings: Settings) {
        timeout = .milliseconds(settings.agentTimeout)
        usesSSL = settings.agentSSL
        if !settings.agentVerifiesCertificate {
            trust = .none
        } else if !settings.agentCAFile.isEmpty {
            trust = .authorities(file: settings.agentCAFile)
        }
        reconnects = settings.agentReconnects
        firstDelay = .milliseconds(settings.agentReconnectDelayMin)
        longestDelay = .milliseconds(settings.agentReconnectDelayMax)
        maximumAttempts = settings.agentReconnectAttempts
        maximumAgents = settings.maximumAgents
    }

    /// The pause before attempt `number` (1, 2, …) of re-establishing a link.
    func delay(beforeAttempt number: Int) -> Duration {
        min(firstDelay * (1 << min(max(number - 1, 0), 16)), longestDelay)
    }

    var client: WCSClientConfiguration {
        var configuration = WCSClientConfiguration()
        configuration.custom = [ConnectionRequest.agentMark: true]
        configuration.trust = trust
        configuration.connectTimeout = timeout
        configuration.answerTimeout = timeout
        configuration.memory = memory
        return configuration
    }
}
