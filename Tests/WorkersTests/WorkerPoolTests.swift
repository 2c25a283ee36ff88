import Foundation
import Logging
import Testing

@testable import Workers

/// Pools of processes that misbehave on purpose: shell scripts in place of the worker.
struct WorkerPoolTests {
    private func pool(_ script: String, _ adjust: (inout WorkerPool.Configuration) -> Void = { _ in }) -> WorkerPool {
        var configuration = WorkerPool.Configuration(command: ["/bin/sh", "-c", script])
        adjust(&configuration)
        return WorkerPool(configuration: configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }
    private var soon: ContinuousClock.Instant { .now + .seconds(20) }

    @Test("a worker that dies fails the work in hand with how it died, and the next work gets a new one")
    func crash() async {
        // Dies with work in hand: after the first byte of it.
        let pool = pool("head -c 1 <&3 >/dev/null; kill -SEGV $$")
        for _ in 0..<3 {
            let error = await #expect(throws: WorkerError.self) { try await pool.run(kind: "x", request: [], deadline: soon) }
            guard case .crashed(let how)? = error else { Issue.record("\(error as Any)"); continue }
            #expect(how.contains("signal 11"))
        }
        #expect(await pool.counters.started >= 3)
        await pool.shutdown()
    }

    @Test("a worker that hangs is killed at the deadline")
    func hang() async {
        let pool = pool("sleep 1000")
        await #expect(throws: WorkerError.timedOut) {
            try await pool.run(kind: "x", request: [], deadline: .now + .milliseconds(200))
        }
        await pool.shutdown()
    }

    @Test("a worker that takes no input is killed, and a full queue refuses more without waiting")
    func stall() async throws {
        let pool = pool("sleep 1000") { $0.stallTimeout = .milliseconds(100) }
        let job = try await pool.open(kind: "x", parameters: [], maximumUnconsumed: 1_000)
        #expect(job.send([UInt8](repeating: 1, count: 900)))
        #expect(!job.send([UInt8](repeating: 1, count: 900)))
        #expect(job.dropped.inputs == 1)
        await #expect(throws: WorkerError.timedOut) { for try await _ in job.outputs {} }
        await pool.shutdown()
    }

    @Test("a worker that talks nonsense fails its job")
    func nonsense() async {
        let pool = pool("yes >&3")
        await #expect(throws: WorkerError.self) { try await pool.run(kind: "x", request: [], deadline: soon) }
        await pool.shutdown()
    }

    @Test("an executable that is not there is said so")
    func missing() async {
        let pool = WorkerPool(
            configuration: .init(command: ["/nonexistent/martlet"]), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let error = await #expect(throws: WorkerError.self) { try await pool.run(kind: "x", request: [], deadline: soon) }
        guard case .notStarted(let reason)? = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(reason.contains("/nonexistent/martlet"))
    }

    @Test("more work than may wait is refused at once; what waits gets its turn or its deadline")
    func bounded() async throws {
        let pool = pool("sleep 1000") {
            $0.maximumProcesses = 1
            $0.maximumWaiting = 1
        }
        let running = try await pool.open(kind: "x", parameters: [])
        async let waiting = pool.open(kind: "x", parameters: [], deadline: .now + .seconds(20))
        while await pool.counters.waiting == 0 { await Task.yield() }
        await #expect(throws: WorkerError.busy) { try await pool.open(kind: "x", parameters: []) }
        running.cancel()
        _ = try await waiting
        await #expect(throws: WorkerError.timedOut) {
            try await pool.open(kind: "x", parameters: [], deadline: .now + .milliseconds(50))
        }
        #expect(await pool.counters.refused == 1)
        await pool.shutdown()
    }

    @Test("idle workers go by themselves, and nothing is left of them")
    func idle() async throws {
        let pool = pool("exec cat <&3 >/dev/null") { $0.idleTimeout = .milliseconds(50) }
        try await pool.open(kind: "x", parameters: []).cancel()
        let pid = try #require(await pool.processIDs.first)
        let end = soon
        while kill(pid, 0) == 0, ContinuousClock.now < end { await Task.yield() }
        #expect(kill(pid, 0) != 0)
        #expect(await pool.counters.processes == 0)
        #expect(await pool.counters.crashes == 0)
    }

    @Test("a worker has the socket and nothing else of the server: no descriptors, no secrets")
    func isolation() async throws {
        setenv("MARTLET_TEST_SECRET", "x", 1)
        let file = NSTemporaryDirectory() + "worker-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: file) }
        let open = FileHandle(forReadingAtPath: "/dev/zero")
        let pool = pool("{ ls /proc/self/fd; env; ps -o pgid= -p $$; } > \(file) 2>&1; exec cat <&3 >/dev/null")
        _ = try await pool.open(kind: "x", parameters: [])
        let end = soon
        var text = ""
        while ContinuousClock.now < end {
            text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
            if text.contains("PATH") { break }
            await Task.yield()
        }
        let descriptors = text.split(separator: "\n").compactMap { Int($0) }.filter { $0 < 100 }
        // 0, 1, 2, the socket, and the folder that ls reads.
        #expect(descriptors.count <= 5 && descriptors.contains(3))
        #expect(!text.contains("MARTLET_TEST_SECRET"))
        try open?.close()
        await pool.shutdown()
    }
}
