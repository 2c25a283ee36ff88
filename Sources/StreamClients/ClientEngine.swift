// SPDX-License-Identifier: Apache-2.0
// The media engine of a command line client: one reactor, any free port. Made once per process by the commands.
import MartletServer
import MediaIO

/// What publishers and players of one process share: the engine, and how far sides are trusted.
public struct ClientEngine: Sendable {
    public let engine: ReactorEngine
    public var configuration: WCSClientConfiguration

    /// - Parameter trust: how the certificates of wss servers are checked.
    public init(trust: WCSTrust = .system) throws {
        var media = MediaEngineConfiguration()
        media.reactors = 1
        media.portFrom = 0
        media.tcp.isOpen = false
        engine = try ReactorEngine(configuration: media)
        configuration = WCSClientConfiguration()
        configuration.trust = trust
        configuration.clientName = "martlet"
    }

    public func shutdown() async { await engine.shutdown() }
}

/// Why a client's stream ended or could not begin, in words.
public enum StreamClientError: Error, Sendable, CustomStringConvertible {
    case server(WCSClientError)
    case media(String)

    public var description: String {
        switch self {
        case .server(let error): error.description
        case .media(let sentence): sentence
        }
    }
}
