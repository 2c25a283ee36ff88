// SPDX-License-Identifier: Apache-2.0
// What can be chosen for every benchmark.

public struct BenchmarkOptions: Sendable {
    /// 200 kbit/s streams instead of 2.5 Mbit/s.
    public var isThin = false
    /// Publishers pace their pictures as browsers do instead of sending each at once.
    public var isPaced = true
    /// Length of the measurement.
    public var seconds = 10.0
    /// Threads of the load generator for players.
    public var threads = 1
    /// Players take merged datagrams (UDP_GRO). Browsers don't.
    public var gro = false
    /// Media threads of the server; 0 = one per core.
    public var reactors = 0
    /// Folder for the servers' state and logs.
    public var folder = "./var/bench"
    /// Told what is going on, a sentence at a time.
    public var progress: @Sendable (String) -> Void = { _ in }
    public init() {}

    var shape: StreamShape {
        let shape = isThin ? StreamShape.thin : .full
        return isPaced ? shape.paced : shape
    }
}
