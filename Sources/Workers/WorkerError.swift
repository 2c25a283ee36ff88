// SPDX-License-Identifier: Apache-2.0
// Why work in another process did not come to its end, as sentences for whoever asked for it. Thrown by pool and jobs.

/// A failure of a worker's job.
public enum WorkerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// All workers are busy and as many jobs wait as may.
    case busy
    /// The worker process died with the job in hand; the text says of what.
    case crashed(String)
    /// The time for the job was over, or it took no input for too long; its worker was killed.
    case timedOut
    /// The job itself said why it can't be done.
    case failed(String)
    /// No worker process could be started.
    case notStarted(String)
    /// The job was cancelled, or the server stops.
    case cancelled
    /// A message is malformed or larger than `WorkerFrame.maximumLength`.
    case malformed(String)

    public var description: String {
        switch self {
        case .busy: "all workers are busy and the queue is full; try again in a moment"
        case .crashed(let how): "the worker process ended in the middle of it (\(how))"
        case .timedOut: "the worker process did not finish in time"
        case .failed(let reason): reason
        case .notStarted(let reason): "no worker process could be started: \(reason)"
        case .cancelled: "the work was cancelled"
        case .malformed(let reason): "a message to or from the worker process is malformed: \(reason)"
        }
    }
}
