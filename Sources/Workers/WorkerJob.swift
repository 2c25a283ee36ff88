// SPDX-License-Identifier: Apache-2.0
// One job in a worker process, as the server sees it: input goes in without ever waiting, output comes back as it is made.
// Made by WorkerPool; fed by its WorkerProcess.
import Synchronization

/// A running job. Dropping it without `finish` or `cancel` leaves it running until its deadline.
public final class WorkerJob: Sendable {
    /// What the job gives, in order; ends after the last output, or throws `WorkerError`.
    public let outputs: AsyncThrowingStream<[UInt8], any Error>
    let id: UInt32
    /// Nothing may take longer than until then; `nil` = no bound.
    let deadline: ContinuousClock.Instant?
    private let sink: AsyncThrowingStream<[UInt8], any Error>.Continuation
    private let process: WorkerProcess
    private let maximumUnconsumed: Int

    private struct State {
        var unconsumed = 0
        /// When the worker last took something, or was given something with nothing else in hand.
        var lastSign = ContinuousClock.now
        /// It has been asked to bring its work to an end.
        var isFinishing = false
        var droppedInputs = 0
        var droppedOutputs = 0
        var isOver = false
    }
    private let state = Mutex(State())

    /// - Parameters:
    ///   - maximumUnconsumed: bytes of input that may wait for the worker; more is refused by `send`.
    ///   - maximumOutputs: outputs that may wait for the reader; the oldest are dropped beyond.
    init(
        id: UInt32, process: WorkerProcess, deadline: ContinuousClock.Instant?, maximumUnconsumed: Int, maximumOutputs: Int
    ) {
        self.id = id
        self.process = process
        self.deadline = deadline
        self.maximumUnconsumed = maximumUnconsumed
        (outputs, sink) = AsyncThrowingStream.makeStream(bufferingPolicy: .bufferingNewest(maximumOutputs))
    }

    /// Inputs refused because the worker did not keep up, and outputs nobody took in time.
    public var dropped: (inputs: Int, outputs: Int) { state.withLock { ($0.droppedInputs, $0.droppedOutputs) } }

    /// Hands an input to the worker. Never blocks.
    /// - Returns: false when the job is over or too much waits already; the input is dropped and counted then, and a sender of
    ///   video has to go on with a key frame.
    public func send(_ input: [UInt8]) -> Bool {
        let isTaken = state.withLock { state in
            guard !state.isOver, state.unconsumed + input.count <= maximumUnconsumed else {
                state.droppedInputs += 1
                return false
            }
            if state.unconsumed == 0 { state.lastSign = .now }
            state.unconsumed += input.count
            return true
        }
        if isTaken { process.send(WorkerFrame(kind: .input, job: id, payload: input)) }
        return isTaken
    }

    /// No more input follows: the job brings its work to an end.
    public func finish() {
        state.withLock { state in
            if state.unconsumed == 0 { state.lastSign = .now }
            state.isFinishing = true
        }
        process.send(WorkerFrame(kind: .finish, job: id))
    }

    /// The result is no longer wanted.
    public func cancel() {
        process.send(WorkerFrame(kind: .cancel, job: id))
        process.end(id, .cancelled)
    }

    // MARK: the process's side

    func deliver(_ output: [UInt8]) {
        if case .dropped = sink.yield(output) { state.withLock { $0.droppedOutputs += 1 } }
    }

    func consumed(_ count: Int) {
        state.withLock { state in
            state.unconsumed = max(0, state.unconsumed - count)
            state.lastSign = .now
        }
    }

    func end(_ error: WorkerError?) {
        state.withLock { $0.isOver = true }
        sink.finish(throwing: error)
    }

    /// The job's time is over.
    func isOverdue(at now: ContinuousClock.Instant) -> Bool { deadline.map { now > $0 } ?? false }

    /// For how long the worker has given no sign of this job although it has something to do for it; zero while it has not.
    func silence(at now: ContinuousClock.Instant) -> Duration {
        state.withLock { $0.unconsumed > 0 || $0.isFinishing ? now - $0.lastSign : .zero }
    }
}
