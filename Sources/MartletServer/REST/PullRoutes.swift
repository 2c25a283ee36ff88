// SPDX-License-Identifier: Apache-2.0
// /pull/*: streams to and from other servers. 200 means that the far side has accepted.
import Signalling

struct PullRoutes: RESTRouteProvider {
    let agents: AgentRegistry
    /// Streams fetched by RTMP are listed and ended here too, as the vendor does.
    var relays: RTMPRelays?

    var restRoutes: [RESTRoute] {
        [
            RESTRoute(path: "pull/push", allowsGET: false) { body in
                try await agents.begin(Self.request(.push, body))
                return .empty
            },
            RESTRoute(path: "pull/pull", allowsGET: false) { body in
                try await agents.begin(Self.request(.pull, body))
                return .empty
            },
            RESTRoute(path: "pull/find_all", allowsGET: true) { _ in
                let found = await agents.findAll() + (await relays?.find(.pull) ?? [])
                guard !found.isEmpty else { throw RESTFailure.notFound("there are no pushes or pulls") }
                return RESTReply(body: .array(found))
            },
            RESTRoute(path: "pull/terminate", allowsGET: false) { body in
                if let relays, let uri = body?["uri"]?.stringValue, uri.lowercased().hasPrefix("rtmp") {
                    guard await relays.terminate(.pull, { $0.request.shownURL == uri }) > 0 else { throw RESTFailure.notFound("there is no pull of \(uri)") }
                    return .empty
                }
                let count = await agents.terminate(try Self.filter(body))
                guard count > 0 else { throw RESTFailure.notFound("no push or pull matches \(body?.serialized() ?? "")") }
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

    private static func address(_ text: String) throws(RESTFailure) -> WCSAddress {
        do { return try WCSAddress(text) } catch { throw .badRequest("uri: \(error)") }
    }

    static func request(_ direction: AgentDirection, _ body: JSONValue?) throws(RESTFailure) -> AgentRequest {
        let object = try object(body)
        func required(_ key: String) throws(RESTFailure) -> String {
            guard let value = try text(key, object) else { throw .badRequest("\"\(key)\" is missing") }
            return value
        }
        return AgentRequest(
            direction: direction, address: try address(try required("uri")), localStreamName: try required("localStreamName"),
            remoteStreamName: try required("remoteStreamName"))
    }

    static func filter(_ body: JSONValue?) throws(RESTFailure) -> AgentFilter {
        let object = try object(body)
        var filter = AgentFilter()
        filter.address = try text("uri", object).map { text throws(RESTFailure) in try address(text) }
        filter.localStreamName = try text("localStreamName", object)
        filter.remoteStreamName = try text("remoteStreamName", object)
        filter.localMediaSessionID = try text("localMediaSessionId", object)
        let names = [filter.localStreamName, filter.remoteStreamName, filter.localMediaSessionID]
        guard filter.address != nil || names.contains(where: { $0 != nil }) else {
            throw .badRequest("one of \"uri\", \"localStreamName\", \"remoteStreamName\" is needed")
        }
        return filter
    }
}
