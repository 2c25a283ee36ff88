// SPDX-License-Identifier: Apache-2.0
// What a REST method is to the rest of the server: a path, whether GET will do, and a function from JSON to JSON, with the client's
// address for those that bound what one may ask for.
// Methods are declared beside what they act on and collected by the composition; RESTRouter serves them.
import Primitives
import Signalling

/// What a REST method answers when it worked. No body means an empty one, which WCS scripts take as success.
struct RESTReply: Sendable {
    var status = 200
    var body: JSONValue?

    init(status: Int = 200, body: JSONValue? = nil) {
        self.status = status
        self.body = body
    }

    /// 200 with an empty body.
    static let empty = RESTReply()
}

/// Why a REST method was refused. The reason is a sentence for the caller that names what was asked for.
struct RESTFailure: Error, Sendable, Equatable {
    let status: Int
    let reason: String

    init(status: Int, reason: String) {
        self.status = status
        self.reason = reason
    }

    /// 400: malformed, or a field is missing.
    static func badRequest(_ reason: String) -> RESTFailure { RESTFailure(status: 400, reason: reason) }
    /// 404: no such thing.
    static func notFound(_ reason: String) -> RESTFailure { RESTFailure(status: 404, reason: reason) }
    /// 409: already there.
    static func conflict(_ reason: String) -> RESTFailure { RESTFailure(status: 409, reason: reason) }
    /// 429: this client asks for too much.
    static func tooMany(_ reason: String) -> RESTFailure { RESTFailure(status: 429, reason: reason) }
    /// 500: our fault or the far side's; the reason says which.
    static func internalError(_ reason: String) -> RESTFailure { RESTFailure(status: 500, reason: reason) }
}

/// One method under `/rest-api/`.
struct RESTRoute: Sendable {
    /// Relative to `/rest-api/`, without a leading slash: `pull/push`.
    let path: String
    /// The method makes sense without a body, so GET is answered as POST is.
    let allowsGET: Bool
    /// The parsed body goes in, `nil` when it was empty. Throws `RESTFailure`; anything else becomes a 500.
    private let method: @Sendable (JSONValue?, AddressKey) async throws -> RESTReply

    init(path: String, allowsGET: Bool, handle: @escaping @Sendable (JSONValue?) async throws -> RESTReply) {
        self.init(path: path, allowsGET: allowsGET, handleFor: { body, _ in try await handle(body) })
    }

    /// - Parameter handleFor: gets the client's address as well.
    init(path: String, allowsGET: Bool, handleFor method: @escaping @Sendable (JSONValue?, AddressKey) async throws -> RESTReply) {
        self.path = path
        self.allowsGET = allowsGET
        self.method = method
    }

    func handle(_ body: JSONValue?, for client: AddressKey = .other("unknown")) async throws -> RESTReply { try await method(body, client) }
}

/// Something that brings REST methods: the stream, connection and agent services.
protocol RESTRouteProvider: Sendable {
    var restRoutes: [RESTRoute] { get }
}
