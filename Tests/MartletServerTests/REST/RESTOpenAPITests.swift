// SPDX-License-Identifier: Apache-2.0
import Logging
import MediaIO
import Signalling
import Testing

@testable import MartletServer

struct RESTOpenAPITests {
    @Test("docs/openapi.json is what `martlet config --openapi` prints")
    func file() throws {
        let file = try #require(Repository.file("docs/openapi.json"))
        #expect(file == OpenAPIDocument.text(), "run: martlet config --openapi > docs/openapi.json")
    }

    @Test("every REST method of the server is described, with GET where it takes GET, and nothing else is")
    func routes() async throws {
        var configuration = MediaEngineConfiguration()
        configuration.portFrom = 0
        configuration.reactors = 1
        let engine = try ReactorEngine(configuration: configuration)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let streams = StreamRegistry(engine: engine, nodeID: "node", logger: logger)
        let snapshots = StreamSnapshots.make(Settings(), streams: streams, engine: engine)
        let recordings = StreamRecordings.make(Settings(), engine: engine)
        let routes = Server.routes(
            listeners: ListenerRegistry(), sessions: SessionRegistry(), streams: streams,
            agents: AgentRegistry(registry: streams, settings: AgentSettings(), logger: logger),
            rooms: RoomService(streams: streams, logger: logger), snapshots: snapshots, recordings: recordings,
            relays: RTMPRelays(streams: streams, settings: RTMPRelay.Settings(), maximum: 1, logger: logger),
            pulls: RTSPPulls(registry: streams, settings: RTSPPullSettings(), maximum: 10, logger: logger))
        let served = Dictionary(uniqueKeysWithValues: routes.map { ("/" + $0.path, $0.allowsGET) })
        // WHIP and WHEP lie beside REST.
        let paths = try #require(OpenAPIDocument.document()["paths"]?.objectValue).filter { $0.value["servers"] == nil }
        // What can't be posted is a download.
        let methods = paths.filter { $0.value["post"] != nil }
        #expect(served == methods.mapValues { $0["get"] != nil })
        let downloads = [SnapshotRoutes(snapshots: snapshots).download, RecordingRoutes(streams: streams, recordings: recordings).thumbnails]
        #expect(paths.keys.filter { methods[$0] == nil }.sorted() == downloads.map { "/" + $0.pattern }.sorted())
        await engine.shutdown()
    }

    @Test("the indented text says the same as the document")
    func indentation() throws {
        #expect(try JSONValue(parsing: OpenAPIDocument.text()) == OpenAPIDocument.document())
    }

    @Test("every schema that is referred to exists, and every one that exists is referred to")
    func references() {
        var used: Set<String> = []
        func visit(_ value: JSONValue) {
            if let name = value["$ref"]?.stringValue { used.insert(String(name.split(separator: "/").last ?? "")) }
            for member in value.objectValue?.values.map({ $0 }) ?? value.arrayValue ?? [] { visit(member) }
        }
        visit(OpenAPIDocument.document())
        #expect(used == Set(OpenAPISchemas.all.keys))
    }

    @Test("the server serves its own description and its ports")
    func served() async throws {
        let registry = ListenerRegistry()
        registry.opened(.http, port: 12345)
        let harness = WebHarness(routes: ServerRoutes(listeners: registry).restRoutes)
        #expect(try await harness.send(.get, "/rest-api/openapi.json").json == OpenAPIDocument.document())
        #expect(try await harness.send(.get, "/rest-api/server/info").json == [
            "version": .string(Version.current), "http": 12345, "https": nil, "ws": nil, "wss": nil, "rtsp": nil, "rtmp": nil, "rtmps": nil,
        ])
    }
}
