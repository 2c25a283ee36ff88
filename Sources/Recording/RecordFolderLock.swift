// SPDX-License-Identifier: Apache-2.0
// That one server has a folder of records for itself: another would take its unfinished files for those of a crash.
import Glibc

/// Held for as long as the object is there; let go by the system when the process ends, however it does.
public final class RecordFolderLock: Sendable {
    private let descriptor: Int32

    fileprivate init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }
}

extension RecordFolder {
    /// Another server has it.
    public struct Taken: Error {}

    /// After `prepare`. `nil`: the file system knows no locks, and nobody can tell.
    public func lock() throws(Taken) -> RecordFolderLock? {
        // Not handed on to workers, which may outlive a server that is killed.
        let descriptor = open(spool + "/.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return nil }
        guard flock(descriptor, LOCK_EX | LOCK_NB) != 0 else { return RecordFolderLock(descriptor) }
        let isTaken = errno == EWOULDBLOCK
        close(descriptor)
        if isTaken { throw Taken() }
        return nil
    }
}
