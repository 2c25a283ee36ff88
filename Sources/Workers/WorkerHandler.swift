// SPDX-License-Identifier: Apache-2.0
// What a kind of work is inside the worker process. Implemented by Snapshots and others; called by WorkerHost.

/// One job inside the worker. Lives on a thread of its own from its making to its end.
public protocol WorkerHandler {
    /// The next input, in order. What is thrown ends the job; its description is the reason the server is told.
    func receive(_ input: [UInt8], output: WorkerOutput) throws
    /// No more input follows; called once.
    func finish(output: WorkerOutput) throws
}

extension WorkerHandler {
    public func receive(_ input: [UInt8], output: WorkerOutput) throws {}
    public func finish(output: WorkerOutput) throws {}
}

/// How a job gives results back to the server. Blocks while the server does not read.
public struct WorkerOutput: Sendable {
    private let write: @Sendable ([UInt8]) -> Void
    private let sign: @Sendable () -> Void

    init(sign: @escaping @Sendable () -> Void = {}, write: @escaping @Sendable ([UInt8]) -> Void) {
        self.sign = sign
        self.write = write
    }

    public func send(_ output: [UInt8]) { write(output) }

    /// Says that the job is at work on something that takes long; without, it is taken for one that hangs.
    public func signOfLife() { sign() }
}

/// A kind of work: its name on the wire and how a job of it begins.
public struct WorkerJobKind: Sendable {
    public let name: String
    /// How far its threads give way to the server's: what is added to their nice value.
    public let niceness: Int32
    /// `nil` = the job was done in the making: its outputs have been sent.
    public let begin: @Sendable (_ parameters: [UInt8], _ output: WorkerOutput) throws -> (any WorkerHandler)?

    public init(
        name: String, niceness: Int32 = 10, begin: @escaping @Sendable (_ parameters: [UInt8], _ output: WorkerOutput) throws -> (any WorkerHandler)?
    ) {
        self.name = name
        self.niceness = niceness
        self.begin = begin
    }
}
