// SPDX-License-Identifier: Apache-2.0
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Primitives
import Signalling
import Synchronization
import Testing

@testable import MartletServer

@Suite("WHIPResponder without a network") struct WHIPResponderTests {
    /// Lets a token in, and nobody else.
    private struct Door: WHIPAuthorizer {
        func authorize(_ kind: WHIPKind, stream: String, token: String?) async throws(WHIPFailure) {
            guard let token else { throw .unauthorized("a token is needed") }
            guard token == "right" else { throw .forbidden("the token is not for \(stream)") }
        }
    }

    private static func send(_ method: HTTPRequest.Method, _ path: String, _ headers: HTTPFields = [:]) async -> Response {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let engine = FakeMediaEngine()
        let streams = StreamRegistry(engine: engine, nodeID: "node", logger: logger)
        let responder = WHIPResponder(
            service: WHIPService(streams: streams, engine: engine, membersOnly: true, logger: logger), authorizer: Door(),
            limiter: SourceRateLimiter(rate: 10, burst: 10, now: { .zero }), allowedOrigin: "*", iceServers: [], logger: logger)
        let request = Request(
            head: HTTPRequest(method: method, scheme: "http", authority: "localhost", path: path, headerFields: headers),
            body: RequestBody(buffer: ByteBuffer()))
        return await responder.respond(to: request, kind: .whip, remoteAddress: "192.0.2.1:5000")
    }

    @Test("a refusal of the server keeps its meaning in HTTP")
    func refusals() {
        func status(_ info: StreamStatusInfo, _ sentence: String = "words") -> Int { WHIPFailure(.refused(info, sentence)).status }
        #expect(status(.nameInUse) == 409 && status(.publishNotReady) == 409)
        #expect(status(.sessionDoesNotExist) == 404 && status(.restrictedAccess) == 403 && status(.noCommonCodecs) == 422)
        #expect(status(.shutdownRequested) == 503 && WHIPFailure(.refused(.shutdownRequested, "")).retryAfter == 5)
        #expect(status(.addToProxy, "full (max_streams)") == 503 && status(.addToProxy) == 422)
        #expect(status(.addToProxy, "a bound was reached: \(MemoryBudget.Refusal.server)") == 503)
    }

    @Test("an authorizer is asked for every request but OPTIONS, and answers 401 or 403")
    func authorizes() async {
        for (method, path) in [(HTTPRequest.Method.post, "/whip/a"), (.patch, "/whip/a/id"), (.delete, "/whip/a/id")] {
            let without = await Self.send(method, path)
            #expect(without.status.code == 401 && without.headers[.wwwAuthenticate]?.hasPrefix("Bearer") == true)
            #expect(await Self.send(method, path, [.authorization: "Bearer wrong"]).status.code == 403)
            #expect(![401, 403].contains(await Self.send(method, path, [.authorization: "Bearer right"]).status.code))
        }
        #expect(await Self.send(.options, "/whip/a").status.code == 204)
    }

    @Test("a name with a bare slash is no session: it is told how to write it")
    func slashes() async throws {
        let response = await Self.send(.post, "/whip/live/cam", [.authorization: "Bearer right", .contentType: "application/sdp"])
        #expect(response.status.code == 404)
        #expect(await Self.send(.patch, "/whip/live/cam", [.authorization: "Bearer right"]).status.code == 404)
    }

    @Test("connections that were begun and never came about end at the share of their address")
    func unconnected() throws {
        let budget = MemoryBudget(limit: 100 << 20, share: 10 << 20)
        var held: [MemoryAccount] = []
        var refusal: MemoryBudget.Refusal?
        while refusal == nil, held.count < 1_000 {
            switch HandshakeMemory.take(from: budget, for: AddressKey("192.0.2.1")) {
            case .success(let account): held.append(account)
            case .failure(let reason): refusal = reason
            }
        }
        #expect(refusal == .address && (50..<120).contains(held.count))
        guard case .success = HandshakeMemory.take(from: budget, for: AddressKey("192.0.2.2")) else { return #expect(Bool(false), "another address") }
        held.removeAll()
        #expect(budget.statistics.used == 0)
    }

    @Test("each source has its own allowance, which comes back with time")
    func limits() {
        let now = Mutex(Instant.zero)
        let limiter = SourceRateLimiter(rate: 2, burst: 4, maximumSources: 100, now: { now.withLock { $0 } })
        #expect((0..<6).map { _ in limiter.take(hostOf: "a") } == [true, true, true, true, false, false])
        #expect(limiter.take(hostOf: "b") && limiter.refused == 2)
        now.withLock { $0 = Instant(milliseconds: 1000) }
        #expect((0..<3).map { _ in limiter.take(hostOf: "a") } == [true, true, false])
        for number in 0..<10_000 { _ = limiter.take(hostOf: "\(number)") }
        #expect(limiter.sources <= 100)
    }
}
