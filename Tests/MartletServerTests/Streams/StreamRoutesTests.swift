// SPDX-License-Identifier: Apache-2.0
import MediaIO
import Signalling
import Testing

@testable import MartletServer

@Suite("REST: streams and connections", .timeLimit(.minutes(1)))
struct StreamRoutesTests {
    private func call(_ provider: any RESTRouteProvider, _ path: String, _ body: JSONValue? = nil) async -> (status: Int, body: JSONValue?) {
        guard let route = provider.restRoutes.first(where: { $0.path == path }) else { return (0, nil) }
        do {
            let reply = try await route.handle(body)
            return (reply.status, reply.body)
        } catch let failure as RESTFailure {
            return (failure.status, .string(failure.reason))
        } catch {
            return (500, nil)
        }
    }

    @Test("find looks by every field, null does not filter, nothing found is 404, nonsense is 400")
    func find() async throws {
        let bench = SessionBench()
        let routes = StreamRoutes(streams: bench.registry)
        #expect(await call(routes, "stream/find_all").status == 404)
        let client = await bench.publisher("p", "one")
        client.play("a", "one")
        _ = await client.next()
        _ = await client.next()
        #expect(await call(routes, "stream/find_all").body?.arrayValue?.count == 2)
        let published = await call(routes, "stream/find", ["published": true, "name": nil, "mediaSessionId": nil])
        #expect(published.body?.arrayValue?.count == 1)
        #expect(published.body?[0]?["name"] == "one")
        #expect(published.body?[0]?["mediaType"] == "publish")
        #expect(published.body?[0]?["audioCodec"] == "opus")
        #expect(published.body?[0]?["metrics"] == nil)
        #expect(await call(routes, "stream/find", ["status": "PLAYING"]).body?[0]?["mediaSessionId"] == "a")
        #expect(await call(routes, "stream/find", ["name": "two"]).status == 404)
        #expect(await call(routes, "stream/find", ["nome": "one"]).status == 400)
        #expect(await call(routes, "stream/find", [1]).status == 400)
        await bench.close()
    }

    @Test("metrics are shown when asked for")
    func metrics() async throws {
        let bench = SessionBench()
        _ = await bench.publisher("p", "one")
        bench.engine.setVideoRate(700_000, "p")
        let found = await call(StreamRoutes(streams: bench.registry), "stream/find", ["published": true, "display": ["metrics"]])
        let metrics = found.body?[0]?["metrics"]
        #expect(metrics?["VIDEO_RATE"] == 700_000)
        #expect(metrics?["VIDEO_WIDTH"] == 640)
        #expect(metrics?["VIDEO_FPS"] == 30)
        #expect(metrics?["VIDEO_LOST"] == 0)
        await bench.close()
    }

    @Test("terminate ends what matches and tells its owner; 404 without a match, 400 without a body")
    func terminate() async throws {
        let bench = SessionBench()
        let routes = StreamRoutes(streams: bench.registry)
        let client = await bench.publisher("p", "one")
        let watcher = await bench.connected()
        watcher.play("a", "one")
        _ = await watcher.next()
        _ = await watcher.next()
        #expect(await call(routes, "stream/terminate").status == 400)
        #expect(await call(routes, "stream/terminate", ["mediaSessionId": "x"]).status == 404)
        #expect(await call(routes, "stream/terminate", ["published": false]).status == 200)
        #expect(await watcher.nextStatus()?.info == "Stopped by rest /terminate")
        #expect(await client.isQuiet())
        let reply = await call(routes, "stream/terminate", ["mediaSessionIds": ["p"]])
        #expect(reply.status == 200)
        #expect(reply.body == nil)
        let status = try #require(await client.nextStatus())
        #expect(status.known == .failed)
        #expect(status.info == "Stopped by rest /terminate")
        #expect(bench.engine.openStreams == 0)
        await bench.close()
    }
}
