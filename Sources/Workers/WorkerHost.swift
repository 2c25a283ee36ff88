// SPDX-License-Identifier: Apache-2.0
// The worker process's side: reads what the server says, runs each job on a thread of its own. `martlet worker` is this.
import CWorkers
import Foundation
import Synchronization

/// Serves one server over descriptor 3 until that is closed.
public enum WorkerHost {
    /// The descriptor that `WorkerProcess` hands over.
    static let descriptor: Int32 = 3
    /// Data memory of a worker, bytes: several 4K decoders fit, a leak ends it.
    public static let maximumMemory: UInt64 = 3 << 30

    /// Bounds the memory of this process, for programs that decode what remotes sent without being a worker. An allocation beyond fails.
    /// - Parameter bytes: of data; 0 = no bound.
    public static func boundMemory(_ bytes: UInt64) { martlet_worker_settle(bytes) }

    /// Runs until the server is gone; then ends the process, whatever its jobs are doing.
    public static func run(kinds: [WorkerJobKind]) -> Never {
        var info = stat()
        guard fstat(descriptor, &info) == 0, info.st_mode & S_IFMT == S_IFSOCK else {
            FileHandle.standardError.write(Data("martlet worker is started by the server itself; there is nothing to run by hand.\n".utf8))
            exit(64)
        }
        martlet_worker_settle(maximumMemory)
        serve(WorkerSocket(owning: descriptor), kinds: kinds)
        // Not exit(): jobs may still hold locks that handlers at exit want.
        _exit(0)
    }

    /// The loop itself; returns when the server is gone.
    static func serve(_ socket: WorkerSocket, kinds: [WorkerJobKind]) {
        var jobs: [UInt32: HostedJob] = [:]
        while let frame = try? socket.read() {
            jobs = jobs.filter { !$0.value.isOver }
            switch frame.kind {
            case .open:
                let job = HostedJob(id: frame.job, socket: socket)
                jobs[frame.job] = job
                job.start(frame.payload, kinds: kinds)
            case .input: jobs[frame.job]?.put(.input(frame.payload))
            case .finish: jobs[frame.job]?.put(.finish)
            case .cancel: jobs[frame.job]?.put(.cancel)
            case .output, .consumed, .done, .failed: break  // ours to say
            }
        }
    }
}

/// One job inside the worker: its queue and its thread.
private final class HostedJob: Sendable {
    enum Step { case input([UInt8]), finish, cancel }

    private let id: UInt32
    private let socket: WorkerSocket
    private let steps = Mutex<(queue: [Step], isOver: Bool)>(([], false))
    private let wake = DispatchSemaphore(value: 0)

    init(id: UInt32, socket: WorkerSocket) {
        self.id = id
        self.socket = socket
    }

    var isOver: Bool { steps.withLock { $0.isOver } }

    func put(_ step: Step) {
        steps.withLock { $0.queue.append(step) }
        wake.signal()
    }

    func start(_ opening: [UInt8], kinds: [WorkerJobKind]) {
        DetachedThread.start("job-\(id)") { self.work(opening, kinds) }
    }

    private func work(_ opening: [UInt8], _ kinds: [WorkerJobKind]) {
        let id = id, socket = socket
        let output = WorkerOutput {
            var nothing = WireWriter()
            nothing.write(UInt32(0))
            _ = socket.write(WorkerFrame(kind: .consumed, job: id, payload: nothing.bytes))
        } write: { bytes in
            // A picture that no message can hold is the job's failure, not the connection's.
            guard bytes.count <= WorkerFrame.maximumLength else { return }
            _ = socket.write(WorkerFrame(kind: .output, job: id, payload: bytes))
        }
        do {
            var reader = WireReader(opening)
            let name = try reader.string()
            guard let kind = kinds.first(where: { $0.name == name }) else { throw WorkerError.failed("this worker can't do \"\(name)\"") }
            martlet_worker_be_nice(kind.niceness)
            if let handler = try kind.begin(Array(reader.rest()), output) { try feed(handler, output) }
            _ = socket.write(WorkerFrame(kind: .done, job: id))
        } catch {
            _ = socket.write(WorkerFrame(kind: .failed, job: id, payload: Array("\(error)".utf8)))
        }
        steps.withLock { $0.isOver = true }
    }

    private func feed(_ handler: any WorkerHandler, _ output: WorkerOutput) throws {
        while true {
            wake.wait()
            let step = steps.withLock { $0.queue.isEmpty ? .cancel : $0.queue.removeFirst() }
            switch step {
            case .input(let bytes):
                try handler.receive(bytes, output: output)
                var count = WireWriter()
                count.write(UInt32(bytes.count))
                _ = socket.write(WorkerFrame(kind: .consumed, job: id, payload: count.bytes))
            case .finish: return try handler.finish(output: output)
            case .cancel: return
            }
        }
    }
}
