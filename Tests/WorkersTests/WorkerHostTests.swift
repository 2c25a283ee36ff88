// SPDX-License-Identifier: Apache-2.0
import CWorkers
import Testing

@testable import Workers

/// A host on a thread of this process, spoken to over a real socket pair.
struct WorkerHostTests {
    private func host(_ kinds: [WorkerJobKind]) throws -> WorkerSocket {
        var pair: [Int32] = [0, 0]
        try #require(martlet_worker_pair(&pair) == 0)
        let worker = WorkerSocket(owning: pair[1])
        DetachedThread.start("host") { WorkerHost.serve(worker, kinds: kinds) }
        return WorkerSocket(owning: pair[0])
    }

    private func opening(_ kind: String, _ parameters: [UInt8] = []) -> [UInt8] {
        var writer = WireWriter()
        writer.write(kind)
        writer.append(parameters)
        return writer.bytes
    }

    private struct Doubler: WorkerHandler {
        func receive(_ input: [UInt8], output: WorkerOutput) throws {
            if input == [0] { throw WorkerError.failed("zero") }
            output.send(input + input)
        }
        func finish(output: WorkerOutput) throws { output.send([255]) }
    }
    private let doubling = WorkerJobKind(name: "double") { _, _ in Doubler() }

    @Test("a job takes inputs in order, says what it has worked off, and ends when asked to")
    func streams() throws {
        let socket = try host([doubling])
        #expect(socket.write(WorkerFrame(kind: .open, job: 1, payload: opening("double"))))
        #expect(socket.write(WorkerFrame(kind: .input, job: 1, payload: [1, 2])))
        #expect(socket.write(WorkerFrame(kind: .finish, job: 1)))
        #expect(try socket.read() == WorkerFrame(kind: .output, job: 1, payload: [1, 2, 1, 2]))
        #expect(try socket.read() == WorkerFrame(kind: .consumed, job: 1, payload: [0, 0, 0, 2]))
        #expect(try socket.read() == WorkerFrame(kind: .output, job: 1, payload: [255]))
        #expect(try socket.read() == WorkerFrame(kind: .done, job: 1))
        socket.shutdown()
    }

    @Test("what a job throws is told as its failure, and other jobs go on")
    func fails() throws {
        let socket = try host([doubling])
        #expect(socket.write(WorkerFrame(kind: .open, job: 1, payload: opening("double"))))
        #expect(socket.write(WorkerFrame(kind: .input, job: 1, payload: [0])))
        let failure = try #require(try socket.read())
        #expect(failure.kind == .failed && String(decoding: failure.payload, as: UTF8.self).contains("zero"))
        #expect(socket.write(WorkerFrame(kind: .open, job: 2, payload: opening("double"))))
        #expect(socket.write(WorkerFrame(kind: .input, job: 2, payload: [7])))
        #expect(try socket.read() == WorkerFrame(kind: .output, job: 2, payload: [7, 7]))
        socket.shutdown()
    }

    @Test("a kind of work it does not know is refused by name")
    func unknownKind() throws {
        let socket = try host([doubling])
        #expect(socket.write(WorkerFrame(kind: .open, job: 9, payload: opening("mixing"))))
        let failure = try #require(try socket.read())
        #expect(failure.kind == .failed && String(decoding: failure.payload, as: UTF8.self).contains("mixing"))
        socket.shutdown()
    }
}
