// SPDX-License-Identifier: Apache-2.0
// All HTTP connections of the server: how many there may be, how long each part of a request may take, what was refused.
// One for both listeners; each accepted connection is entered here and gets an HTTPConnectionGuard.
import Logging
import NIOCore
import Primitives
import Signalling
import Synchronization

/// Bounds of HTTP connections.
struct HTTPLimits: Sendable {
    /// Connections of both listeners together.
    var maximumConnections = 2_000
    var maximumConnectionsPerAddress = 256
    /// From the connection to the end of its first request's head, TLS included.
    var headTimeout = TimeAmount.seconds(10)
    /// From the head to the end of the body.
    var bodyTimeout = TimeAmount.seconds(30)
    /// Between requests; also from one request to the complete head of the next.
    var idleTimeout = TimeAmount.seconds(75)
    /// A response has to move `slowestBytes` in each of these stretches.
    var progressTimeout = TimeAmount.seconds(30)
    var slowestBytes = 30_000
    /// Refused connections that are told why; further ones are just closed.
    static let maximumRefusals = 64

    init() {}

    init(_ settings: Settings) {
        maximumConnections = settings.maximumHTTPConnections
        maximumConnectionsPerAddress = settings.maximumHTTPConnectionsPerAddress
    }
}

final class HTTPConnections: StatSource {
    struct Counters: Sendable {
        var accepted: UInt64 = 0
        /// Too many connections, in all or of one address.
        var refused: UInt64 = 0
        var withoutRoom: UInt64 = 0
        var lateHeads: UInt64 = 0
        var lateBodies: UInt64 = 0
        var slowReaders: UInt64 = 0
        var malformed: UInt64 = 0
    }

    /// Whether a connection may do its work.
    enum Admission {
        case admitted
        /// It is told why, by a 503, and closed.
        case refused(String)
    }

    let limits: HTTPLimits
    let memory: MemoryBudget
    private let limiter: ConnectionLimiter
    private let counted = Mutex(Counters())
    private struct Open {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var refusals = 0
    }
    private let open = Mutex(Open())

    init(limits: HTTPLimits, memory: MemoryBudget) {
        self.limits = limits
        self.memory = memory
        limiter = ConnectionLimiter(maximum: limits.maximumConnections, maximumPerAddress: limits.maximumConnectionsPerAddress)
    }

    /// Takes an accepted connection in; `nil`: there is not even room to refuse it in words, and it is to be closed.
    func enter(_ channel: any Channel) -> Admission? {
        guard !channel.takesReservedDescriptor else {
            count(\.withoutRoom)
            return nil
        }
        let network = AddressKey(channel.remoteAddress?.ipAddress ?? "")
        let key = ObjectIdentifier(channel)
        if limiter.enter(network) {
            count(\.accepted)
            open.withLock { $0.channels[key] = channel }
            channel.closeFuture.whenComplete { [self] _ in
                limiter.leave(network)
                open.withLock { $0.channels[key] = nil }
            }
            return .admitted
        }
        count(\.refused)
        let isRoom = open.withLock { open in
            guard open.refusals < HTTPLimits.maximumRefusals else { return false }
            open.refusals += 1
            return true
        }
        guard isRoom else { return nil }
        channel.closeFuture.whenComplete { [self] _ in open.withLock { $0.refusals -= 1 } }
        return .refused("too many connections are open (max_http_connections, max_http_connections_per_address)")
    }

    /// Tells connections to end with the request that they are at, the idle ones at once.
    func quiesce() {
        for channel in open.withLock({ Array($0.channels.values) }) {
            channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
    }

    func count(_ counter: WritableKeyPath<Counters, UInt64>) { counted.withLock { $0[keyPath: counter] &+= 1 } }
    var counters: Counters { counted.withLock { $0 } }
    var openConnections: Int { limiter.total }

    func statSections() async -> [StatSection] {
        let counters = counters
        func figure(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
        return [
            StatSection("http", [
                ("http_connections", JSONValue(openConnections)), ("http_connections_accepted", figure(counters.accepted)),
                ("http_connections_refused", figure(counters.refused)), ("http_connections_without_descriptor", figure(counters.withoutRoom)),
                ("http_heads_too_late", figure(counters.lateHeads)), ("http_bodies_too_late", figure(counters.lateBodies)),
                ("http_responses_too_slow", figure(counters.slowReaders)), ("http_requests_malformed", figure(counters.malformed)),
            ]),
        ]
    }
}
