// SPDX-License-Identifier: Apache-2.0
// From an HTTP request under /rest-api/ to a method and back: finds the route, parses the body, shapes errors.
// Called by WebResponder; the routes come from the services.
import Hummingbird
import HTTPTypes
import Logging
import NIOCore
import Primitives
import Signalling

/// All REST methods of the server.
struct RESTRouter: Sendable {
    /// Largest request body, bytes.
    static let maximumBodySize = 1_048_576
    static let prefix = "/rest-api/"

    private let routes: [String: RESTRoute]
    private let downloads: [RESTDownload]
    private let logger: Logger

    /// Of two routes with one path the first is kept and the second reported.
    init(routes: [RESTRoute], downloads: [RESTDownload] = [], logger: Logger) {
        var table: [String: RESTRoute] = [:]
        for route in routes {
            if table[route.path] == nil {
                table[route.path] = route
            } else {
                logger.error("A REST method is declared twice; the first one serves", metadata: ["method": "\(route.path)"])
            }
        }
        self.routes = table
        self.downloads = downloads
        self.logger = logger
    }

    /// The paths served, sorted.
    var paths: [String] { routes.keys.sorted() }

    /// Answers any request whose path starts with `/rest-api/`.
    func respond(to request: Request, from client: AddressKey) async -> Response {
        let path = Self.methodPath(request.uri.path)
        if routes[path] == nil, let download = download(at: request.uri.path) { return await respond(to: request, from: client, with: download) }
        guard let route = routes[path] else {
            return Self.errorResponse(.notFound(unknownMethod(path)), path: request.uri.path)
        }
        let isRead = request.method == .get || request.method == .head
        guard request.method == .post || (isRead && route.allowsGET) else {
            let allowed = route.allowsGET ? "GET, POST" : "POST"
            let reason = "\(request.method.rawValue) is not possible on \(Self.prefix)\(path); use \(allowed)"
            var response = Self.errorResponse(RESTFailure(status: 405, reason: reason), path: request.uri.path)
            response.headers[.allow] = "\(allowed), OPTIONS"
            return response
        }
        do {
            let body = isRead ? nil : try await Self.parsedBody(of: request)
            return Self.response(try await route.handle(body, for: client))
        } catch let failure as RESTFailure {
            return Self.errorResponse(failure, path: request.uri.path)
        } catch where Task.isCancelled {
            return Self.errorResponse(RESTFailure(status: 503, reason: "The server is stopping"), path: request.uri.path)
        } catch {
            logger.error("A REST method failed unexpectedly", metadata: ["method": "\(path)", "error": "\(error)"])
            return Self.errorResponse(.internalError("The server failed: \(error)"), path: request.uri.path)
        }
    }

    private func download(at path: String) -> RESTDownload? {
        downloads.first { path.hasPrefix(Self.prefix + $0.prefix) }
    }

    private func respond(to request: Request, from client: AddressKey, with download: RESTDownload) async -> Response {
        do {
            return try await download.respond(to: request, from: client)
        } catch let failure as RESTFailure {
            var response = Self.errorResponse(failure, path: request.uri.path)
            if failure.status == 405 { response.headers[.allow] = "GET, OPTIONS" }
            return response
        } catch {
            logger.error("A REST method failed unexpectedly", metadata: ["method": "\(download.pattern)", "error": "\(error)"])
            return Self.errorResponse(.internalError("The server failed: \(error)"), path: request.uri.path)
        }
    }

    /// What OPTIONS answers in `Allow` for a path; `nil` when nothing is there.
    func allowedMethods(for path: String) -> String? {
        if routes[Self.methodPath(path)] == nil, download(at: path) != nil { return "GET, OPTIONS" }
        return routes[Self.methodPath(path)].map { $0.allowsGET ? "GET, POST, OPTIONS" : "POST, OPTIONS" }
    }

