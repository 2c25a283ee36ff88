// SPDX-License-Identifier: Apache-2.0
// All republished and pulled RTMP streams: begins them, shows them, ends them. REST asks; as a service it runs each of them.
import Foundation
import Logging
import NIOCore
import RTMP
import ServiceLifecycle
import Signalling

actor RTMPRelays: Service {
    private let streams: StreamRegistry
    private let settings: RTMPRelay.Settings
    private let maximum: Int
    private let logger: Logger
    private var relays: [RTMPRelay] = []
    private let supervisor = Supervisor<RTMPRelay>()

    init(streams: StreamRegistry, settings: RTMPRelay.Settings, maximum: Int, logger: Logger) {
        self.streams = streams
        self.settings = settings
        self.maximum = maximum
        self.logger = logger
    }

    /// Runs relays until graceful shutdown or cancellation, then ends them all.
    func run() async {
        await supervisor.run { relay in
            await relay.run()
            await self.forget(relay)
        } endAll: {
            await self.endAll()
        }
    }

    private func endAll() {
        for relay in relays { relay.terminate() }
    }

    private func forget(_ relay: RTMPRelay) { relays.removeAll { $0 === relay } }

    func counts() -> (pushes: Int, pulls: Int) {
        let pushes = relays.count { $0.request.direction == .push }
        return (pushes, relays.count - pushes)
    }

    /// Begins one and waits until the far side has accepted, or is found to be away: then a push goes on trying. Throws the REST failure
    /// otherwise.
    func begin(_ request: RTMPRelay.Request, keepsFailure: Bool = false) async throws(RESTFailure) -> RTMPRelay {
        try check(request)
        switch request.direction {
        case .push:
            guard await streams.isAvailable(request.localName) else {
                throw .notFound("there is no stream \"\(request.localName)\" with media")
            }
        case .pull:
            guard await !streams.isTaken(request.localName) else {
                throw .conflict("stream name \"\(request.localName)\" is already in use on this server")
            }
        }
        // Again: another request may have come while the registry was asked.
        try check(request)
        for old in relays where old.hasFailed && old.request.localName == request.localName && old.request.url == request.url {
            old.terminate()
            forget(old)
        }
        let relay = RTMPRelay(request, keepsFailure: keepsFailure, settings: settings, streams: streams, logger: logger)
        guard supervisor.begin(relay) else { throw .internalError("the server is shutting down") }
        relays.append(relay)
        do {
            try await relay.firstOutcome()
        } catch {
            if !relay.hasFailed || !keepsFailure { forget(relay) }
            throw Self.failure(error, request)
        }
        return relay
    }

    private func check(_ request: RTMPRelay.Request) throws(RESTFailure) {
        guard relays.count < maximum else { throw .internalError("there are \(maximum) RTMP pushes and pulls already (max_agents)") }
        let isThere = relays.contains { other in
            guard other.request.direction == request.direction, !other.hasFailed, !other.isStreamOver else { return false }
            return request.direction == .push
                ? other.request.localName == request.localName && other.request.url == request.url
                : other.request.url == request.url || other.request.localName == request.localName
        }
        guard !isThere else {
            throw .conflict(request.direction == .push
                ? "stream \"\(request.localName)\" is being pushed to \(request.url) already" : "\(request.url) is being pulled already")
        }
    }

    private static func failure(_ end: RTMPRelay.End, _ request: RTMPRelay.Request) -> RESTFailure {
        switch end {
        case .streamEnded(let reason): .notFound(reason)
        case .terminated: .internalError("terminated before the far side had accepted")
        case .failed(let reason), .rejected(let reason): .internalError("\(request.url): \(reason)")
        case .refused(.nameInUse, let reason): .conflict(reason)
        case .refused(let info, let reason): .internalError("\(info.rawValue): \(reason)")
        }
    }

    /// `rtmpUrl` of a published stream: it is pushed there for as long as it lives.
    func republish(_ name: String, to text: String) async {
        do throws(RESTFailure) {
            let request = try RTMPRelayRoutes.push(name: name, url: text, isFullURL: false, flashVersion: nil, options: nil)
            _ = try await begin(request, keepsFailure: true)
        } catch {
            logger.warning("republishing can't begin", metadata: ["stream": "\(name)", "reason": "\(error.reason)"])
        }
    }

    /// Oldest first.
    func find(_ direction: RTMPRelay.Direction, _ matches: (RTMPRelay) -> Bool = { _ in true }) -> [JSONValue] {
        relays.filter { $0.request.direction == direction && matches($0) }.map(\.json)
    }

    /// How many were ended.
    func terminate(_ direction: RTMPRelay.Direction, _ matches: (RTMPRelay) -> Bool) -> Int {
        let matching = relays.filter { $0.request.direction == direction && matches($0) }
        for relay in matching {
            relay.terminate()
            forget(relay)
        }
        return matching.count
    }
}
