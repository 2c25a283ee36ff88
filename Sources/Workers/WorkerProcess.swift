// SPDX-License-Identifier: Apache-2.0
// One child process with its jobs: started, spoken to over a socket pair by two threads, killed, and buried. Owned by WorkerPool.
import CWorkers
import Foundation
import Synchronization

final class WorkerProcess: Sendable {
    let pid: pid_t
    private let socket: WorkerSocket
    private let onJobEnd: @Sendable (WorkerProcess) -> Void
    private let onExit: @Sendable (WorkerProcess, String) -> Void

    private struct State {
        var jobs: [UInt32: WorkerJob] = [:]
        var lastJob: UInt32 = 0
        var outgoing: [WorkerFrame] = []
        var isOver = false
        /// Why we ended it ourselves; its jobs are told that instead of how it died.
        var verdict: WorkerError?
        var jobsBegun = 0
    }
    private let state = Mutex(State())
    /// Signalled when `outgoing` or `isOver` changes.
    private let wakeWriter = DispatchSemaphore(value: 0)

    /// Starts the process.
    /// - Parameters:
    ///   - command: the executable's absolute path and its arguments.
    ///   - onJobEnd: a job is over, however it ended; called on a thread of the process.
    ///   - onExit: the process is gone and buried; called once, with the words for how it ended.
    /// - Throws: `.notStarted`.
    static func start(
        command: [String], onJobEnd: @escaping @Sendable (WorkerProcess) -> Void,
        onExit: @escaping @Sendable (WorkerProcess, String) -> Void
    ) throws(WorkerError) -> WorkerProcess {
        var pair: [Int32] = [0, 0]
        let made = martlet_worker_pair(&pair)
        guard made == 0 else { throw .notStarted(String(cString: strerror(-made))) }
        let socket = WorkerSocket(owning: pair[0])
        let pid = CStringList.with(command) { arguments in
            CStringList.with(environment()) { environment in martlet_worker_spawn(arguments, environment, pair[1]) }
        }
        close(pair[1])
        guard pid > 0 else { throw .notStarted("\(command.first ?? "?"): \(String(cString: strerror(-pid)))") }
        let process = WorkerProcess(pid: pid, socket: socket, onJobEnd: onJobEnd, onExit: onExit)
        DetachedThread.start("worker-read") { process.readAll() }
        DetachedThread.start("worker-write") { process.writeAll() }
        return process
    }

    private init(
        pid: pid_t, socket: WorkerSocket, onJobEnd: @escaping @Sendable (WorkerProcess) -> Void,
        onExit: @escaping @Sendable (WorkerProcess, String) -> Void
    ) {
        self.pid = pid
        self.socket = socket
        self.onJobEnd = onJobEnd
        self.onExit = onExit
    }

    var jobCount: Int { state.withLock { $0.jobs.count } }
    /// Jobs it has been given in its life.
    var jobsBegun: Int { state.withLock { $0.jobsBegun } }

    // MARK: jobs

    /// Begins a job; `nil` when the process is on its way out.
    func open(
        kind: String, parameters: [UInt8], deadline: ContinuousClock.Instant?, maximumUnconsumed: Int, maximumOutputs: Int
    ) -> WorkerJob? {
        var payload = WireWriter(reserving: parameters.count + kind.utf8.count + 4)
        payload.write(kind)
        payload.append(parameters)
        return state.withLock { state in
            guard !state.isOver else { return nil }
            state.lastJob &+= 1
            state.jobsBegun += 1
            let job = WorkerJob(
                id: state.lastJob, process: self, deadline: deadline, maximumUnconsumed: maximumUnconsumed, maximumOutputs: maximumOutputs)
            state.jobs[job.id] = job
            state.outgoing.append(WorkerFrame(kind: .open, job: job.id, payload: payload.bytes))
            wakeWriter.signal()
            return job
        }
    }

    /// Queues a message of a living job; what `WorkerJob` lets wait bounds the queue.
    func send(_ frame: WorkerFrame) {
        state.withLock { state in
            guard !state.isOver, state.jobs[frame.job] != nil else { return }
            state.outgoing.append(frame)
            wakeWriter.signal()
        }
    }

    /// Takes a job off the books and tells its reader.
    func end(_ id: UInt32, _ error: WorkerError?) {
        guard let job = state.withLock({ $0.jobs.removeValue(forKey: id) }) else { return }
        job.end(error)
        onJobEnd(self)
    }

