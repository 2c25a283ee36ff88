// SPDX-License-Identifier: Apache-2.0
// WHIP and WHEP as HTTP: /whip/<stream> and /whep/<stream> take offers, /whip/<stream>/<session> is the session. RFC 9725,
// draft-ietf-wish-whep. Called by WebResponder for every request under these paths.
import Foundation
import Hummingbird
import HTTPTypes
import Logging
import NIOCore
import Primitives
import SDP

struct WHIPResponder: Sendable {
    let service: WHIPService
    let authorizer: any WHIPAuthorizer
    /// Bounds the streams begun from one address.
    let limiter: SourceRateLimiter
    /// `Access-Control-Allow-Origin`; empty = none.
    let allowedOrigin: String
    /// `Link` values for STUN and TURN servers.
    let iceServers: [String]
    let logger: Logger

    private enum Place {
        case endpoint(stream: String)
        case session(stream: String, id: String)
    }

    /// `nil` for paths of others.
    static func kind(of path: String) -> WHIPKind? {
        WHIPKind.allCases.first { path.hasPrefix("/\($0.rawValue)/") }
    }

    func respond(to request: Request, kind: WHIPKind, remoteAddress: String) async -> Response {
        var response: Response
        do throws(WHIPFailure) {
            response = try await answer(request, kind, remoteAddress)
        } catch {
            response = error.response(instance: request.uri.path)
        }
        if !allowedOrigin.isEmpty {
            response.headers[.accessControlAllowOrigin] = allowedOrigin
            response.headers[.accessControlExposeHeaders] = "Location, Link, ETag, Accept-Post, Accept-Patch, Retry-After, WWW-Authenticate"
        }
        return response
    }

    private func answer(_ request: Request, _ kind: WHIPKind, _ remoteAddress: String) async throws(WHIPFailure) -> Response {
        let place = try Self.place(request.uri.path, kind)
        // Answered before authentication: a browser sends no credentials with a preflight.
        if request.method == .options { return options(place) }
        switch place {
        case .endpoint(let stream):
            guard request.method == .post else {
                throw .methodNotAllowed("\(request.method.rawValue) is not possible on an endpoint; POST an offer to it", allow: "POST, OPTIONS")
            }
            try await authorizer.authorize(kind, stream: stream, token: Self.token(of: request))
            return try await create(request, kind, stream, remoteAddress)
        case .session(let stream, let id):
            guard request.method == .patch || request.method == .delete else {
                // An offer for a name with a bare slash in it looks like this.
                if request.method == .post {
                    do { try await service.check(kind, stream: stream, id: id) } catch {
                        throw .notFound("there is no session \(id) of \(stream); a slash in the name of a stream is written %2F")
                    }
                }
                throw .methodNotAllowed("\(request.method.rawValue) is not possible on a session; use PATCH or DELETE", allow: "PATCH, DELETE, OPTIONS")
            }
            try await authorizer.authorize(kind, stream: stream, token: Self.token(of: request))
            guard request.method == .patch else {
                try await service.end(kind, stream: stream, id: id)
                return Response(status: .ok, headers: [.cacheControl: "no-store"])
            }
            return try await patch(request, kind, stream, id)
        }
    }

