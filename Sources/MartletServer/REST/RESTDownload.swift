// SPDX-License-Identifier: Apache-2.0
// A REST method that answers GET with something else than JSON, named by the end of its path. Served by RESTRouter.
import Hummingbird
import HTTPTypes
import NIOCore
import Primitives

/// What a download gives.
struct RESTContent: Sendable {
    let mediaType: String
    let bytes: [UInt8]
}

/// GET and HEAD of everything below `prefix`.
struct RESTDownload: Sendable {
    /// Relative to `/rest-api/`, with a slash at the end: `stream/snapshot/`.
    let prefix: String
    /// For the documentation: `stream/snapshot/{streamName}.png`.
    let pattern: String
    /// The rest of the path, percent-decoded, the query, and the client's address. Throws `RESTFailure`.
    let handle: @Sendable (_ rest: String, _ query: [String: String], _ client: AddressKey) async throws -> RESTContent

    /// Answers a request whose path begins with the prefix.
    func respond(to request: Request, from client: AddressKey) async throws -> Response {
        guard request.method == .get || request.method == .head else {
            throw RESTFailure(status: 405, reason: "\(request.method.rawValue) is not possible on \(request.uri.path.prefix(200)); use GET")
        }
        guard let rest = String(request.uri.path.dropFirst(RESTRouter.prefix.count + prefix.count)).removingPercentEncoding else {
            throw RESTFailure.badRequest("The path is malformed")
        }
        var query: [String: String] = [:]
        for (key, value) in request.uri.queryParameters { query[String(key)] = String(value) }
        let content = try await handle(rest, query, client)
        return Response(
            status: .ok,
            headers: [.contentType: content.mediaType, .cacheControl: "no-store", .xContentTypeOptions: "nosniff"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: content.bytes)))
    }
}
