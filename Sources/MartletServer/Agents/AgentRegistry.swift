// SPDX-License-Identifier: Apache-2.0
// All pushes and pulls of the server: begins them, shows them, ends them. REST asks; as a service it runs every agent.
import Logging
import ServiceLifecycle
import Signalling

actor AgentRegistry: Service {
    private let registry: StreamRegistry
    private let settings: AgentSettings
    private let logger: Logger
    private var agents: [Agent] = []
    private let supervisor = Supervisor<Agent>()

    init(registry: StreamRegistry, settings: AgentSettings, logger: Logger) {
        self.registry = registry
        self.settings = settings
        self.logger = logger
    }

    /// Runs agents until graceful shutdown or cancellation, then ends them all.
    func run() async {
        await supervisor.run { agent in
            _ = await agent.run()
            await self.forget(agent)
        } endAll: {
            await self.endAll()
        }
    }

    private func endAll() {
        for agent in agents { agent.post(.terminate) }
    }

    private func forget(_ agent: Agent) { agents.removeAll { $0 === agent } }

    /// Begins a push or pull and waits until the far side has accepted. Throws the REST failure otherwise.
    func begin(_ request: AgentRequest) async throws(RESTFailure) {
        try checkSecurity(request.address)
        try checkConflict(request)
        switch request.direction {
        case .push:
            guard await registry.isAvailable(request.localStreamName) else {
                throw .notFound("there is no local stream \"\(request.localStreamName)\" with media")
            }
        case .pull:
            guard await !registry.isTaken(request.localStreamName) else { throw Self.nameTaken(request) }
        }
        // Again: another request may have come while the registry was asked.
        try checkConflict(request)
        guard agents.count < settings.maximumAgents else {
            throw .internalError("there are \(settings.maximumAgents) agents already (max_agents)")
        }
        let agent = Agent(request: request, settings: settings, registry: registry, logger: logger)
        guard supervisor.begin(agent) else { throw .internalError("the server is shutting down") }
        agents.append(agent)
        do {
            try await agent.firstOutcome()
        } catch {
            // Not shown any more from the moment in which its failure is told.
            forget(agent)
            throw error.failure(for: request)
        }
    }

    private func checkConflict(_ request: AgentRequest) throws(RESTFailure) {
        switch request.direction {
        case .push:
            if agents.contains(where: { $0.isPush(to: request.address, as: request.remoteStreamName) }) {
                throw .conflict("a push to \(request.address) as \"\(request.remoteStreamName)\" is running already")
            }
        case .pull:
            if agents.contains(where: { $0.request.direction == .pull && $0.request.localStreamName == request.localStreamName }) {
                throw Self.nameTaken(request)
            }
        }
    }

    private static func nameTaken(_ request: AgentRequest) -> RESTFailure {
        .conflict("stream name \"\(request.localStreamName)\" is already in use on this server")
    }

    private func checkSecurity(_ address: WCSAddress) throws(RESTFailure) {
        if settings.usesSSL, !address.isSecure {
            throw .badRequest("\(address): only wss:// is allowed, because wcs_agent_ssl=true")
        }
        if !settings.usesSSL, address.isSecure {
            throw .badRequest("\(address): wss:// needs wcs_agent_ssl=true on both servers; it is false here")
        }
    }

    /// Oldest first.
    func findAll() -> [JSONValue] { agents.map(\.json) }

    /// Ends every agent that matches all given members; how many that were.
    func terminate(_ filter: AgentFilter) async -> Int {
        let matching = agents.filter(filter.matches)
        for agent in matching {
            agent.post(.terminate)
            forget(agent)
        }
        return matching.count
    }

    var count: Int { agents.count }
}

extension Agent {
    func isPush(to address: WCSAddress, as name: String) -> Bool {
        request.direction == .push && request.address == address && request.remoteStreamName == name
    }
}

/// The body of /pull/terminate: at least one of its members, all of which must match.
struct AgentFilter: Sendable {
    var address: WCSAddress?
    var localStreamName: String?
    var remoteStreamName: String?
    var localMediaSessionID: String?

    func matches(_ agent: Agent) -> Bool {
        if let address, agent.request.address != address { return false }
        if let localStreamName, agent.request.localStreamName != localStreamName { return false }
        if let remoteStreamName, agent.request.remoteStreamName != remoteStreamName { return false }
        if let localMediaSessionID, agent.localMediaSessionID != localMediaSessionID { return false }
        return true
    }
}
