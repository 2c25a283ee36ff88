// SPDX-License-Identifier: Apache-2.0
// A client of the WCS protocol: opens a session on a server, publishes and plays by offer and answer. Media is its user's
// business. Used by the agents and by the command line tools; knows nothing of the server it may run in.
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket
public import Primitives
import Signalling
import Synchronization

/// How certificates of wss servers are checked.
public enum WCSTrust: Sendable, Equatable {
    /// Against the system's authorities.
    case system
    /// Against the authorities in a PEM file as well as the system's.
    case authorities(file: String)
    /// Not at all.
    case none
}

/// How a client behaves.
public struct WCSClientConfiguration: Sendable {
    public var appKey = ConnectionRequest.defaultAppKey
    public var clientVersion = "2.0"
    /// Shown to the server as operating system and browser.
    public var clientName = "Martlet"
    public var custom: JSONValue?
    public var trust = WCSTrust.system
    /// TCP, TLS, WebSocket and session handshake together.
    public var connectTimeout = Duration.seconds(10)
    /// From an offer to its answer.
    public var answerTimeout = Duration.seconds(10)
    /// Nothing heard for this long: the server is gone. Servers ping every 5 s.
    public var silenceTimeout = Duration.seconds(50)
    /// Bytes of one received message.
    public var maximumMessageSize = 1_048_576
    /// What is held for the server counts in it.
    public var memory = MemoryBudget.unlimited
    /// Told of `DataStatusEvent` and `OnDataEvent`, on an event loop: hand on, never block.
    public var onData: @Sendable (ServerMessage) -> Void = { _ in }
    public init() {}
}

/// A stream that the server has answered.
public struct WCSStream: Sendable {
    public let mediaSessionID: String
    public let name: String
    public let isPublished: Bool
    /// The server's SDP.
    public let answer: String
    /// What the server says about the stream, from its beginning. Ends after a terminal status, or when the connection is gone.
    public let statuses: AsyncStream<StreamStatusMessage>
    /// Events of the stream's publisher, when playing; the latest 64 are kept.
    public let events: AsyncStream<StreamEventMessage>

    /// Waits for PUBLISHING or PLAYING, consuming `statuses` so far. Throws what the server said instead.
    public func started() async throws(WCSClientError) {
        for await status in statuses {
            switch status.known {
            case .publishing, .playing: return
            case .failed, .stopped, .unpublished: throw .stream(status: status.status, info: status.info ?? "")
            default: continue
            }
        }
        throw Task.isCancelled ? .cancelled : .disconnected("the connection to the server broke")
    }
}

/// One session on a server. Safe from any thread.
public final class WCSClient: Sendable {
    public let address: WCSAddress
    /// What the server said about the session (`getUserData`).
    public var userData: JSONValue { core.userData }

    private let core: WCSClientCore
    private let channel: any Channel
    private let connection: WebSocketConnection
    private let configuration: WCSClientConfiguration

    private init(
        address: WCSAddress, core: WCSClientCore, channel: any Channel, connection: WebSocketConnection,
        configuration: WCSClientConfiguration
    ) {
        self.address = address
        self.core = core
        self.channel = channel
        self.connection = connection
        self.configuration = configuration
    }

    /// Connects and waits until the session is ESTABLISHED.
    public static func connect(
        to address: WCSAddress, configuration: WCSClientConfiguration = .init(),
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) async throws(WCSClientError) -> WCSClient {
        let opened = try await WCSConnector.open(address, configuration: configuration, group: group)
        let client = WCSClient(
            address: address, core: opened.core, channel: opened.channel, connection: opened.connection, configuration: configuration)
        var request = ConnectionRequest(
            appKey: configuration.appKey, clientVersion: configuration.clientVersion, clientOSVersion: configuration.clientName,
            clientBrowserVersion: configuration.clientName, custom: configuration.custom)
        request.keepAlive = false
        client.send(.connection(request))
        do throws(WCSClientError) {
            try await Deadline.run(
                configuration.connectTimeout, otherwise: .timeout("\(address) did not establish the session in time")
            ) { () async throws(WCSClientError) in
                try await client.core.established()
            }
        } catch {
            client.close()
            throw error
        }
        return client
    }

    /// Publishes with an SDP offer; returns with the server's answer. Wait for PUBLISHING in `statuses` or by `started()`.
    public func publish(
        name: String, offer: String, mediaSessionID: String? = nil, hasAudio: Bool = true, hasVideo: Bool = true, record: Bool = false
    ) async throws(WCSClientError) -> WCSStream {
        let id = mediaSessionID ?? Identifier.uuid()
        var request = StreamRequest(
            mediaSessionID: id, name: name, published: true, hasAudio: hasAudio, hasVideo: hasVideo, sdp: offer)
        // We connect by UDP only: a server that prefers TCP is to know.
        request.transport = "UDP"
        request.record = record
        return try await begin(request, .publishStream(request))
    }

    /// Plays with an SDP offer; returns with the server's answer. Wait for PLAYING in `statuses` or by `started()`.
    public func play(name: String, offer: String, mediaSessionID: String? = nil) async throws(WCSClientError) -> WCSStream {
        var request = StreamRequest(mediaSessionID: mediaSessionID ?? Identifier.uuid(), name: name, published: false, sdp: offer)
        request.transport = "UDP"
        return try await begin(request, .playStream(request))
    }

    private func begin(_ request: StreamRequest, _ message: ClientMessage) async throws(WCSClientError) -> WCSStream {
        let id = request.mediaSessionID
        let channels = try core.register(id)
        send(message)
        let answer: String
        do throws(WCSClientError) {
            answer = try await Deadline.run(
                configuration.answerTimeout, otherwise: .timeout("\(address) did not answer in time")
            ) { [core] () async throws(WCSClientError) in
                try await core.answer(of: id)
            }
        } catch {
            core.unregister(id)
            throw error
        }
        return WCSStream(
            mediaSessionID: id, name: request.name, isPublished: request.published, answer: answer, statuses: channels.statuses,
            events: channels.events)
    }

    /// Asks the server to end the stream; UNPUBLISHED or STOPPED arrives in `statuses`.
    public func stop(_ stream: WCSStream) {
        let identity = StreamIdentity(
            mediaSessionID: stream.mediaSessionID, name: stream.name, published: stream.isPublished,
            status: stream.isPublished ? .publishing : .playing)
        send(stream.isPublished ? .unPublishStream(identity) : .stopStream(identity))
    }

    /// Sends an event of a stream we publish.
    public func sendEvent(_ type: String, payload: JSONValue?, of stream: WCSStream) {
        var event = StreamEventMessage(mediaSessionID: stream.mediaSessionID, type: .data, payload: payload)
        event.type = type
        send(.sendStreamEvent(event))
    }

    /// Sends any message; `stop` and the like are made of it.
    public func send(_ message: ClientMessage) { connection.send(message.envelope.serialized()) }

    /// Closes the session. What was sent before still goes out. Also ends every stream's `statuses`.
    public func close() { connection.close(code: .normalClosure, reason: "") }

    /// Closes and waits until the socket is gone.
    public func shutdown() async {
        close()
        try? await channel.closeFuture.get()
    }

    /// Drops the connection without a word, as the system does for a program that was killed; waits until the socket is gone.
    public func abandon() async { try? await channel.close() }

    public var isClosed: Bool { core.isClosed }
}
