// SPDX-License-Identifier: Apache-2.0
import HTTPTypes
import Hummingbird
import Signalling
import Testing

@testable import MartletServer

struct RESTRouterTests {
    private let harness = WebHarness(routes: [
        RESTRoute(path: "pull/push", allowsGET: false) { body in
            guard let name = body?["localStreamName"]?.stringValue else { throw RESTFailure.badRequest("The field localStreamName is missing") }
            switch name {
            case "unknown": throw RESTFailure.notFound("There is no stream \(name)")
            case "twice": throw RESTFailure.conflict("It runs already")
            case "broken": throw CancellationError()
            default: return .empty
            }
        },
        RESTRoute(path: "pull/find_all", allowsGET: true) { body in RESTReply(body: ["body": body ?? .null]) },
    ])

    @Test("a method that worked answers 200, and an empty body where it has nothing to say")
    func success() async throws {
        let answer = try await harness.send(.post, "/rest-api/pull/push", body: #"{"localStreamName":"a"}"#)
        #expect(answer.status == 200)
        #expect(answer.bytes.isEmpty)
        #expect(answer.headers[.contentType] == "application/json")
        #expect(answer.headers[.accessControlAllowOrigin] == "*")
    }

    @Test("methods without a body are answered to GET and POST alike, with and without a slash at the end")
    func bodyless() async throws {
        for (method, path) in [(HTTPRequest.Method.get, "/rest-api/pull/find_all"), (.post, "/rest-api/pull/find_all"), (.get, "/rest-api/pull/find_all/?x=1")] {
            let answer = try await harness.send(method, path)
            #expect(answer.status == 200)
            #expect(answer.json == ["body": nil])
        }
        #expect(try await harness.send(.post, "/rest-api/pull/find_all", body: " \r\n").json == ["body": nil])
        #expect(try await harness.send(.post, "/rest-api/pull/find_all", body: "null").json == ["body": nil])
    }

    @Test("an error carries status, error, reason, path and timestamp")
    func errorShape() async throws {
        let answer = try await harness.send(.post, "/rest-api/pull/push", body: #"{"localStreamName":"unknown"}"#)
        #expect(answer.status == 404)
        #expect(answer.headers[.contentType] == "application/json")
        let body = try #require(answer.json)
        #expect(body["status"] == 404)
        #expect(body["error"] == "Not Found")
        #expect(body["reason"] == "There is no stream unknown")
        #expect(body["path"] == "/rest-api/pull/push")
        #expect((body["timestamp"]?.intValue ?? 0) > 1_600_000_000_000)
        #expect(body.objectValue?.count == 5)
    }

    @Test("each kind of failure has its status")
    func statuses() async throws {
        func status(_ body: String) async throws -> Int { try await harness.send(.post, "/rest-api/pull/push", body: body).status }
        #expect(try await status(#"{"localStreamName":"twice"}"#) == 409)
        #expect(try await status(#"{"localStreamName":"broken"}"#) == 500)
        #expect(try await status("{}") == 400)
        #expect(try await status("") == 400)
    }

    @Test("a body that is not a JSON object is refused with 400 and the place of the mistake")
    func malformed() async throws {
        for body in [#"{"a":"#, "hello", "[1]", "3", #"{"a":1}x"#] {
            let answer = try await harness.send(.post, "/rest-api/pull/push", body: body)
            #expect(answer.status == 400, "\(body)")
            #expect(answer.json?["reason"]?.stringValue?.hasPrefix("The body ") == true, "\(body)")
        }
    }

    @Test("a body of more than 1 MiB is refused")
    func tooLarge() async throws {
        let text = String(repeating: "x", count: RESTRouter.maximumBodySize)
        #expect(try await harness.send(.post, "/rest-api/pull/push", body: #"{"a":"\#(text)"}"#).status == 413)
    }

    @Test("an unknown method is a 404 that names the nearest one")
    func unknownMethod() async throws {
        let answer = try await harness.send(.post, "/rest-api/pull/pusch", body: "{}")
        #expect(answer.status == 404)
        let reason = try #require(answer.json?["reason"]?.stringValue)
        #expect(reason.contains("There is no REST method /rest-api/pull/pusch; did you mean /rest-api/pull/push?"))
        #expect(reason.contains("/rest-api/openapi.json"))
        // A method of another area is no slip of the pen.
        for path in ["call/find_all", "hls/find_all", "pusch/pull"] {
            let other = try await harness.send(.post, "/rest-api/\(path)", body: "{}")
            #expect(other.status == 404 && other.json?["reason"]?.stringValue?.contains("did you mean") == false, "\(path)")
        }
        #expect(try await harness.send(.get, "/rest-api/").status == 404)
        #expect(try await harness.send(.get, "/rest-api").status == 404)
    }

    @Test("a method asked for in the wrong way is a 405 that says which way is right")
    func wrongMethod() async throws {
        let get = try await harness.send(.get, "/rest-api/pull/push")
        #expect(get.status == 405)
        #expect(get.headers[.allow] == "POST, OPTIONS")
        #expect(try await harness.send(.delete, "/rest-api/pull/find_all").status == 405)
        #expect(try await harness.send(.put, "/rest-api/pull/push", body: "{}").status == 405)
    }

    @Test("a page of another origin gets its preflight answered")
    func preflight() async throws {
        let answer = try await harness.send(.options, "/rest-api/pull/push", headers: [.origin: "http://elsewhere", .accessControlRequestMethod: "POST"])
        #expect(answer.status == 204)
        #expect(answer.headers[.accessControlAllowOrigin] == "*")
        #expect(answer.headers[.accessControlAllowHeaders]?.contains("content-type") == true)
        #expect(answer.headers[.accessControlAllowMethods]?.contains("POST") == true)
    }

    @Test("the CORS headers can be set one by one or as a whole, and are on errors too")
    func crossOriginSettings() async throws {
        var harness = harness
        harness.settings.accessControlAllowOrigin = "https://a.example"
        #expect(try await harness.send(.get, "/rest-api/none").headers[.accessControlAllowOrigin] == "https://a.example")
        harness.settings.accessControlHeaders = "Access-Control-Allow-Origin: https://b.example;Access-Control-Allow-Credentials: true"
        let answer = try await harness.send(.get, "/rest-api/pull/find_all")
        #expect(answer.headers[.accessControlAllowOrigin] == "https://b.example")
        #expect(answer.headers[.accessControlAllowCredentials] == "true")
        #expect(answer.headers[.accessControlAllowMethods] == nil)
    }

    @Test("with authentication on, only users of the file get in, and preflights still do")
    func authentication() async throws {
        var harness = harness
        harness.authentication = try BasicAuthentication(parsing: "# users\nada:secret:with:colons\nbob:x\n", file: "users")
        func status(_ credentials: String?) async throws -> Int {
            var headers = HTTPFields()
            headers[.authorization] = credentials
            return try await harness.send(.get, "/rest-api/pull/find_all", headers: headers).status
        }
        #expect(try await status(nil) == 401)
        #expect(try await status("Basic YWRhOnNlY3JldDp3aXRoOmNvbG9ucw==") == 200)  // ada:secret:with:colons
        #expect(try await status("basic Ym9iOng=") == 200)  // bob:x
        #expect(try await status("Basic Ym9iOg==") == 401)  // bob:
        #expect(try await status("Basic bm9ib2R5Og==") == 401)  // nobody:
        #expect(try await status("Basic !!!") == 401)
        #expect(try await status("Bearer x") == 401)
        let refused = try await harness.send(.get, "/?action=stat")
        #expect(refused.status == 401)
        #expect(refused.headers[.wwwAuthenticate]?.hasPrefix("Basic ") == true)
        #expect(try await harness.send(.options, "/rest-api/pull/push").status == 204)
        #expect(throws: SettingsError.self) { try BasicAuthentication(parsing: "\n#\n", file: "users") }
        #expect(throws: SettingsError.self) { try BasicAuthentication(parsing: "name only", file: "users") }
    }
}
