// SPDX-License-Identifier: Apache-2.0
// /stream/*: what is published and played here.
import Signalling

struct StreamRoutes: RESTRouteProvider {
    let streams: StreamRegistry

    var restRoutes: [RESTRoute] {
        [
            RESTRoute(path: "stream/find", allowsGET: false) { body in
                let filter = try StreamFilter(body)
                return try Self.reply(await streams.find(filter), filter)
            },
            RESTRoute(path: "stream/find_all", allowsGET: true) { _ in
                try Self.reply(await streams.find(.all), .all)
            },
            RESTRoute(path: "stream/terminate", allowsGET: false) { body in
                // An empty object means everything; nothing at all is taken for a mistake.
                guard body?.objectValue != nil else { throw RESTFailure.badRequest("a JSON object is expected as the body") }
                let filter = try StreamFilter(body)
                guard await streams.terminate(filter) > 0 else {
                    throw RESTFailure.notFound("no stream matches \(filter.description)")
                }
                return .empty
            },
        ]
    }

    private static func reply(_ found: [JSONValue], _ filter: StreamFilter) throws(RESTFailure) -> RESTReply {
        guard !found.isEmpty else { throw .notFound("no stream matches \(filter.description)") }
        return RESTReply(body: .array(found))
    }
}
