// SPDX-License-Identifier: Apache-2.0
// The folder of pictures that are written by themselves: writes each whole, keeps the newest of each stream and not too many of
// all. Owned by SnapshotGallery; blocking, so it lives on a thread of the pool for such things.
import Foundation
import Recording

final class GalleryFolder {
    /// Files of the whole folder; the oldest go first.
    static let maximumFiles = 20_000
    static let endings = ["png", "jpg"]

    private let root: String
    private let keep: Int
    private let minimumFree: Int64
    /// Series → its files, oldest first; paths below the root.
    private var series: [String: [String]] = [:]
    /// All files, oldest first; may name files that are gone already.
    private var all: [String] = []
    private var count = 0

    /// Finds what earlier runs have left.
    /// - Parameters:
    ///   - keep: pictures of each stream that stay.
    ///   - minimumFree: bytes that stay free on the disk; 0 = any.
    init(root: String, keep: Int, minimumFree: Int64 = 0) throws {
        self.root = root
        self.minimumFree = minimumFree
        self.keep = keep
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        var found: [(path: String, time: Date)] = []
        let walker = FileManager.default.enumerator(atPath: root)
        while let path = walker?.nextObject() as? String {
            guard Self.endings.contains((path as NSString).pathExtension), found.count < 10 * Self.maximumFiles else { continue }
            found.append((path, walker?.fileAttributes?[.modificationDate] as? Date ?? .distantPast))
        }
        for (path, _) in found.sorted(by: { ($0.time, $0.path) < ($1.time, $1.path) }) { note(path) }
    }

    struct DiskFull: Error, CustomStringConvertible {
        let minimum: Int64
        var description: String { "fewer than \(minimum >> 20) MB are free (record_min_free_space)" }
    }

    /// Writes a picture; whoever reads the folder sees it whole or not at all.
    func write(_ bytes: [UInt8], to path: String) throws {
        guard minimumFree <= 0 || RecordFolder.free(at: root) >= minimumFree else { throw DiskFull(minimum: minimumFree) }
        let whole = root + "/" + path
        try FileManager.default.createDirectory(
            atPath: (whole as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: whole), options: .atomic)
        note(path)
    }

    private func note(_ path: String) {
        let key = GalleryTemplate.series(ofPath: path)
        var files = series[key] ?? []
        // A template without a time writes over its own file.
        guard files.last != path else { return }
        files.append(path)
        all.append(path)
        count += 1
        while files.count > keep { remove(files.removeFirst()) }
        series[key] = files
        while count > Self.maximumFiles, !all.isEmpty {
            let oldest = all.removeFirst()
            let key = GalleryTemplate.series(ofPath: oldest)
            guard let index = series[key]?.firstIndex(of: oldest) else { continue }
            series[key]?.remove(at: index)
            if series[key]?.isEmpty == true { series[key] = nil }
            remove(oldest)
        }
        if all.count > 2 * Self.maximumFiles {
            let living = Set(series.values.joined())
            all.removeAll { !living.contains($0) }
        }
    }

    private func remove(_ path: String) {
        count -= 1
        try? FileManager.default.removeItem(atPath: root + "/" + path)
        // The folder of a stream that has no picture left goes with it; one that is not empty stays.
        let folder = (path as NSString).deletingLastPathComponent
        if !folder.isEmpty { rmdir(root + "/" + folder) }
    }
}
