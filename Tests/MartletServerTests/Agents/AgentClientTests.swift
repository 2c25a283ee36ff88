// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import Signalling
import Synchronization
import Testing

@testable import MartletServer

/// A server that answers by script, like foreign servers do.
private final class ScriptedServer {
    let listener: WebSocketListener
    let heard = Mutex<[String]>([])

    init(_ script: @escaping @Sendable (Envelope) -> [String]) async throws {
        let sink = Sink()
        var configuration = WebSocketListener.Configuration(port: 0)
        configuration.host = "127.0.0.1"
        listener = try await WebSocketListener.bind(
            configuration, group: MultiThreadedEventLoopGroup.singleton, admit: { _ in {} },
            onConnection: { connection, _ in
                { event in
                    guard case .text(let text) = event, let envelope = try? Envelope(parsing: text) else { return }
                    connection.messageProcessed()
                    sink.heard.withLock { $0.append(envelope.message) }
                    for line in script(envelope) { connection.send(line) }
                }
            })
        self.sink = sink
    }
    final class Sink: Sendable { let heard = Mutex<[String]>([]) }
    let sink: Sink
    var messages: [String] { sink.heard.withLock { $0 } }
    func address() throws -> WCSAddress { try WCSAddress("ws://127.0.0.1:\(listener.port)") }
    func stop() async { try? await listener.channel.close() }
}

private func id(_ envelope: Envelope) -> String { envelope.argument["mediaSessionId"]?.stringValue ?? "" }
private let userData = #"{"message":"getUserData","data":[{"authToken":"x","unknown":{"a":[]}}]}"#

@Suite("The client of other servers", .timeLimit(.minutes(1)))
struct AgentClientTests {
    @Test("two-element answers, a status before the answer, unknown messages and odd frames are all taken")
    func vendorLike() async throws {
        let server = try await ScriptedServer { envelope in
            switch envelope.message {
            case "connection": [#"{"message":"ping"}"#, #"{"message":"mystery","data":[1]}"#, "no json", #"{"message":"getVersion","data":["5.2"]}"#, userData]
            case "publishStream":
                [
                    #"{"message":"notifyStreamStatusEvent","data":[{"mediaSessionId":"\#(id(envelope))","status":"PENDING","extra":1}]}"#,
                    #"{"message":"setRemoteSDP","data":["\#(id(envelope))","v=0"]}"#,
                    #"{"message":"notifyVideoFormat","data":[{"mediaSessionId":"\#(id(envelope))","status":"RESIZE"}]}"#,
                    #"{"message":"notifyStreamStatusEvent","data":[{"mediaSessionId":"\#(id(envelope))","status":"PUBLISHING"}]}"#,
                ]
            case "unPublishStream":
                [#"{"message":"notifyStreamStatusEvent","data":[{"mediaSessionId":"\#(id(envelope))","status":"UNPUBLISHED"}]}"#]
            default: []
            }
        }
        let client = try await WCSClient.connect(to: server.address())
        #expect(client.userData["authToken"] == "x")
        let stream = try await client.publish(name: "one", offer: "offer")
        #expect(stream.answer == "v=0")
        try await stream.started()
        client.stop(stream)
        var last: StreamStatusMessage?
        for await status in stream.statuses { last = status }
        #expect(last?.known == .unpublished)
        #expect(server.messages.contains("pong"))
        await client.shutdown()
        await server.stop()
    }

    @Test("a stream that fails by a fail frame, before its answer, says why")
    func failFrame() async throws {
        let server = try await ScriptedServer { envelope in
            switch envelope.message {
            case "connection": [userData]
            case "playStream":
                [#"{"message":"fail","data":[{"apiMethod":"StreamStatusEvent","id":"\#(id(envelope))","status":"FAILED","info":"Stream not found"}]}"#]
            default: []
            }
        }
        let client = try await WCSClient.connect(to: server.address())
        await #expect(throws: WCSClientError.stream(status: "FAILED", info: "Stream not found")) {
            try await client.play(name: "one", offer: "offer")
        }
        await client.shutdown()
        await server.stop()
    }

    @Test("a server that says nothing is given up in time, at every step")
    func silence() async throws {
        let mute = try await ScriptedServer { _ in [] }
        var configuration = WCSClientConfiguration()
        configuration.connectTimeout = .milliseconds(100)
        configuration.answerTimeout = .milliseconds(100)
        await #expect(throws: WCSClientError.self) { try await WCSClient.connect(to: mute.address(), configuration: configuration) }
        await mute.stop()
        configuration.connectTimeout = WCSClientConfiguration().connectTimeout
        let polite = try await ScriptedServer { $0.message == "connection" ? [userData] : [] }
        let client = try await WCSClient.connect(to: polite.address(), configuration: configuration)
        await #expect(throws: WCSClientError.self) { try await client.publish(name: "one", offer: "offer") }
        await client.shutdown()
        await polite.stop()
    }

    @Test("a lost connection ends statuses and refuses further requests")
    func lostConnection() async throws {
        let server = try await WebSocketTestServer()
        let client = try await WCSClient.connect(to: server.address())
        let stream = try await client.publish(name: "one", offer: "offer")
        try await stream.started()
        await server.stop()
        for await _ in stream.statuses {}
        #expect(await eventually { client.isClosed })
        await #expect(throws: WCSClientError.self) { try await client.publish(name: "two", offer: "offer") }
    }
}
