// SPDX-License-Identifier: Apache-2.0
// /rtsp/*: streams fetched from cameras and other RTSP servers.
import Signalling

struct RTSPRoutes: RESTRouteProvider {
    let pulls: RTSPPulls

    var restRoutes: [RESTRoute] {
        [
            RESTRoute(path: "rtsp/startup", allowsGET: false) { body in
                let object = try Self.object(body)
                guard let uri = try Self.text("uri", object) else { throw RESTFailure.badRequest("\"uri\" is missing") }
                try await pulls.start(uri, as: try Self.text("toStream", object))
                return .empty
            },
            RESTRoute(path: "rtsp/find", allowsGET: false) { body in
                let object = try Self.object(body)
                let found = await pulls.find(uri: try Self.text("uri", object), status: try Self.text("status", object))
                guard !found.isEmpty else { throw RESTFailure.notFound("no RTSP pull matches") }
                return RESTReply(body: .array(found))
            },
            RESTRoute(path: "rtsp/find_all", allowsGET: true) { _ in
                let found = await pulls.find()
                guard !found.isEmpty else { throw RESTFailure.notFound("there are no RTSP pulls") }
                return RESTReply(body: .array(found))
            },
            RESTRoute(path: "rtsp/terminate", allowsGET: false) { body in
                guard let uri = try Self.text("uri", try Self.object(body)) else { throw RESTFailure.badRequest("\"uri\" is missing") }
                guard await pulls.terminate(uri: uri) > 0 else { throw RESTFailure.notFound("there is no pull of that address") }
                return .empty
            },
        ]
    }

    private static func object(_ body: JSONValue?) throws(RESTFailure) -> JSONValue {
        guard let body, body.objectValue != nil else { throw .badRequest("a JSON object is expected as the body") }
        return body
    }

    /// A string member; `nil` when missing or null.
    private static func text(_ key: String, _ object: JSONValue) throws(RESTFailure) -> String? {
        guard let value = object[key], !value.isNull else { return nil }
        guard let text = value.stringValue, !text.isEmpty else { throw .badRequest("\"\(key)\" must be a non-empty string") }
        guard text.utf8.count <= 2048 else { throw .badRequest("\"\(key)\" is too long") }
        return text
    }
}
