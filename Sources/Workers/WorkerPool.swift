// The worker processes of one purpose: started when there is work, shared by jobs, watched, let go when idle. Any task may ask.
import Foundation
import Logging

/// A bounded number of worker processes and a bounded queue in front of them.
public actor WorkerPool {
    public struct Configuration: Sendable {
        /// The executable's absolute path and its arguments; `WorkerHost.run` has to be what it does.
        public var command: [String]
        public var maximumProcesses = 2
        public var maximumJobsPerProcess = 1
        /// Jobs that may wait for a free worker; beyond, `open` throws `.busy`.
        public var maximumWaiting = 64
        /// Jobs go to a new process while there may be one: what kills a worker takes fewer others along. Otherwise idle ones first.
        public var spreadsJobs = false
        /// A worker without a job for this long is let go.
        public var idleTimeout = Duration.seconds(20)
        /// A worker that takes no input for this long though it has some is killed.
        public var stallTimeout = Duration.seconds(10)
        /// A worker is replaced after so many jobs: what a codec leaks can't grow for ever.
        public var jobsBeforeRenewal = 2_000

        public init(command: [String]) { self.command = command }

        /// The program that is running now, asked to be a worker.
        public static func ownExecutable() -> [String] {
            let path = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
            return [path, "worker"]
        }
    }

    /// How the pool is doing, for statistics.
    public struct Counters: Sendable, Equatable {
        public var processes = 0, waiting = 0
        public var started = 0, jobs = 0, crashes = 0, kills = 0, refused = 0
    }

    private struct Waiter {
        let id: UInt64
        let affinity: String
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct Slot {
        let process: WorkerProcess
        /// What it worked on last: the same work finds its caches warm there.
        var affinities: [String] = []
        var idleSince = ContinuousClock.now
    }

    private let configuration: Configuration
    private let logger: Logger
    private var slots: [Slot] = []
    private var waiters: [Waiter] = []
    private var lastWaiter: UInt64 = 0
    private var counted = Counters()
    private var supervisor: Task<Void, Never>?
    private var isShutDown = false

    static let supervisionPeriod = Duration.milliseconds(100)
    /// Processes that may turn out to be dead before one request gives up.
    static let maximumStillborn = 4
    /// Affinities remembered per process.
    static let maximumAffinities = 16

    public init(configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    public var counters: Counters {
        var result = counted
        result.processes = slots.count
        result.waiting = waiters.count
        return result
    }
    /// The processes alive, for tests and statistics.
    public var processIDs: [Int32] { slots.map(\.process.pid) }

    /// Begins a job, in a new process if need be; waits while all are busy.
    ///
    /// - Parameters:
    ///   - kind: which of the worker's handlers does it.
    ///   - affinity: work with the same word goes to the same process where possible.
    ///   - deadline: the job's worker is killed when it has not finished by then; waiting for a free one counts.
    ///   - maximumUnconsumed, maximumOutputs: see `WorkerJob`.
    /// - Throws: `.busy`, `.notStarted`, `.timedOut`, `.cancelled`.
    public func open(
        kind: String, parameters: [UInt8], affinity: String = "", deadline: ContinuousClock.Instant? = nil,
        maximumUnconsumed: Int = 16 << 20, maximumOutputs: Int = 256
    ) async throws(WorkerError) -> WorkerJob {
        guard parameters.count + kind.utf8.count + 4 <= WorkerFrame.maximumLength else { throw .malformed("\(parameters.count) bytes") }
        var stillborn = 0
        while true {
            guard !isShutDown else { throw .cancelled }
            if let deadline, deadline <= .now { throw .timedOut }
            if let index = try freeSlot(for: affinity) {
                guard let job = slots[index].process.open(
                    kind: kind, parameters: parameters, deadline: deadline, maximumUnconsumed: maximumUnconsumed,
                    maximumOutputs: maximumOutputs)
                else {
                    // It died a moment ago; its `exited` is on the way.
                    slots.remove(at: index)
                    stillborn += 1
                    guard stillborn <= Self.maximumStillborn else { throw .crashed("right after its start") }
                    continue
                }
                counted.jobs += 1
                slots[index].affinities.removeAll { $0 == affinity }
                slots[index].affinities.append(affinity)
                if slots[index].affinities.count > Self.maximumAffinities { slots[index].affinities.removeFirst() }
                return job
            }
            guard waiters.count < configuration.maximumWaiting else {
                counted.refused += 1
                throw .busy
            }
            guard await wait(for: affinity, until: deadline) else { throw .timedOut }
        }
    }

    /// One message in, one message out: begins a job, waits for its first output and its end.
    /// - Throws: as `open`, and whatever ended the job.
    public func run(
        kind: String, request: [UInt8], affinity: String = "", deadline: ContinuousClock.Instant
    ) async throws(WorkerError) -> [UInt8] {
        let job = try await open(kind: kind, parameters: request, affinity: affinity, deadline: deadline, maximumOutputs: 1)
        do {
            var reply: [UInt8]?
            try await withTaskCancellationHandler {
                for try await output in job.outputs { reply = output }
            } onCancel: {
                job.cancel()
            }
            guard let reply else { throw Task.isCancelled ? WorkerError.cancelled : .failed("the worker gave no answer") }
            return reply
        } catch let error as WorkerError {
            throw error
        } catch {
            throw .failed("\(error)")
        }
    }

    /// Kills all workers; their jobs and those that wait fail with `.cancelled`.
    public func shutdown() {
        isShutDown = true
        supervisor?.cancel()
        for slot in slots { slot.process.kill(.cancelled) }
        let waiting = waiters
        waiters = []
        for waiter in waiting { waiter.continuation.resume(returning: true) }
    }

    // MARK: processes

    /// Where a job can run now: the process that knows the work, else the least busy one, else a new one.
    private func freeSlot(for affinity: String) throws(WorkerError) -> Int? {
        let free = slots.indices.filter { slots[$0].process.jobCount < configuration.maximumJobsPerProcess }
        if let warm = free.first(where: { slots[$0].affinities.contains(affinity) }) { return warm }
        // An idle process that somebody else's work is warm in is still quicker than a new one.
        if let idle = free.min(by: { slots[$0].process.jobCount < slots[$1].process.jobCount }),
            !configuration.spreadsJobs || slots[idle].process.jobCount == 0 || slots.count >= configuration.maximumProcesses { return idle }
        guard slots.count < configuration.maximumProcesses else { return nil }
        let process = try WorkerProcess.start(
            command: configuration.command,
            onJobEnd: { [weak self] process in
                guard let self else { return }
                Task { await self.jobEnded(on: process) }
            },
            onExit: { [weak self] process, ending in
                guard let self else { return }
                Task { await self.exited(process, ending) }
            })
        counted.started += 1
        logger.debug("worker started", metadata: ["pid": "\(process.pid)"])
        slots.append(Slot(process: process))
        startSupervisor()
        return slots.count - 1
    }

    private func jobEnded(on process: WorkerProcess) {
        if let index = slots.firstIndex(where: { $0.process === process }) {
            slots[index].idleSince = .now
            if process.jobsBegun >= configuration.jobsBeforeRenewal, process.jobCount == 0 {
                slots.remove(at: index)
                process.retire()
            }
        }
        wakeOne(preferring: process)
    }

    private func exited(_ process: WorkerProcess, _ ending: String) {
        if let index = slots.firstIndex(where: { $0.process === process }) {
            slots.remove(at: index)
            counted.crashes += 1
            logger.warning("a worker process ended unexpectedly; the next job starts a new one", metadata: [
                "pid": "\(process.pid)", "ending": "\(ending)",
            ])
        } else {
            logger.debug("worker gone", metadata: ["pid": "\(process.pid)", "ending": "\(ending)"])
        }
        wakeOne(preferring: nil)
    }

    private func startSupervisor() {
        guard supervisor == nil else { return }
        supervisor = Task { [weak self] in
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.supervisionPeriod)
                guard let self, await self.supervise() else { return }
            }
        }
    }

    /// Kills what hangs and lets go what idles; false when no process is left.
    private func supervise() -> Bool {
        let now = ContinuousClock.now
        for slot in slots { slot.process.supervise(at: now, stallLimit: configuration.stallTimeout) }
        let idle = slots.filter { $0.process.jobCount == 0 && now - $0.idleSince > configuration.idleTimeout }
        slots.removeAll { slot in idle.contains { $0.process === slot.process } }
        for slot in idle { slot.process.retire() }
        if slots.isEmpty { supervisor = nil }
        return !slots.isEmpty
    }

    // MARK: waiting

    /// Until a worker may be free (true) or the time is over (false).
    private func wait(for affinity: String, until deadline: ContinuousClock.Instant?) async -> Bool {
        lastWaiter += 1
        let id = lastWaiter
        let timer = deadline.map { deadline in
            Task { [weak self] in
                try? await Task.sleep(until: deadline, clock: .continuous)
                if !Task.isCancelled { await self?.giveUp(id) }
            }
        }
        defer { timer?.cancel() }
        return await withCheckedContinuation { continuation in
            waiters.append(Waiter(id: id, affinity: affinity, continuation: continuation))
        }
    }

    private func giveUp(_ id: UInt64) {
        guard let index = waiters.firstIndex(where: { $0.id == id }) else { return }
        waiters.remove(at: index).continuation.resume(returning: false)
    }

    private func wakeOne(preferring process: WorkerProcess?) {
        guard !waiters.isEmpty else { return }
        let known = slots.first { $0.process === process }?.affinities ?? []
        let index = waiters.firstIndex { known.contains($0.affinity) && !$0.affinity.isEmpty } ?? 0
        waiters.remove(at: index).continuation.resume(returning: true)
    }
}
