// SPDX-License-Identifier: Apache-2.0
// REST methods about the server itself: `server/info`, `openapi.json`.
import Signalling

struct ServerRoutes: RESTRouteProvider {
    let listeners: ListenerRegistry

    var restRoutes: [RESTRoute] {
        let listeners = listeners
        let document = OpenAPIDocument.document()
        return [
            RESTRoute(path: "server/info", allowsGET: true) { _ in
                var info: [String: JSONValue] = ["version": .string(Version.current)]
                let ports = listeners.ports
                for kind in ListenerKind.allCases { info[kind.rawValue] = ports[kind].map { JSONValue($0) } ?? .null }
                return RESTReply(body: .object(info))
            },
            RESTRoute(path: "openapi.json", allowsGET: true) { _ in RESTReply(body: document) },
        ]
    }
}
