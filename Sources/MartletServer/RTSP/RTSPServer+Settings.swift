// SPDX-License-Identifier: Apache-2.0
// RTSP as the settings want it.
import Logging
import Primitives

extension RTSPServer {
    /// `nil`: the listener is off.
    static func make(_ settings: Settings, streams: StreamRegistry, listeners: ListenerRegistry, memory: MemoryBudget) -> RTSPServer? {
        guard settings.rtspPort >= 0 else { return nil }
        var configuration = RTSPServerSettings()
        configuration.host = settings.bindHost
        configuration.port = settings.rtspPort
        configuration.maximumClients = settings.maximumRTSPClients
        configuration.maximumClientsPerAddress = settings.maximumRTSPClientsPerAddress
        configuration.idleTimeout = .milliseconds(settings.rtspClientIdleTimeout)
        configuration.writeTimeout = .milliseconds(settings.rtspWriteTimeout)
        configuration.membersOnly = settings.roomMembersOnly
        configuration.memory = memory
        return RTSPServer(settings: configuration, streams: streams, listeners: listeners, logger: Logger(label: "martlet.rtsp"))
    }
}

extension RTSPPullSettings {
    init(_ settings: Settings, memory: MemoryBudget) {
        self.memory = memory
        usesUDP = settings.rtspOverUDP
        isByName = settings.rtspPullByName
        idleTimeout = .milliseconds(settings.rtspIdleTimeout)
        connectTimeout = .milliseconds(settings.rtspConnectTimeout)
        activityTimeout = .milliseconds(settings.rtspActivityTimeout)
        longestGap = .milliseconds(settings.rtspReconnectTimeout)
        clientAddress = settings.rtspClientAddress
        recordsStreams = settings.recordsRTSPStreams
    }
}
