// SPDX-License-Identifier: Apache-2.0
// All streams that are fetched by RTSP: begun by REST or by the first player who asks for an address, shown, ended. As a service it
// runs them.
import Logging
import RTSP
import ServiceLifecycle
import Signalling

/// Fetches streams whose names are addresses.
protocol StreamFetching: Sendable {
    /// Returns once the stream of that name is published, or when it is none of this fetcher's.
    /// - Throws: why it can't be had.
    func fetch(_ name: String) async throws(StreamRefusal)
}

actor RTSPPulls: Service, StreamFetching {
    private let registry: StreamRegistry
    private let settings: RTSPPullSettings
    private let maximum: Int
    private let logger: Logger
    private var pulls: [RTSPPull] = []
    private let supervisor = Supervisor<RTSPPull>()

    init(registry: StreamRegistry, settings: RTSPPullSettings, maximum: Int, logger: Logger) {
        self.registry = registry
        self.settings = settings
        self.maximum = maximum
        self.logger = logger
    }

    func run() async {
        await supervisor.run { pull in
            _ = await pull.run()
            await self.forget(pull)
        } endAll: {
            await self.endAll()
        }
    }

    private func endAll() async {
        for pull in pulls { await pull.terminate() }
    }

    private func forget(_ pull: RTSPPull) { pulls.removeAll { $0 === pull } }

    // MARK: beginning

    func fetch(_ name: String) async throws(StreamRefusal) {
        guard settings.isByName, name.lowercased().hasPrefix("rtsp://") else { return }
        if await registry.isAvailable(name) { return }
        guard let address = RTSPAddress(name) else { throw .refused(.badURI, "\"\(name.prefix(200))\" is no address of an RTSP stream") }
        let known = pulls.first { $0.name == name }
        let pull: RTSPPull
        if let known { pull = known } else { pull = try begin(name, address, as: name, isOnDemand: true) }
        if case .failure(let end) = await pull.firstOutcome() { throw .refused(end.info, "\(address): \(end.reason)") }
    }

    /// Begins by REST and waits until media flows.
    func start(_ uri: String, as name: String?) async throws(RESTFailure) {
        guard let address = RTSPAddress(uri) else { throw .badRequest("\"uri\" must be an address such as rtsp://camera/stream") }
        guard !address.isSecure else { throw .badRequest("rtsps:// is not possible") }
        let name = name ?? uri
        if pulls.contains(where: { $0.uri == uri }) { throw .conflict("\(address) is being pulled already") }
        if await registry.isTaken(name) { throw .conflict("stream name \"\(name)\" is already in use") }
        if pulls.contains(where: { $0.uri == uri || $0.name == name }) { throw .conflict("\(address) is being pulled already") }
        let pull: RTSPPull
        do throws(StreamRefusal) { pull = try begin(uri, address, as: name, isOnDemand: false) } catch {
            guard case .refused(_, let reason) = error else { throw .internalError("the server is shutting down") }
            throw .internalError(reason)
        }
        if case .failure(let end) = await pull.firstOutcome() {
            forget(pull)
            if case .local(.refused(.nameInUse, let reason)) = end { throw .conflict(reason) }
            throw .internalError("\(end.info.rawValue): \(end.reason)")
        }
    }

    private func begin(_ uri: String, _ address: RTSPAddress, as name: String, isOnDemand: Bool) throws(StreamRefusal) -> RTSPPull {
        guard pulls.count < maximum else { throw .refused(.addToProxy, "there are \(maximum) pulls already (max_agents)") }
        let pull = RTSPPull(uri: uri, address: address, name: name, isOnDemand: isOnDemand, settings: settings, registry: registry, logger: logger)
        guard supervisor.begin(pull) else { throw .refused(.shutdownRequested, "the server is shutting down") }
        pulls.append(pull)
        return pull
    }

    // MARK: looking and ending

    /// Those that match, oldest first.
    func find(uri: String? = nil, status: String? = nil) async -> [JSONValue] {
        var found: [JSONValue] = []
        for pull in pulls {
            let current = await pull.status.rawValue
            guard uri == nil || pull.uri == uri || pull.shownURI == uri, status == nil || current == status else { continue }
            found.append(["uri": .string(pull.shownURI), "status": .string(current), "toStream": .string(pull.name == pull.uri ? pull.shownURI : pull.name)])
        }
        return found
    }

    /// How many were ended.
    func terminate(uri: String) async -> Int {
        let matching = pulls.filter { $0.uri == uri || $0.shownURI == uri }
        for pull in matching {
            await pull.terminate()
            forget(pull)
        }
        return matching.count
    }

    var count: Int { pulls.count }
}
