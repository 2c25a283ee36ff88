// SPDX-License-Identifier: Apache-2.0
// The one door of both HTTP listeners: sends a request to REST, statistics, health or the pages, and adds what all
// answers share (CORS, access log). Hummingbird calls `respond` for each request.
import Hummingbird
import HTTPTypes
import Logging
import MediaIO
import Primitives
import Signalling

struct WebResponder: HTTPResponder {
    typealias Context = WebRequestContext

    let router: RESTRouter
    let statistics: StatPage
    /// `nil` = no WHIP and WHEP.
    var whip: WHIPResponder?
    /// `nil` when the server has no pages.
    let pages: StaticFiles?
    /// Finished recordings, below `/client/records/`.
    var records: StaticFiles?
    let crossOriginHeaders: HTTPFields
    /// `nil` = everybody may use REST.
    let authentication: BasicAuthentication?
    let logger: Logger

    func respond(to request: Request, context: Context) async throws -> Response {
        Breadcrumb.begin(.http, of: context.remoteAddress)
        defer { Breadcrumb.end() }
        let start = ContinuousClock.now
        let response = await answer(request, context: context)
        logger.debug("\(request.method.rawValue) \(request.uri.path)", metadata: [
            "status": "\(response.status.code)", "remote": "\(context.remoteAddress)",
            "ms": "\(((ContinuousClock.now - start) / .microseconds(10)).rounded() / 100)",
        ])
        return response
    }

    private func answer(_ request: Request, context: Context) async -> Response {
        let path = request.uri.path
        if path.hasPrefix(RESTRouter.prefix) || path == RESTRouter.prefix.dropLast() {
            return withCrossOrigin(await rest(request, from: AddressKey(context.remoteAddress)))
        }
        if let whip, let kind = WHIPResponder.kind(of: path) {
            return await whip.respond(to: request, kind: kind, remoteAddress: context.remoteAddress)
        }
        // WCS's console asks for `/?action=stat`; other paths are taken as well.
        if request.uri.queryParameters["action"] == "stat" {
            return withCrossOrigin(await statistics(request))
        }
        if path == "/health" {
            return withCrossOrigin(RESTRouter.json(["status": "UP"]))
        }
        if request.method == .options {
            var response = Response(status: .noContent)
            response.headers[.allow] = "GET, HEAD, OPTIONS"
            return withCrossOrigin(response)
        }
        return await page(request, context: context)
    }

    private func rest(_ request: Request, from client: AddressKey) async -> Response {
        if request.method == .options {
            // Answered before authentication: a browser sends no credentials with a preflight.
            var response = Response(status: .noContent)
            response.headers[.allow] = router.allowedMethods(for: request.uri.path) ?? "GET, POST, OPTIONS"
            return response
        }
        if let refusal = refusal(of: request) { return refusal }
        return await router.respond(to: request, from: client)
    }

    private func statistics(_ request: Request) async -> Response {
        guard request.method == .get || request.method == .head else {
            if request.method == .options { return Response(status: .noContent, headers: [.allow: "GET, HEAD, OPTIONS"]) }
            let reason = "\(request.method.rawValue) is not possible on statistics; use GET"
            return RESTRouter.errorResponse(RESTFailure(status: 405, reason: reason), path: request.uri.path)
        }
        if let refusal = refusal(of: request) { return refusal }
        let sections = await statistics.sections()
        let parameters = request.uri.queryParameters
        if parameters["format"] == "json" {
            let groups = parameters["groups"].map { $0.split(separator: ",").map(String.init) } ?? []
            return RESTRouter.json(StatPage.json(sections, groups: groups))
        }
        return Self.text(StatPage.text(sections))
    }

    private func page(_ request: Request, context: Context) async -> Response {
        guard request.method == .get || request.method == .head else {
            var response = Self.text("\(request.method.rawValue) is not possible here; use GET\n", status: .methodNotAllowed)
            response.headers[.allow] = "GET, HEAD, OPTIONS"
            return response
        }
        if request.uri.path.hasPrefix("/client/records/"), let records { return await records.respond(to: request, context: context) }
        guard let pages else {
            return Self.text("This server has no pages: no folder Web was found at start. Set web_root.\n", status: .notFound)
        }
        return await pages.respond(to: request, context: context)
    }

    /// 401 unless the request may use REST.
    private func refusal(of request: Request) -> Response? {
        guard let authentication, !authentication.accepts(request.headers[.authorization]) else { return nil }
        var response = RESTRouter.errorResponse(
            RESTFailure(status: 401, reason: "User name and password of a REST user are needed (HTTP Basic)"), path: request.uri.path)
        response.headers[.wwwAuthenticate] = "Basic realm=\"Martlet\", charset=\"UTF-8\""
        return response
    }

    private func withCrossOrigin(_ response: Response) -> Response {
        var response = response
        for field in crossOriginHeaders { response.headers[field.name] = nil }
        for field in crossOriginHeaders { response.headers.append(field) }
        return response
    }

    static func text(_ text: String, status: HTTPResponse.Status = .ok) -> Response {
        Response(status: status, headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
                 body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
