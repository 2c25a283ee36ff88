// SPDX-License-Identifier: Apache-2.0
import Codecs
import HTTPTypes
import Logging
import MediaIO
import Primitives
import Signalling
import Snapshots
import Testing
import Workers

@testable import MartletServer

/// A ring in which nothing ever is.
private struct EmptyVideo: RecentVideoSource {
    var answer = RecentVideoState.noVideo
    func recentVideoSummary(of stream: StreamHandle) async -> RecentVideoState { answer }
    func recentVideo(of stream: StreamHandle) async -> RecentVideo? { nil }
    func requestKeyFrame(of stream: StreamHandle) {}
}

/// REST and WebSocket in front of snapshots: what is asked wrongly, and how refusals are told.
struct SnapshotDoorsTests {
    private func snapshots(_ registry: StreamRegistry, limit: Duration = .milliseconds(50)) -> StreamSnapshots {
        var configuration = SnapshotService.Configuration()
        configuration.timeLimit = limit
        return StreamSnapshots(
            streams: registry,
            service: SnapshotService(
                video: EmptyVideo(), pool: WorkerPool(configuration: .init(command: ["/nonexistent"]), logger: silentLogger()),
                configuration: configuration, logger: silentLogger()))
    }

    @Test("a malformed request is 400 and says what is wrong", arguments: [
        ("", "JSON object"), ("{}", "streamName"), (#"{"streamName":5}"#, "streamName"), (#"{"streamName":"a","format":"gif"}"#, "png or jpg"),
        (#"{"streamName":"a","width":0}"#, "width"), (#"{"streamName":"a","height":"x"}"#, "height"), (#"{"streamName":"a","quality":101}"#, "quality"),
        (#"{"streamName":"a","width":[]}"#, "width"),
    ])
    func malformed(body: String, reason: String) async throws {
        let bench = SessionBench()
        let harness = WebHarness(routes: SnapshotRoutes(snapshots: snapshots(bench.registry)).restRoutes)
        let answer = try await harness.send(.post, "/rest-api/stream/snapshot", body: body)
        #expect(answer.status == 400)
        #expect(answer.json?["reason"]?.stringValue?.contains(reason) == true)
        await bench.close()
    }

    @Test("no such stream is 404, a stream that gives no picture 500, each with the name")
    func refusals() async throws {
        let bench = SessionBench()
        _ = await bench.publisher("m", "sound only")
        let harness = WebHarness(routes: SnapshotRoutes(snapshots: snapshots(bench.registry)).restRoutes)
        let absent = try await harness.send(.post, "/rest-api/stream/snapshot", body: #"{"streamName":"nobody"}"#)
        #expect(absent.status == 404 && absent.json?["reason"] == "there is no stream \"nobody\"")
        let silent = try await harness.send(.post, "/rest-api/stream/snapshot", body: #"{"streamName":"sound only"}"#)
        #expect(silent.status == 500 && silent.json?["reason"]?.stringValue?.contains("no video") == true)
        await bench.close()
    }

    @Test("a file is named by the stream, percent-encoded, and an ending", arguments: [
        ("nobody.png", 404), ("no%20body.jpg", 404), ("sound%20only.jpeg", 500), ("nobody", 400), (".png", 400), ("nobody.gif", 400),
        ("nobody.png?width=0", 400), ("%zz.png", 400),
    ])
    func files(path: String, status: Int) async throws {
        let bench = SessionBench()
        _ = await bench.publisher("m", "sound only")
        let router = RESTRouter(
            routes: [], downloads: [SnapshotRoutes(snapshots: snapshots(bench.registry)).download], logger: silentLogger())
        #expect(try await WebHarness.status(router, .get, "/rest-api/stream/snapshot/" + path) == status)
        #expect(try await WebHarness.status(router, .post, "/rest-api/stream/snapshot/" + path) == 405)
        await bench.close()
    }

    @Test("the clients of one address may ask so often, by either method together, and are told by 429; others aren't held back")
    func perAddress() async throws {
        let bench = SessionBench()
        var snapshots = snapshots(bench.registry)
        snapshots.limiter = SourceRateLimiter(rate: 1, burst: 3, now: { .zero })
        let routes = SnapshotRoutes(snapshots: snapshots)
        func byMethod(_ client: String) async throws -> Int {
            do {
                return try await routes.restRoutes[0].handle(["streamName": "nobody"], for: AddressKey(client)).status
            } catch let failure as RESTFailure {
                if failure.status == 429 { #expect(failure.reason.contains("snapshots_per_address")) }
                return failure.status
            }
        }
        func asFile(_ client: String) async throws -> Int {
            do {
                _ = try await routes.download.handle("nobody.png", [:], AddressKey(client))
                return 200
            } catch let failure as RESTFailure { return failure.status }
        }
        #expect(try await byMethod("192.0.2.1:1") == 404)
        #expect(try await byMethod("192.0.2.1:2") == 404)
        #expect(try await asFile("192.0.2.1:3") == 404)
        #expect(try await asFile("192.0.2.1:4") == 429)
        #expect(try await byMethod("192.0.2.1:5") == 429)
        #expect(try await asFile("192.0.2.2:1") == 404)
        // The router tells the address on, and when to come again.
        let router = RESTRouter(routes: routes.restRoutes, downloads: [routes.download], logger: silentLogger())
        var last: Answer?
        for _ in 0..<4 { last = try await WebHarness().send(.get, "/rest-api/stream/snapshot/nobody.png", router: router) }
        #expect(last?.status == 429 && last?.headers[.retryAfter] == "1")
        await bench.close()
    }

    @Test("a client is told by event, with its own id, why there is no picture")
    func session() async throws {
        let bench = SessionBench()
        _ = await bench.publisher("m", "sound only")
        let channel = MemoryChannel(remoteAddress: "198.51.100.9:1")
        let session = Session(
            channel: channel, registry: bench.registry, limits: SessionLimits(), serverVersion: "test",
            snapshots: snapshots(bench.registry), uuid: "u", logger: silentLogger())
        let client = BenchClient(session: session, channel: channel)
        client.send(.snapshot(StreamIdentity(mediaSessionID: "early", name: "sound only", published: false)))
        guard case .streamEvent(let early)? = await client.next() else { Issue.record("no event"); return }
        #expect(early.known == .snapshotFailed && early.mediaSessionID == "early")
        await client.connect()
        for (name, reason) in [("nobody", "Stream not found"), ("sound only", "Snapshot failed: the stream has no video")] {
            client.send(.snapshot(StreamIdentity(mediaSessionID: "id of " + name, name: name, published: false)))
            guard case .streamEvent(let event)? = await client.next() else { Issue.record("no event"); continue }
            #expect(event.known == .snapshotFailed && event.mediaSessionID == "id of " + name)
            #expect(event.payload?["info"]?.stringValue == reason)
        }
        #expect(await client.isQuiet())
        await client.disconnect()
        await bench.close()
    }
}

extension WebHarness {
    /// The status of an answer of `router`.
    fileprivate static func status(_ router: RESTRouter, _ method: HTTPRequest.Method, _ path: String) async throws -> Int {
        let harness = WebHarness()
        return try await harness.send(method, path, router: router).status
    }
}