    private func create(_ request: Request, _ kind: WHIPKind, _ stream: String, _ remoteAddress: String) async throws(WHIPFailure) -> Response {
        try Self.expect("application/sdp", of: request)
        guard limiter.take(hostOf: remoteAddress) else {
            throw .tooMany("too many sessions were begun from your address; try again in a moment (setting max_session_rate)", retryAfter: 1)
        }
        let offer = try await Self.body(of: request, atMost: SessionDescription.maximumSize)
        guard !offer.isEmpty else { throw .badRequest("the body has to be an SDP offer") }
        let created = try await service.begin(
            kind, stream: stream, offer: offer, transport: request.uri.queryParameters["transport"].map(String.init),
            from: AddressKey(remoteAddress))
        var headers: HTTPFields = [
            .contentType: "application/sdp", .cacheControl: "no-store", .eTag: "\"\(created.tag)\"",
            .location: "/\(kind.rawValue)/\(Self.encoded(stream))/\(created.id)",
        ]
        headers[.acceptPatch] = TrickleFragment.mediaType
        for server in iceServers { headers.append(HTTPField(name: .link, value: server)) }
        return Response(status: .created, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: created.answer)))
    }

    private func patch(_ request: Request, _ kind: WHIPKind, _ stream: String, _ id: String) async throws(WHIPFailure) -> Response {
        try await service.check(kind, stream: stream, id: id)
        try Self.expect(TrickleFragment.mediaType, of: request)
        guard let match = request.headers[.ifMatch] else {
            throw .preconditionRequired("a PATCH needs If-Match: the ETag of the ICE session, or * to restart it")
        }
        let body = try await Self.body(of: request, atMost: TrickleFragment.maximumSize)
        let fragment: TrickleFragment
        do { fragment = try TrickleFragment(parsing: body) } catch { throw .badRequest("\(error)") }
        guard let restarted = try await service.patch(kind, stream: stream, id: id, fragment: fragment, ifMatch: match) else {
            return Response(status: .noContent, headers: [.cacheControl: "no-store"])
        }
        return Response(
            status: .ok, headers: [.contentType: TrickleFragment.mediaType, .eTag: "\"\(restarted.tag)\"", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: restarted.body)))
    }

    private func options(_ place: Place) -> Response {
        var headers = HTTPFields()
        switch place {
        case .endpoint:
            headers[.allow] = "POST, OPTIONS"
            headers[.acceptPost] = "application/sdp"
            for server in iceServers { headers.append(HTTPField(name: .link, value: server)) }
        case .session:
            headers[.allow] = "PATCH, DELETE, OPTIONS"
            headers[.acceptPatch] = TrickleFragment.mediaType
        }
        if !allowedOrigin.isEmpty {
            headers[.accessControlAllowMethods] = headers[.allow]
            headers[.accessControlAllowHeaders] = "Authorization, Content-Type, If-Match"
            headers[.accessControlMaxAge] = "86400"
        }
        return Response(status: .noContent, headers: headers)
    }

    // MARK: parts of requests

    /// The name of a stream is one part of the path, percent-encoded; a slash in it is %2F.
    private static func place(_ path: String, _ kind: WHIPKind) throws(WHIPFailure) -> Place {
        let parts = path.dropFirst(kind.rawValue.count + 2).split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, let stream = String(first).removingPercentEncoding, !stream.isEmpty else {
            throw .notFound("the path has to be /\(kind.rawValue)/ and the name of a stream")
        }
        guard stream.utf8.count <= 1024 else { throw .badRequest("the name of the stream is longer than 1024 bytes") }
        switch parts.count {
        case 1: return .endpoint(stream: stream)
        case 2 where parts[1].isEmpty: return .endpoint(stream: stream)
        case 2: return .session(stream: stream, id: String(parts[1].prefix(64)))
        default: throw .notFound("there is nothing here; a slash in the name of a stream is written %2F")
        }
    }

    private static func encoded(_ stream: String) -> String {
        stream.addingPercentEncoding(withAllowedCharacters: .alphanumerics.intersection(.init(charactersIn: "\u{0}"..."\u{7f}")).union(.init(charactersIn: "-._~"))) ?? ""
    }

    private static func token(of request: Request) -> String? {
        guard let value = request.headers[.authorization], value.utf8.count <= 8192, value.prefix(7).lowercased() == "bearer " else { return nil }
        return value.dropFirst(7).trimmingWhitespace()
    }

    private static func expect(_ type: String, of request: Request) throws(WHIPFailure) {
        let given = request.headers[.contentType]?.prefix { $0 != ";" }.trimmingWhitespace().lowercased()
        guard given == type else { throw .unsupportedType("the body has to be \(type), not \(given?.prefix(80) ?? "without a type")") }
    }

    private static func body(of request: Request, atMost limit: Int) async throws(WHIPFailure) -> String {
        do {
            return String(buffer: try await request.body.collect(upTo: limit))
        } catch is NIOTooManyBytesError {
            throw .tooLarge("the body is larger than \(limit) bytes")
        } catch {
            throw .badRequest("the body did not arrive completely")
        }
    }
}

extension HTTPField.Name {
    static let acceptPatch = HTTPField.Name("Accept-Patch")!
    static let acceptPost = HTTPField.Name("Accept-Post")!
    static let link = HTTPField.Name("Link")!
}
