// SPDX-License-Identifier: Apache-2.0
// /connection/*: the clients connected by WebSocket or RTMP.
import Signalling

struct ConnectionRoutes: RESTRouteProvider {
    let sessions: SessionRegistry

    var restRoutes: [RESTRoute] {
        [
            RESTRoute(path: "connection/find", allowsGET: false) { body in try reply(try SessionFilter(body)) },
            RESTRoute(path: "connection/find_all", allowsGET: true) { _ in try reply(.all) },
            RESTRoute(path: "connection/terminate", allowsGET: false) { body in
                guard let members = body?.objectValue, !members.isEmpty else {
                    throw RESTFailure.badRequest("\"sessionId\" is missing")
                }
                let filter = try SessionFilter(body)
                guard !filter.fields.isEmpty else { throw RESTFailure.badRequest("\"sessionId\" is missing") }
                guard sessions.terminate(filter) > 0 else {
                    throw RESTFailure.notFound("no connection matches \(filter.description)")
                }
                return .empty
            },
        ]
    }

    private func reply(_ filter: SessionFilter) throws(RESTFailure) -> RESTReply {
        let found = sessions.find(filter)
        guard !found.isEmpty else { throw .notFound("no connection matches \(filter.description)") }
        return RESTReply(body: .array(found.map(\.json)))
    }
}
