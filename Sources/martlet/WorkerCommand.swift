// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Bridges
import Recording
import Snapshots
import Workers

/// The server starts it for work on what strangers sent: decoding, encoding. Nobody types it.
struct WorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "A worker process of the server; started by it on demand.", shouldDisplay: false)

    func run() {
        CrashReports.leaveOutBacktraces()
        WorkerHost.run(kinds: [SnapshotWorker.kind()] + RecordingWorker.kinds() + BridgeWorker.kinds())
    }
}