    /// Kills it when a job hangs or has used up its time. One that waits for the disk, as on a busy machine, is given `diskLimit`.
    /// - Returns: why it was killed; `nil` when it was not.
    func supervise(at now: ContinuousClock.Instant, stallLimit: Duration, diskLimit: Duration) -> String? {
        let jobs = state.withLock { $0.isOver ? [] : Array($0.jobs.values) }
        if jobs.contains(where: { $0.isOverdue(at: now) }) {
            kill(.timedOut)
            return "a job did not finish in time"
        }
        guard let silence = jobs.map({ $0.silence(at: now) }).max(), silence > stallLimit else { return nil }
        guard silence > diskLimit || !ProcessVitals.waitsForDisk(pid) else { return nil }
        kill(.timedOut)
        return "it gave no sign for \(silence.formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1))))"
    }

    // MARK: end

    /// Lets an idle worker go: it ends by itself when its socket does.
    func retire() {
        state.withLock { $0.isOver = true }
        wakeWriter.signal()
        socket.shutdown()
    }

    /// Ends it at once; its jobs fail with `verdict`.
    func kill(_ verdict: WorkerError) {
        state.withLock { state in
            state.isOver = true
            if state.verdict == nil { state.verdict = verdict }
        }
        // Not buried yet, or the process id could be somebody else's: only `readAll` buries, after the socket's end.
        Glibc.kill(-pid, SIGKILL)
        wakeWriter.signal()
        socket.shutdown()
    }

    // MARK: threads

    private func readAll() {
        var complaint: WorkerError?
        do throws(WorkerError) {
            while let frame = try socket.read() { handle(frame) }
        } catch {
            complaint = error
        }
        socket.shutdown()
        let (wasRetired, verdict, jobs) = state.withLock { state in
            defer { (state.isOver, state.jobs) = (true, [:]) }
            return (state.isOver && state.verdict == nil, state.verdict, state.jobs.values)
        }
        wakeWriter.signal()
        // A killed process may take seconds to be gone, on a busy machine or with much memory: nobody has to wait for that to hear why.
        let reason = verdict ?? complaint
        if let reason { for job in jobs { job.end(reason) } }
        let ending = bury(patiently: wasRetired)
        if reason == nil { for job in jobs { job.end(.crashed(ending)) } }
        onExit(self, ending)
    }

    private func handle(_ frame: WorkerFrame) {
        let job = state.withLock { $0.jobs[frame.job] }
        switch frame.kind {
        case .output: job?.deliver(frame.payload)
        case .consumed:
            var reader = WireReader(frame.payload)
            if let count = try? reader.integer(UInt32.self) { job?.consumed(Int(count)) }
        case .done: end(frame.job, nil)
        case .failed: end(frame.job, .failed(String(decoding: frame.payload.prefix(2048), as: UTF8.self)))
        case .open, .input, .finish, .cancel: break  // ours to say
        }
    }

    private func writeAll() {
        while true {
            wakeWriter.wait()
            let (frames, isOver) = state.withLock { state in
                defer { state.outgoing.removeAll() }
                return (state.outgoing, state.isOver)
            }
            if isOver { return }
            for frame in frames where !socket.write(frame) { return }
        }
    }

    /// Waits for the process's end and says how it was. A retired one has a moment to leave by itself.
    private func bury(patiently: Bool) -> String {
        var status: Int32 = 0
        if patiently {
            for _ in 0..<100 {
                if waitpid(pid, &status, WNOHANG) == pid { return Self.words(status) }
                usleep(10_000)
            }
        } else {
            // Whoever closed its socket is dying already; a moment lets its own cause of death be seen.
            for _ in 0..<20 {
                if waitpid(pid, &status, WNOHANG) == pid { return Self.words(status) }
                usleep(1_000)
            }
        }
        Glibc.kill(-pid, SIGKILL)
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return Self.words(status)
    }

    private static func words(_ status: Int32) -> String {
        let signal = status & 0x7f
        if signal == 0 { return "exit code \((status >> 8) & 0xff)" }
        return "signal \(signal), \(String(cString: strsignal(signal)))"
    }

    // MARK: start

    /// The few variables that a worker needs: it handles what strangers sent and has no business with the server's secrets.
    private static func environment() -> [String] {
        let prefixes = ["PATH=", "LD_LIBRARY_PATH=", "HOME=", "TMPDIR=", "LANG=", "LC_", "TZ=", "ASAN_OPTIONS=", "MALLOC_"]
        return ProcessInfo.processInfo.environment.map { "\($0)=\($1)" }.filter { line in prefixes.contains { line.hasPrefix($0) } }
    }
}
