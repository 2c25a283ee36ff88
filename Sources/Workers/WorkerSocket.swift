// SPDX-License-Identifier: Apache-2.0
// Blocking reads and writes of whole messages on one end of the socket pair. Each end has one reading thread; writers take turns.
import Glibc
import Synchronization

/// Owns the descriptor. `shutdown` wakes everybody who waits on it; the descriptor itself is closed with the object, so that its
/// number is never used for something else while a thread is still in a call on it.
final class WorkerSocket: Sendable {
    private let descriptor: Int32
    private let writing = Mutex(())

    init(owning descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Ends both directions; reads and writes return false from now on.
    func shutdown() { _ = Glibc.shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Writes a message; false when the other side is gone.
    func write(_ frame: WorkerFrame) -> Bool {
        writing.withLock { _ in writeAll(frame.header) && writeAll(frame.payload) }
    }

    private func writeAll(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { buffer in
            var sent = 0
            while sent < buffer.count, let base = buffer.baseAddress {
                let count = send(descriptor, base + sent, buffer.count - sent, Int32(MSG_NOSIGNAL))
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                sent += count
            }
            return true
        }
    }

    /// The next message; `nil` at the end of the other side.
    /// - Throws: `WorkerError.malformed`; nothing can be read afterwards.
    func read() throws(WorkerError) -> WorkerFrame? {
        guard let header = readExactly(WorkerFrame.headerLength) else { return nil }
        let (kind, job, length) = try WorkerFrame.parse(header: header)
        guard let payload = readExactly(length) else { return nil }
        return WorkerFrame(kind: kind, job: job, payload: payload)
    }

    private func readExactly(_ count: Int) -> [UInt8]? {
        guard count > 0 else { return [] }
        var isWhole = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            while initialized < count, let base = buffer.baseAddress {
                let received = recv(descriptor, base + initialized, count - initialized, 0)
                if received < 0, errno == EINTR { continue }
                guard received > 0 else { return }
                initialized += received
            }
            isWhole = true
        }
        return isWhole ? bytes : nil
    }
}
