// SPDX-License-Identifier: Apache-2.0
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

    @Test("a worker that was asked to bring its work to an end and does not is killed")
    func stallAtTheEnd() async throws {
        let pool = pool("sleep 1000") { $0.stallTimeout = .milliseconds(100) }
        let job = try await pool.open(kind: "x", parameters: [])
        job.finish()
        await #expect(throws: WorkerError.timedOut) { for try await _ in job.outputs {} }
        #expect(await pool.counters.kills == 1)
        await pool.shutdown()
    }

    @Test("a stopped worker takes only jobs of its own origin along; others' go on")
    func stoppedOrigin() async throws {
        let pool = pool("exec cat <&3 >/dev/null") {
            ($0.isolatesOrigins, $0.maximumProcesses, $0.maximumJobsPerProcess) = (true, 4, 8)
            $0.stallTimeout = .milliseconds(100)
        }
        let hostile = WorkerOrigin(address: "192.0.2.1", owner: "a")
        let first = try await pool.open(kind: "x", parameters: [], origin: hostile)
        let second = try await pool.open(kind: "x", parameters: [], origin: hostile)
        let other = try await pool.open(kind: "x", parameters: [], origin: WorkerOrigin(address: "192.0.2.1", owner: "b"))
        #expect(await pool.counters.processes == 2)
        #expect(first.send([1]))
        for job in [first, second] { await #expect(throws: WorkerError.timedOut) { for try await _ in job.outputs {} } }
        #expect(other.silence(at: .now) == .zero && other.send([1]))
        await pool.shutdown()
    }

    @Test("where there may be no other process, idle ones make room, then those of one address share, then anybody")
    func fewProcesses() async throws {
        let pool = pool("exec cat <&3 >/dev/null") { ($0.isolatesOrigins, $0.maximumProcesses, $0.maximumJobsPerProcess) = (true, 2, 8) }
        func open(_ address: String, _ owner: String) async throws -> WorkerJob {
            try await pool.open(kind: "x", parameters: [], origin: WorkerOrigin(address: address, owner: owner))
        }
        let first = try await open("192.0.2.1", "a"), before = await pool.processIDs
        _ = try await open("192.0.2.2", "b")
        first.cancel()
        // Takes the place of the first one's process, not that process.
        _ = try await open("192.0.2.3", "c")
        #expect(await pool.counters.shared == 0)
        #expect(await pool.processIDs.count == 2)
        #expect(await Set(pool.processIDs).isDisjoint(with: before))
        _ = try await open("192.0.2.3", "d")
        #expect(await pool.counters.shared == 1)
        _ = try await open("192.0.2.4", "e")
        #expect(await pool.counters.shared == 2)
        await pool.shutdown()
    }

    @Test("all who wait get a place when a process with several ends")
    func severalWaiters() async throws {
        let pool = pool("exec cat <&3 >/dev/null") { ($0.maximumProcesses, $0.maximumJobsPerProcess) = (1, 3) }
        for _ in 0..<3 { _ = try await pool.open(kind: "x", parameters: []) }
        let waiting = (0..<3).map { _ in Task { try await pool.open(kind: "x", parameters: [], deadline: .now + .seconds(20)) } }
        while await pool.counters.waiting < 3 { await Task.yield() }
        for pid in await pool.processIDs { kill(pid, SIGKILL) }
        for task in waiting { _ = try await task.value }
        #expect(await pool.counters.jobs == 6)
        await pool.shutdown()
    }

    @Test("who has patience only for a moment is told that all are busy")
    func patience() async throws {
        let pool = pool("sleep 1000") { $0.maximumProcesses = 1 }
        _ = try await pool.open(kind: "x", parameters: [])
        await #expect(throws: WorkerError.busy) { try await pool.open(kind: "x", parameters: [], patience: .milliseconds(20)) }
        await pool.shutdown()
    }

    @Test("the state of a process is read behind its name, whatever that is", arguments: [
        ("12 (cat) D 1 2", "D"), ("12 (a) R (b) S 1", "S"), ("12 () T 1", "T"),
    ])
    func processState(line: String, state: Character) { #expect(ProcessVitals.state(of: line) == state) }

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
