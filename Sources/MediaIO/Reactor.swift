// SPDX-License-Identifier: Apache-2.0
// A media thread: one epoll, one UDP port, and everything that lives on it. This file is the thread and its loop;
// what happens to a datagram is in ReactorCore.
import CMartlet
import Glibc
import MediaGraph
import Primitives
import Synchronization

/// One media thread. All its calls are safe from any thread; jobs run on the reactor's own, in order.
final class Reactor: Sendable {
    let index: Int
    let port: UInt16
    private let mailbox: Mailbox
    /// Streams and endpoints on it, for the choice of the least loaded.
    let load = Atomic<Int>(0)

    /// Opens the port, for UDP and TCP, and starts the thread.
    init(
        index: Int, port: UInt16, configuration: MediaEngineConfiguration, limiter: ConnectionLimiter
    ) throws(SystemError) {
        self.index = index
        mailbox = try Mailbox()
        let (socket, listener) = try Self.open(port: port, tcp: configuration.tcp.isOpen)
        self.port = socket.port
        let tcp = try TCPConnections(listener: listener, limiter: limiter, limits: configuration.tcp.queueLimits, memory: configuration.memory)
        let core = try ReactorCore(index: index, socket: socket, tcp: tcp, mailbox: mailbox, configuration: configuration)
        // The core moves to its thread and is never touched by another one again: only jobs reach it.
        nonisolated(unsafe) let handed = core
        let thread = Thread(name: "reactor-\(index)") { handed.run() }
        try thread.start()
    }

    /// The same port number for both; -1 = no listener wanted. Port 0: any number that is free in both.
    private static func open(port: UInt16, tcp: Bool) throws(SystemError) -> (UDPSocket, Int32) {
        var attempts = 0
        while true {
            let socket = try UDPSocket(port: port, notesDestination: LocalAddresses.isMultihomed)
            guard tcp else { return (socket, -1) }
            let listener = martlet_tcp_listen(socket.port)
            if listener >= 0 { return (socket, listener) }
            attempts += 1
            if port != 0 || attempts == 50 { throw SystemError(call: "bind TCP port \(socket.port)", code: -listener) }
        }
    }

    /// Runs `job` on the reactor. False when it is gone or, with a `limit`, when too many jobs wait.
    @discardableResult
    func post(limit: Int = .max, _ job: @escaping Mailbox.Job) -> Bool { mailbox.post(limit: limit, job) }

    /// Runs `job` on the reactor and gives back what it returns; `nil` when the reactor is gone.
    func run<T: Sendable>(_ job: @escaping @Sendable (ReactorCore) -> T) async -> T? {
        await withCheckedContinuation { continuation in
            let posted = mailbox.post { core in
                // A job left over at the end of the loop runs as well; the core then says that it has stopped.
                continuation.resume(returning: core.isStopped ? nil : job(core))
            }
            if !posted { continuation.resume(returning: nil) }
        }
    }

    /// Ends the loop after everything has been said goodbye to.
    func stop() async { _ = await run { core in core.stop() } }
}

/// A POSIX thread with a name, because Foundation's is not needed for anything else here.
private struct Thread {
    let name: String
    let body: () -> Void

    func start() throws(SystemError) {
        final class Box { let thread: Thread; init(_ thread: Thread) { self.thread = thread } }
        var handle = pthread_t()
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        let box = Unmanaged.passRetained(Box(self))
        let result = pthread_create(&handle, &attributes, { raw in
            let thread = Unmanaged<Box>.fromOpaque(raw!).takeRetainedValue().thread
            martlet_name_thread(thread.name)
            thread.body()
            return nil
        }, box.toOpaque())
        pthread_attr_destroy(&attributes)
        guard result == 0 else {
            box.release()
            throw SystemError(call: "start of the media thread \(name) (the system's limit of threads: ulimit -u, TasksMax of the unit)", code: result)
        }
    }
}
