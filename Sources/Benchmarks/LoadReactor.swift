// SPDX-License-Identifier: Apache-2.0
// A thread of the load generator: one epoll for the sockets of many clients, their timers, and jobs from outside.
// Made by LoadGenerator; the clients live on it and nowhere else.
import CBenchmarks
import CMartlet
import Glibc
import Primitives
import Synchronization

/// The outside of the thread. Safe from any thread.
final class LoadReactor: Sendable {
    typealias Job = @Sendable (LoadCore) -> Void

    private let queue = JobQueue()
    private let wakeUp: Int32

    /// - Parameters:
    ///   - gro: whether the clients' sockets take merged datagrams.
    ///   - looksEachMillisecond: instead of sleeping until something arrives. On loopback the sender pays for waking who waits for its
    ///     packets, which on a network it doesn't.
    init(name: String, gro: Bool, looksEachMillisecond: Bool = false) throws(BenchmarkError) {
        wakeUp = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        let poller = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard wakeUp >= 0, poller >= 0, let receiver = bench_receiver_create() else {
            throw BenchmarkError("The load generator gets no epoll: \(String(cString: strerror(errno)))")
        }
        let core = LoadCore(name: name, poller: poller, wakeUp: wakeUp, receiver: receiver, gro: gro, looksEachMillisecond: looksEachMillisecond,
            queue: queue)
        // The core is handed to its thread and only reached through jobs from then on.
        let box = Unmanaged.passRetained(core)
        var thread = pthread_t()
        pthread_create(&thread, nil, { raw in
            Unmanaged<LoadCore>.fromOpaque(raw!).takeRetainedValue().run()
            return nil
        }, box.toOpaque())
        pthread_detach(thread)
    }

    /// Runs `job` on the thread and gives back what it returns; throws when the thread has ended.
    func run<T: Sendable>(_ job: @escaping @Sendable (LoadCore) throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            let taken = queue.add { core in continuation.resume(with: Result { try job(core) }) }
            if taken { wake() } else { continuation.resume(throwing: BenchmarkError("The load generator has stopped")) }
        }
    }

    /// Ends the thread; its clients are gone without goodbye. Returns when it touches nothing any more.
    func stop() async {
        _ = try? await run { $0.isStopped = true }
        // Refused, or answered behind the loop.
        _ = try? await run { _ in }
    }

    private func wake() {
        var one: UInt64 = 1
        _ = write(wakeUp, &one, 8)
    }
}

/// Jobs on their way to the thread.
final class JobQueue: Sendable {
    private struct State {
        var jobs: [LoadReactor.Job] = []
        var isClosed = false
    }
    private let state = Mutex(State())

    /// False when the thread has ended.
    func add(_ job: @escaping LoadReactor.Job) -> Bool {
        state.withLock { state in
            guard !state.isClosed else { return false }
            state.jobs.append(job)
            return true
        }
    }

    func take() -> [LoadReactor.Job] {
        state.withLock { state in
            defer { state.jobs = [] }
            return state.jobs
        }
    }

    func close() { state.withLock { $0.isClosed = true } }
}

/// The inside: only its own thread touches it.
final class LoadCore {
    private let name: String
    private let poller: Int32
    private let wakeUp: Int32
    private let receiver: OpaquePointer
    private let queue: JobQueue
    let gro: Bool
    private let looksEachMillisecond: Bool
    /// Clients by file descriptor.
    private var clients = ContiguousArray<LoadClient?>()
    private var clientList = ContiguousArray<LoadClient>()
    private var nextTick: Int64 = 0
    /// ns, read once per wake-up.
    private(set) var now = LoadClock.now()
    var isStopped = false
    /// What the players of this thread got of the packets sent within `window`, whenever it came.
    var measured = LoadWindow.Result()
    var window = LoadWindow(from: .max, to: .max)

    private static let tick: Int64 = 5_000_000

    init(
        name: String, poller: Int32, wakeUp: Int32, receiver: OpaquePointer, gro: Bool, looksEachMillisecond: Bool, queue: JobQueue
    ) {
        self.name = name
        self.poller = poller
        self.wakeUp = wakeUp
        self.receiver = receiver
        self.gro = gro
        self.looksEachMillisecond = looksEachMillisecond
        self.queue = queue
        watch(wakeUp)
    }

    deinit {
        bench_receiver_destroy(receiver)
        close(poller)
        close(wakeUp)
    }

    private func watch(_ descriptor: Int32) {
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(fd: descriptor))
        epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event)
    }

    func add(_ client: LoadClient) {
        let index = Int(client.socket)
        while clients.count <= index { clients.append(nil) }
        clients[index] = client
        clientList.append(client)
        watch(client.socket)
        nextTick = 0
    }

    func remove(_ client: LoadClient) {
        guard clients.indices.contains(Int(client.socket)), clients[Int(client.socket)] === client else { return }
        epoll_ctl(poller, EPOLL_CTL_DEL, client.socket, nil)
        clients[Int(client.socket)] = nil
        clientList.removeAll { $0 === client }
    }

    func client(_ id: LoadClientID) -> LoadClient? { clientList.first { $0.id == id } }
    var all: [LoadClient] { Array(clientList) }

    func run() {
        martlet_name_thread(name)
        var events = [epoll_event](repeating: epoll_event(), count: 256)
        while !isStopped {
            var timeout: Int32 = -1
            if looksEachMillisecond, !clientList.isEmpty {
                timeout = 0
                usleep(1000)
            } else if !clientList.isEmpty {
                timeout = Int32(max(0, min(nextDeadline - now + 500_000, 1_000_000_000) / 1_000_000))
            }
            let count = epoll_wait(poller, &events, Int32(events.count), timeout)
            now = LoadClock.now()
            let offset = LoadClock.realtimeOffset()
            for i in 0..<Int(max(0, count)) {
                let descriptor = events[i].data.fd
                if descriptor == wakeUp { runJobs() } else { receive(on: descriptor, offset) }
            }
            now = LoadClock.now()
            if now >= nextTick {
                nextTick = now + Self.tick
                for client in clientList { client.advance(self) }
            }
            for client in clientList where client.mediaDeadline <= now { client.sendMedia(self) }
        }
        // Whoever asked at the last moment is answered all the same.
        queue.close()
        for job in queue.take() { job(self) }
    }

    private var nextDeadline: Int64 {
        var next = nextTick
        for client in clientList { next = min(next, client.mediaDeadline) }
        return next
    }

    private func runJobs() {
        var counter: UInt64 = 0
        _ = read(wakeUp, &counter, 8)
        for job in queue.take() { job(self) }
    }

    private func receive(on descriptor: Int32, _ offset: Int64) {
        while true {
            let count = bench_receive(receiver, descriptor)
            guard count > 0, let client = clients[Int(descriptor)] else { return }
            for i in 0..<Int(count) {
                let buffer = bench_received(receiver, Int32(i)).pointee
                let source = SocketAddress(ipv4: buffer.from_address, port: buffer.from_port)
                let arrival = buffer.arrival == 0 ? now : buffer.arrival - offset
                var start = 0
                while start < Int(buffer.length) {
                    let length = min(Int(buffer.segment), Int(buffer.length) - start)
                    client.receive(UnsafeMutableRawBufferPointer(start: buffer.data + start, count: length), from: source, at: arrival, self)
                    start += length
                }
            }
            if count < 32 { return }
        }
    }
}
