import Signalling
import Testing

@testable import MartletServer

struct RESTOpenAPITests {
    @Test("docs/openapi.json is what `martlet config --openapi` prints")
    func file() throws {
        let file = try #require(Repository.file("docs/openapi.json"))
        #expect(file == OpenAPIDocument.text(), "run: martlet config --openapi > docs/openapi.json")
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
            "version": .string(Version.current), "http": 12345, "https": nil, "ws": nil, "wss": nil,
        ])
    }
}
