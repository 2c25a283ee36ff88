// SPDX-License-Identifier: Apache-2.0
// Why a WHIP or WHEP request was refused, as problem details (RFC 9457).
import Hummingbird
import HTTPTypes
import NIOCore
import Signalling

/// A refusal with its HTTP status and a sentence for whoever runs the client.
struct WHIPFailure: Error, Sendable, Equatable {
    let status: Int
    let title: String
    let detail: String
    /// Seconds after which it may be tried again.
    var retryAfter: Int?
    /// Of a 405.
    var allow: String?

    static func badRequest(_ detail: String) -> WHIPFailure { .init(status: 400, title: "Bad Request", detail: detail) }
    static func unauthorized(_ detail: String) -> WHIPFailure { .init(status: 401, title: "Unauthorized", detail: detail) }
    static func forbidden(_ detail: String) -> WHIPFailure { .init(status: 403, title: "Forbidden", detail: detail) }
    static func notFound(_ detail: String) -> WHIPFailure { .init(status: 404, title: "Not Found", detail: detail) }
    static func methodNotAllowed(_ detail: String, allow: String) -> WHIPFailure {
        .init(status: 405, title: "Method Not Allowed", detail: detail, allow: allow)
    }
    static func conflict(_ detail: String, retryAfter: Int? = nil) -> WHIPFailure {
        .init(status: 409, title: "Conflict", detail: detail, retryAfter: retryAfter)
    }
    static func preconditionFailed(_ detail: String) -> WHIPFailure { .init(status: 412, title: "Precondition Failed", detail: detail) }
    static func tooLarge(_ detail: String) -> WHIPFailure { .init(status: 413, title: "Content Too Large", detail: detail) }
    static func unsupportedType(_ detail: String) -> WHIPFailure { .init(status: 415, title: "Unsupported Media Type", detail: detail) }
    static func unprocessable(_ detail: String) -> WHIPFailure { .init(status: 422, title: "Unprocessable Content", detail: detail) }
    static func preconditionRequired(_ detail: String) -> WHIPFailure { .init(status: 428, title: "Precondition Required", detail: detail) }
    static func tooMany(_ detail: String, retryAfter: Int) -> WHIPFailure {
        .init(status: 429, title: "Too Many Requests", detail: detail, retryAfter: retryAfter)
    }
    static func unavailable(_ detail: String, retryAfter: Int) -> WHIPFailure {
        .init(status: 503, title: "Service Unavailable", detail: detail, retryAfter: retryAfter)
    }

    /// The answer; `instance` is the path asked for.
    func response(instance: String) -> Response {
        var headers: HTTPFields = [.contentType: "application/problem+json", .cacheControl: "no-store"]
        if let retryAfter { headers[.retryAfter] = String(retryAfter) }
        if let allow { headers[.allow] = allow }
        if status == 401 { headers[.wwwAuthenticate] = "Bearer realm=\"Martlet\"" }
        let body: JSONValue = [
            "type": "about:blank", "title": .string(title), "status": JSONValue(status), "detail": .string(detail),
            "instance": .string(String(instance.prefix(500))),
        ]
        return Response(
            status: HTTPResponse.Status(code: status, reasonPhrase: title), headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body.serializedBytes())))
    }

    /// What the registry's refusal is in HTTP.
    init(_ refusal: StreamRefusal) {
        guard case .refused(let info, let sentence) = refusal else {
            self = .conflict("the stream ended while it was being set up")
            return
        }
        switch info {
        case .nameInUse: self = .conflict(sentence)
        case .sessionDoesNotExist, .publisherStop, .streamNotFound, .agentStorage: self = .notFound(sentence)
        // WHEP: the stream exists but has nothing to show yet.
        case .publishNotReady: self = .conflict(sentence, retryAfter: 1)
        case .noCommonCodecs: self = .unprocessable(sentence)
        case .restrictedAccess: self = .forbidden(sentence)
        case .shutdownRequested: self = .unavailable(sentence, retryAfter: 5)
        case .addToProxy where sentence.contains("max_") || sentence.contains("memory_"): self = .unavailable(sentence, retryAfter: 10)
        case .addToProxy: self = .unprocessable(sentence)
        default: self = .badRequest(sentence)
        }
    }

    private init(status: Int, title: String, detail: String, retryAfter: Int? = nil, allow: String? = nil) {
        self.status = status
        self.title = title
        self.detail = detail
        self.retryAfter = retryAfter
        self.allow = allow
    }
}
