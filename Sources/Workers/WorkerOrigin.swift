// SPDX-License-Identifier: Apache-2.0
// Whose media a job works on: what a worker process is kept apart by. Made by whoever has a stream converted, recorded or looked at.

/// The source of what a job decodes. What one source sends may kill or take over the process that decodes it, so a process serves one.
public struct WorkerOrigin: Hashable, Sendable {
    /// The publisher's host as limits count it; empty: inside the server.
    public var address: String
    /// Its session, or whatever else owns the stream; empty: the server itself.
    public var owner: String

    public init(address: String = "", owner: String = "") {
        self.address = address
        self.owner = owner
    }
}
