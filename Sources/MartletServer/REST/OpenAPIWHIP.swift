// SPDX-License-Identifier: Apache-2.0
// WHIP and WHEP for the OpenAPI document. They lie beside `/rest-api`, so their paths carry a server of their own.
import SDP
import Signalling

extension OpenAPIDocument {
    /// Path items of the endpoints and the sessions.
    static var httpStreamPaths: [String: JSONValue] {
        var paths: [String: JSONValue] = [:]
        for kind in WHIPKind.allCases {
            let verb = kind.publishes ? "Publish" : "Play"
            let stream = parameter("stream", "Name of the stream, percent-encoded; a slash in it is %2F")
            var refusals = [
                400: "The offer can't be read", 401: "A token is needed", 403: "Not allowed", 413: "The offer is too large",
                415: "The body is not application/sdp", 422: "The offer has no common codec, no media or no ICE credentials",
                429: "Too many sessions begun from this address", 503: "A limit of the server is reached",
            ]
            refusals[409] = kind.publishes ? "The name is in use" : "The stream has no media yet; try again after Retry-After"
            if !kind.publishes { refusals[404] = "There is no such stream" }
            paths["/\(kind.rawValue)/{stream}"] = [
                "servers": root, "parameters": [stream],
                "post": operation(
                    "\(verb) a stream (\(kind.publishes ? "WHIP, RFC 9725" : "WHEP"))", kind, "begin", body: "application/sdp",
                    success: (201, "The answer; Location names the session, ETag its ICE session, Link the ICE servers", "application/sdp"),
                    refusals),
            ]
            paths["/\(kind.rawValue)/{stream}/{session}"] = [
                "servers": root, "parameters": [stream, parameter("session", "From Location of the 201")],
                "patch": operation(
                    "Send ICE candidates (204), or restart ICE (200, If-Match: *)", kind, "patch", body: TrickleFragment.mediaType,
                    success: (200, "ICE restarted; the body has the server's half, ETag is new", TrickleFragment.mediaType), [
                        400: "The fragment can't be read", 404: "There is no such session", 412: "If-Match is not the ETag of the ICE session",
                        413: "The fragment is too large", 415: "The body is of another type", 428: "If-Match is missing",
                    ], alsoEmpty: true),
                "delete": operation(
                    "End the session", kind, "end", body: nil, success: (200, "Ended", nil), [404: "There is no such session"]),
            ]
        }
        return paths
    }

    private static let root: JSONValue = [["url": "/"]]

    private static func parameter(_ name: String, _ documentation: String) -> JSONValue {
        ["name": .string(name), "in": "path", "required": true, "description": .string(documentation), "schema": ["type": "string"]]
    }

    private static func operation(
        _ summary: String, _ kind: WHIPKind, _ name: String, body: String?, success: (status: Int, documentation: String, type: String?),
        _ refusals: [Int: String], alsoEmpty: Bool = false
    ) -> JSONValue {
        let text: JSONValue = ["schema": ["type": "string"]]
        var done: [String: JSONValue] = ["description": .string(success.documentation)]
        if let type = success.type { done["content"] = .object([type: text]) }
        var responses: [String: JSONValue] = [String(success.status): .object(done)]
        if alsoEmpty { responses["204"] = ["description": "Taken"] }
        for (status, reason) in refusals {
            responses[String(status)] = [
                "description": .string(reason),
                "content": ["application/problem+json": ["schema": ["$ref": "#/components/schemas/Problem"]]],
            ]
        }
        var description: [String: JSONValue] = [
            "summary": .string(summary), "tags": [.string(kind.rawValue)], "operationId": .string("\(kind.rawValue)_\(name)"),
            "responses": .object(responses),
        ]
        if let body { description["requestBody"] = ["required": true, "content": .object([body: text])] }
        return .object(description)
    }
}
