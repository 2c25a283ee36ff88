// SPDX-License-Identifier: Apache-2.0
// Snapshots by stream name, with the settings that go with them: what REST, sessions and the gallery ask. Owned by the composition.
import Clocks
import Codecs
import Logging
import MediaIO
import Primitives
import Snapshots
import Workers

struct StreamSnapshots: Sendable {
    let streams: StreamRegistry
    let service: SnapshotService
    /// zlib's level of PNGs (`snapshot_png_compression`).
    var compression = 1
    /// Clients are told by SNAPSHOT_COMPLETE as well (`snapshot_complete_status`).
    var tellsStatus = true
    /// Bytes of a message to a WebSocket client; more would cost it its connection.
    var maximumMessageSize = 4 << 20
    /// How often clients of one address may ask; `nil`: as often as they like.
    var limiter: SourceRateLimiter?

    /// - Throws: within `snapshot_taking_interval_ms`.
    func take(_ name: String, as format: PictureFormat? = nil) async throws(SnapshotError) -> Snapshot {
        guard let stream = await streams.publisher(named: name)?.stream else { throw .noSuchStream }
        return try await service.take(stream, as: format ?? PictureFormat(.png, compression: compression))
    }
}

extension StreamSnapshots {
    /// With workers of its own, as the settings say.
    static func make(_ settings: Settings, streams: StreamRegistry, engine: any RecentVideoSource) -> StreamSnapshots {
        var workers = WorkerPool.Configuration(command: WorkerPool.Configuration.ownExecutable())
        workers.maximumProcesses = settings.snapshotWorkers
        workers.maximumWaiting = 128
        var configuration = SnapshotService.Configuration()
        configuration.timeLimit = .milliseconds(settings.snapshotInterval)
        let service = SnapshotService(
            video: engine, pool: WorkerPool(configuration: workers, logger: Logger(label: "martlet.workers")),
            configuration: configuration, logger: Logger(label: "martlet.snapshots"))
        return StreamSnapshots(
            streams: streams, service: service, compression: settings.snapshotCompression,
            tellsStatus: settings.snapshotCompleteStatus, maximumMessageSize: settings.maximumSendQueue / 2,
            limiter: settings.snapshotsPerAddress > 0
                ? SourceRateLimiter(
                    rate: Double(settings.snapshotsPerAddress), burst: Double(5 * settings.snapshotsPerAddress), now: MonotonicClock.now) : nil)
    }
}
