// SPDX-License-Identifier: Apache-2.0
// Times and bounds of the RTMP doors, as the service and its connections need them. Made from the settings by the composition.
import NIOCore
import RTMP

struct RTMPSettings: Sendable, Equatable {
    var host = "::"
    /// `nil`: off; 0: any free port.
    var port: Int? = 1935
    var securePort: Int?
    var maximumConnections = 1_000
    var maximumConnectionsPerAddress = 250
    /// From the TCP connection to an accepted `connect`, and from there to the first stream or room.
    var connectTimeout = TimeAmount.seconds(10)
    /// A publisher from which nothing comes for so long is dropped.
    var idleTimeout = TimeAmount.seconds(30)
    /// Streams published by RTMP are recorded.
    var recordsStreams = false
    var limits = RTMPLimits()
    var send = RTMPSendLimits()

    init() {}

    /// The doors that will be opened.
    var listeners: [ListenerKind] { (port == nil ? [] : [.rtmp]) + (securePort == nil ? [] : [.rtmps]) }

    init(_ settings: Settings) {
        host = settings.bindHost
        port = settings.rtmpPort >= 0 ? settings.rtmpPort : nil
        securePort = settings.rtmpsPort >= 0 ? settings.rtmpsPort : nil
        maximumConnections = settings.maximumRTMPConnections
        maximumConnectionsPerAddress = settings.maximumRTMPConnectionsPerAddress
        connectTimeout = .milliseconds(Int64(settings.rtmpConnectTimeout))
        idleTimeout = .milliseconds(Int64(settings.rtmpIdleTimeout))
        recordsStreams = settings.recordsFlashStreams
        send.timeout = .milliseconds(Int64(settings.rtmpWriteTimeout))
    }
}

extension RTMPRelay.Settings {
    init(_ settings: Settings) {
        timeout = .milliseconds(Int64(settings.agentTimeout))
        firstDelay = .milliseconds(settings.agentReconnectDelayMin)
        longestDelay = .milliseconds(settings.agentReconnectDelayMax)
        maximumAttempts = settings.agentReconnectAttempts
        reconnects = settings.agentReconnects
        verifiesCertificate = settings.agentVerifiesCertificate
        authorities = settings.agentCAFile
        send.timeout = .milliseconds(Int64(settings.rtmpWriteTimeout))
    }
}
