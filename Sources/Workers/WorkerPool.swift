// SPDX-License-Identifier: Apache-2.0
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
        /// A process serves one origin. While there may be no other process, idle ones make room for one; then a job shares a process with
        /// another of the same address, and at last with anybody's. `false`: processes serve whoever comes next; for jobs that have their
        /// process to themselves while they run.
        public var isolatesOrigins = false
        /// A worker without a job for this long is let go.
        public var idleTimeout = Duration.seconds(20)
        /// A worker that gives no sign for this long though it has something to do is killed.
        public var stallTimeout = Duration.seconds(5)
        /// The same for one that waits for the disk.
        public var diskTimeout = Duration.seconds(30)
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
        /// Jobs that had to share a process with another origin's.
        public var shared = 0
    }

    private struct Waiter {
        /// Lower ones came first.
        let id: UInt64
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct Slot {
        let process: WorkerProcess
        /// Whose media it has seen.
        var origin: WorkerOrigin
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
    ///   - origin: whose media it works on.
    ///   - affinity: work with the same word goes to the same process where possible.
    ///   - deadline: the job's worker is killed when it has not finished by then; waiting for a free one counts.
    ///   - patience: how long a free worker is waited for; `nil` = until the deadline.
    ///   - maximumUnconsumed, maximumOutputs: see `WorkerJob`.
    /// - Throws: `.busy`, also when the patience is over; `.notStarted`, `.timedOut`, `.cancelled`.
    public func open(
        kind: String, parameters: [UInt8], origin: WorkerOrigin = WorkerOrigin(), affinity: String = "",
        deadline: ContinuousClock.Instant? = nil, patience: Duration? = nil, maximumUnconsumed: Int = 16 << 20, maximumOutputs: Int = 256
    ) async throws(WorkerError) -> WorkerJob {
        guard parameters.count + kind.utf8.count + 4 <= WorkerFrame.maximumLength else { throw .malformed("\(parameters.count) bytes") }
        var stillborn = 0
        let lastMoment = patience.map { ContinuousClock.now + $0 }
        var ticket: UInt64?
        while true {
            guard !isShutDown else { throw .cancelled }
            if let deadline, deadline <= .now { throw .timedOut }
            if let index = try slot(for: origin, affinity) {
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
                if configuration.isolatesOrigins, slots[index].origin != origin { counted.shared += 1 }
                slots[index].affinities.removeAll { $0 == affinity }
                slots[index].affinities.append(affinity)
                if slots[index].affinities.count > Self.maximumAffinities { slots[index].affinities.removeFirst() }
                return job
            }
            guard waiters.count < configuration.maximumWaiting, lastMoment.map({ $0 > .now }) ?? true else {
                counted.refused += 1
                throw .busy
            }
            if ticket == nil {
                lastWaiter += 1
                ticket = lastWaiter
            }
            guard await wait(ticket ?? 0, until: [deadline, lastMoment].compactMap { $0 }.min()) else {
                if let deadline, deadline <= .now { throw .timedOut }
                counted.refused += 1
                throw .busy
            }
        }
    }

    /// One message in, one message out: begins a job, waits for its first output and its end.
    /// - Throws: as `open`, and whatever ended the job.
    public func run(
        kind: String, request: [UInt8], origin: WorkerOrigin = WorkerOrigin(), affinity: String = "", deadline: ContinuousClock.Instant
    ) async throws(WorkerError) -> [UInt8] {
        let job = try await open(kind: kind, parameters: request, origin: origin, affinity: affinity, deadline: deadline, maximumOutputs: 1)
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
        wakeWaiters()
    }

    // MARK: processes

    /// Where a job can run now; `nil`: nowhere.
    private func slot(for origin: WorkerOrigin, _ affinity: String) throws(WorkerError) -> Int? {
        let free = slots.indices.filter { slots[$0].process.jobCount < configuration.maximumJobsPerProcess }
        guard configuration.isolatesOrigins else {
            if let known = place(among: free, affinity) { return known }
            return slots.count < configuration.maximumProcesses ? try startProcess(for: origin) : nil
        }
        if let own = place(among: free.filter { slots[$0].origin == origin }, affinity) { return own }
        if slots.count < configuration.maximumProcesses { return try startProcess(for: origin) }
        // One that has nothing to do any more makes room, the longest idle first.
        let idle = slots.indices.filter { slots[$0].process.jobCount == 0 && slots[$0].origin != origin }
        if let oldest = idle.min(by: { slots[$0].idleSince < slots[$1].idleSince }) {
            slots.remove(at: oldest).process.retire()
            return try startProcess(for: origin)
        }
        if let neighbour = place(among: free.filter { slots[$0].origin.address == origin.address }, affinity) { return neighbour }
        return place(among: free, affinity)
    }

    /// The process that knows the work, else the least busy one.
    private func place(among candidates: [Int], _ affinity: String) -> Int? {
        candidates.first { slots[$0].affinities.contains(affinity) }
            ?? candidates.min { slots[$0].process.jobCount < slots[$1].process.jobCount }
    }

    private func startProcess(for origin: WorkerOrigin) throws(WorkerError) -> Int {
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
        slots.append(Slot(process: process, origin: origin))
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
        wakeWaiters()
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
        wakeWaiters()
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
        for slot in slots {
            guard let reason = slot.process.supervise(at: now, stallLimit: configuration.stallTimeout, diskLimit: configuration.diskTimeout)
            else { continue }
            counted.kills += 1
            logger.warning("a worker process was ended", metadata: [
                "pid": "\(slot.process.pid)", "reason": "\(reason)", "origin": "\(slot.origin.address)",
            ])
        }
        let idle = slots.filter { $0.process.jobCount == 0 && now - $0.idleSince > configuration.idleTimeout }
        slots.removeAll { slot in idle.contains { $0.process === slot.process } }
        for slot in idle { slot.process.retire() }
        if slots.isEmpty { supervisor = nil }
        return !slots.isEmpty
    }

    // MARK: waiting

    /// Until a worker may be free (true) or the time is over (false).
    private func wait(_ id: UInt64, until deadline: ContinuousClock.Instant?) async -> Bool {
        let timer = deadline.map { deadline in
            Task { [weak self] in
                try? await Task.sleep(until: deadline, clock: .continuous)
                if !Task.isCancelled { await self?.giveUp(id) }
            }
        }
        defer { timer?.cancel() }
        return await withCheckedContinuation { continuation in
            // Who has waited before and found nothing keeps the place in the queue.
            let index = waiters.firstIndex { $0.id > id } ?? waiters.endIndex
            waiters.insert(Waiter(id: id, continuation: continuation), at: index)
        }
    }

    private func giveUp(_ id: UInt64) {
        guard let index = waiters.firstIndex(where: { $0.id == id }) else { return }
        waiters.remove(at: index).continuation.resume(returning: false)
    }

    /// Lets everybody look who waits, in order: a process that ended may leave room for several, and a place that is free may be one that
    /// the first can't use.
    private func wakeWaiters() {
        let waiting = waiters
        waiters = []
        for waiter in waiting { waiter.continuation.resume(returning: true) }
    }
}