    /// `/rest-api/pull/push/` → `pull/push`.
    private static func methodPath(_ path: String) -> String {
        var rest = path.dropFirst(prefix.count)
        while rest.last == "/" { rest = rest.dropLast() }
        return String(rest)
    }

    private func unknownMethod(_ path: String) -> String {
        let overview = "\(Self.prefix)openapi.json describes all methods"
        if path.isEmpty { return "No REST method is named; \(overview)" }
        let sentence = "There is no REST method \(Self.prefix)\(path.prefix(200))"
        guard let nearest = nearestMethod(path) else { return "\(sentence); \(overview)" }
        return "\(sentence); did you mean \(Self.prefix)\(nearest)? \(overview)"
    }

    /// What was probably meant: a method of the same area, or of one that is a single letter away. `/call/find_all` is no slip of
    /// `/pull/find_all`.
    private func nearestMethod(_ path: String) -> String? {
        func area(_ path: String) -> String { String(path.prefix { $0 != "/" }) }
        let areas = Set(routes.keys.map(area))
        let given = area(path)
        guard let meant = areas.contains(given) ? given : Spelling.nearest(to: given, among: areas, within: 1) else { return nil }
        return Spelling.nearest(to: path, among: routes.keys.filter { area($0) == meant })
    }

    /// The body as JSON; `nil` when there is none.
    private static func parsedBody(of request: Request) async throws -> JSONValue? {
        let buffer: ByteBuffer
        do {
            buffer = try await request.body.collect(upTo: maximumBodySize)
        } catch is NIOTooManyBytesError {
            throw RESTFailure(status: 413, reason: "The body is larger than \(maximumBodySize) bytes")
        } catch {
            // The client went away in the middle of it.
            throw RESTFailure.badRequest("The body did not arrive completely")
        }
        let bytes = buffer.readableBytesView
        if bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0a || $0 == 0x0d }) { return nil }
        let value: JSONValue
        do {
            value = try buffer.withUnsafeReadableBytes { try JSONValue(parsing: $0) }
        } catch let error as JSONError {
            throw RESTFailure.badRequest("The body is not JSON: \(error)")
        }
        switch value {
        case .null: return nil
        case .object: return value
        default: throw RESTFailure.badRequest("The body must be a JSON object, {…}")
        }
    }

    private static func response(_ reply: RESTReply) -> Response {
        json(reply.body, status: .known(reply.status))
    }

    /// The error shape of all REST answers: status, error, reason, path, timestamp.
    static func errorResponse(_ failure: RESTFailure, path: String) -> Response {
        let status = HTTPResponse.Status.known(failure.status)
        var response = json([
            "status": .integer(Int64(failure.status)), "error": .string(status.reasonPhrase), "reason": .string(failure.reason),
            "path": .string(path), "timestamp": .integer(Timestamp.milliseconds),
        ], status: status)
        if failure.status == 429 { response.headers[.retryAfter] = "1" }
        return response
    }

    static func json(_ body: JSONValue?, status: HTTPResponse.Status = .ok) -> Response {
        var headers = HTTPFields()
        headers[.contentType] = "application/json"
        headers[.cacheControl] = "no-store"
        let bytes = body.map { ByteBuffer(bytes: $0.serializedBytes()) }
        return Response(status: status, headers: headers, body: bytes.map(ResponseBody.init(byteBuffer:)) ?? ResponseBody())
    }
}

extension HTTPResponse.Status {
    /// The status with its usual reason phrase.
    fileprivate static func known(_ code: Int) -> HTTPResponse.Status {
        let named: [HTTPResponse.Status] = [
            .ok, .accepted, .noContent, .badRequest, .unauthorized, .forbidden, .notFound, .methodNotAllowed, .conflict,
            .contentTooLarge, .tooManyRequests, .internalServerError, .notImplemented, .serviceUnavailable,
        ]
        return named.first { $0.code == code } ?? HTTPResponse.Status(code: code, reasonPhrase: "Status \(code)")
    }
}
