// SPDX-License-Identifier: Apache-2.0
// Pictures that are written by themselves: of every stream that is on air, at an interval, into a folder. A ServiceLifecycle
// service, made by the composition when `snapshot_auto_interval_ms` is set.
import Clocks
import Codecs
import Foundation
import Logging
import ServiceLifecycle
import Snapshots
import Synchronization

struct SnapshotGallery: Service {
    let snapshots: StreamSnapshots
    let interval: Duration
    let folder: String
    let template: GalleryTemplate
    let keep: Int
    /// Bytes that stay free on the disk.
    let minimumFree: Int64
    let format: PictureFormat
    let logger: Logger
    /// Pictures taken at the same time.
    static let parallel = 4

    /// `nil` when there is nothing to do.
    init?(_ settings: Settings, snapshots: StreamSnapshots, logger: Logger) {
        guard settings.snapshotAutoInterval > 0, let template = GalleryTemplate(settings.snapshotAutoTemplate) else { return nil }
        self.snapshots = snapshots
        interval = .milliseconds(settings.snapshotAutoInterval)
        folder = settings.snapshotAutoFolder.isEmpty ? settings.stateDirectory + "/snapshots" : settings.snapshotAutoFolder
        self.template = template
        keep = settings.snapshotAutoKeep
        minimumFree = Int64(settings.recordMinimumFree) << 20
        format = PictureFormat(settings.snapshotAutoFormat == .png ? .png : .jpeg, compression: settings.snapshotCompression)
        self.logger = logger
    }

    func run() async throws {
        let writer = GalleryWriter(root: folder, keep: keep, minimumFree: minimumFree)
        logger.info("pictures of all streams are written", metadata: ["folder": "\(folder)", "interval": "\(interval)"])
        await cancelWhenGracefulShutdown {
            var next = ContinuousClock.now
            while !Task.isCancelled {
                await writeAll(writer)
                next = max(next + interval, .now)
                try? await Task.sleep(until: next, clock: .continuous)
            }
        }
    }

    private func writeAll(_ writer: GalleryWriter) async {
        let wanted = await snapshots.streams.publishedVideo()
        await withTaskGroup(of: Void.self) { group in
            for (index, stream) in wanted.enumerated() {
                if index >= Self.parallel { await group.next() }
                group.addTask { await write(stream.name, stream.mediaSessionID, writer) }
            }
        }
    }

    private func write(_ name: String, _ mediaSessionID: String, _ writer: GalleryWriter) async {
        do {
            let snapshot = try await snapshots.take(name, as: format)
            let path = template.path(streamName: name, mediaSessionID: mediaSessionID, unixMilliseconds: WallClock.now().milliseconds)
            try await writer.write(snapshot.picture.bytes, to: path + "." + format.kind.fileExtension)
        } catch SnapshotError.noSuchStream, SnapshotError.shutDown {
            // It ended a moment ago.
        } catch {
            logger.warning("no picture was written", metadata: ["stream": "\(name)", "reason": "\(error)"])
        }
    }
}

/// The folder, on a thread where it may block.
private final class GalleryWriter: Sendable {
    private let root: String
    private let keep: Int
    private let minimumFree: Int64
    private let queue = DispatchQueue(label: "martlet.gallery")
    /// Made at the first picture.
    private let folder = Mutex<GalleryFolder?>(nil)

    init(root: String, keep: Int, minimumFree: Int64) {
        self.root = root
        self.keep = keep
        self.minimumFree = minimumFree
    }

    func write(_ bytes: [UInt8], to path: String) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            queue.async {
                continuation.resume(with: Result {
                    try self.folder.withLock { folder in
                        if folder == nil { folder = try GalleryFolder(root: self.root, keep: self.keep, minimumFree: self.minimumFree) }
                        try folder?.write(bytes, to: path)
                    }
                })
            }
        }
    }
}

extension StreamRegistry {
    /// What is on air with a picture, by name.
    func publishedVideo() -> [(name: String, mediaSessionID: String)] {
        entries.values.filter { $0.record.isPublished && $0.record.status == .publishing && $0.record.videoCodec != nil }
            .map { ($0.record.name, $0.record.mediaSessionID) }.sorted { $0.0 < $1.0 }
    }
}
