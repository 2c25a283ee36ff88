// SPDX-License-Identifier: Apache-2.0
// The folder of records: finished files in it, unfinished ones and what is known about each in hidden folders below. Blocking calls;
// every one of them is short. Used by Recorder and by whoever lists records.
import Foundation
import Synchronization

/// A finished file and what is known about it.
public struct FinishedRecord: Codable, Sendable, Equatable {
    public var fileName: String
    public var facts: RecordFacts
    /// Milliseconds since 1970.
    public var startTime: Int64
    public var endTime: Int64
    public var milliseconds: Int64 = 0
    public var bytes: Int64 = 0
    public var width = 0
    public var height = 0
    public var videoCodec: String?
    public var audioCodec: String?
    public var videoFrames = 0
    /// It was found unfinished after a crash, and finished then.
    public var isRepaired = false
    /// Logins of those who are in it.
    public var participants: [String] = []
    /// The record that it was mixed from.
    public var mixedFrom: String?

    /// The same under another name.
    func named(_ name: String) -> FinishedRecord {
        var record = self
        record.fileName = name
        return record
    }
}

/// What is written down when a recording begins, so that its files can be finished by whoever finds them.
struct UnfinishedRecord: Codable, Sendable, Equatable {
    var facts: RecordFacts
    var template: RecordTemplate
    /// Of each part by its number, milliseconds since 1970.
    var partStarts: [Int: Int64] = [:]
    /// The same on the monotonic clock, ns: how parts of one run lie to each other, whatever happens to the wall clock. Missing in
    /// notes of old versions.
    var partTimes: [Int: Int64]?
    /// The group whose file its parts belong in.
    var group: GroupNote?
}

/// Which group recording an unfinished file belongs to.
struct GroupNote: Codable, Sendable, Equatable {
    var id: String
    var uri: String
    /// Milliseconds since 1970.
    var startTime: Int64
}

public struct RecordFolder: Sendable {
    public let path: String
    /// Of unfinished files.
    let spool: String
    private let notes: String

    public init(path: String) {
        self.path = path
        spool = path + "/.recording"
        notes = path + "/.about"
    }

    /// Makes the folders.
    public func prepare() throws {
        for folder in [path, spool, notes] { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
    }

    /// Bytes free on the disk of a path; as many as there can be where that isn't known.
    public static func free(at path: String) -> Int64 {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { return .max }
        return Int64(clamping: UInt64(info.f_bavail) * UInt64(info.f_frsize))
    }

    // MARK: unfinished

    func note(_ record: UnfinishedRecord, stem: String) throws {
        try JSONEncoder().encode(record).write(to: URL(fileURLWithPath: "\(spool)/\(stem).json"), options: .atomic)
    }
    func forget(stem: String) {
        unlink("\(spool)/\(stem).json")
        release(stem: stem)
    }

    /// Files of a recording still wait for their last step.
    func hasParts(of stem: String) -> Bool {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: spool)) ?? []
        return files.contains { $0.hasPrefix(stem + "-") && Self.endings.contains(($0 as NSString).pathExtension) }
    }

    /// What is known about a finished record fits in this many bytes.
    static let reserveSize: off_t = 64 << 10

    /// Takes the room for what is to be written about a recording's files when they are finished, so that a disk it fills has it.
    /// A file system that can't set room aside has none.
    func reserve(stem: String) {
        let file = open("\(spool)/\(stem).reserve", O_CREAT | O_WRONLY | O_CLOEXEC, 0o644)
        guard file >= 0 else { return }
        _ = posix_fallocate(file, 0, Self.reserveSize)
        close(file)
    }

    /// Gives that room back. Nothing happens the second time.
    func release(stem: String) { unlink("\(spool)/\(stem).reserve") }

    /// What earlier runs have left: the parts of each recording.
    func unfinished() -> [(stem: String, record: UnfinishedRecord?, parts: [(number: Int, file: String)])] {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: spool)) ?? []
        var parts: [String: [(number: Int, file: String)]] = [:]
        for file in files {
            if file.hasSuffix(".done") || file.hasSuffix(".jpg") || file.hasSuffix(".reserve") {
                // Half of a last step, whose source is still there, or room for one.
                unlink("\(spool)/\(file)")
                continue
            }
            if file.hasSuffix(".json") {
                parts[String(file.dropLast(5)), default: []] += []
                continue
            }
            guard let match = file.wholeMatch(of: /(.+)-(\d+)\.(mp4|webm|mkv)/), let number = Int(match.2) else { continue }
            parts[String(match.1), default: []].append((number, file))
        }
        return parts.sorted { $0.key < $1.key }.map { stem, parts in
            let data = FileManager.default.contents(atPath: "\(spool)/\(stem).json")
            return (stem, data.flatMap { try? JSONDecoder().decode(UnfinishedRecord.self, from: $0) }, parts.sorted { $0.number < $1.number })
        }
    }

    // MARK: finished

    /// Two that publish at once must not note what they know under one name.
    private static let publishing = Mutex(())

    /// Gives a file its name in the folder; a number is added while the name is taken. Nobody ever sees half a file, and none is
    /// written over. What is known about it is noted first, so that whoever lists the file knows it as well.
    /// - Parameters:
    ///   - thumbnail: a JPEG; gone afterwards.
    ///   - stem: of the recording whose reserved room may be used where the disk is full.
    ///   - about: what is known about it under a name; `nil`: nothing is noted.
    /// - Returns: the name it got.
    func publish(
        _ file: String, thumbnail: String = "", stem: String? = nil, naming: (_ number: Int) -> String, about: (_ name: String) -> FinishedRecord?
    ) throws -> String {
        try Self.publishing.withLock { _ in
            for number in 1...100_000 {
                let name = naming(number)
                if access("\(path)/\(name)", F_OK) == 0 { continue }
                if let record = about(name) { note(record, thumbnail: thumbnail, stem: stem) }
                if link(file, "\(path)/\(name)") == 0 {
                    unlink(file)
                    return name
                }
                let code = errno
                if code == EEXIST { continue }
                do {
                    guard code == EPERM || code == EOPNOTSUPP || code == EMLINK else {
                        throw RecordingError.file("\(path)/\(name)", String(cString: strerror(code)))
                    }
                    if try claimAndRename(file, "\(path)/\(name)") { return name }
                } catch {
                    for ending in ["json", "jpg"] { unlink("\(notes)/\(shortened(name)).\(ending)") }
                    throw error
                }
            }
            throw RecordingError.file(path, "there are too many files of one name")
        }
    }

    /// The same on a file system without links: an empty file of our own takes the name, and only that is written over.
    /// - Returns: false when the name is taken.
    func claimAndRename(_ file: String, _ target: String) throws -> Bool {
        let claim = open(target, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o644)
        guard claim >= 0 else {
            if errno == EEXIST { return false }
            throw RecordingError.file(target, String(cString: strerror(errno)))
        }
        close(claim)
        guard rename(file, target) == 0 else {
            let code = errno
            unlink(target)
            throw RecordingError.file(target, String(cString: strerror(code)))
        }
        return true
    }

    private func note(_ record: FinishedRecord, thumbnail: String, stem: String?) {
        let about = "\(notes)/\(shortened(record.fileName))"
        let file = URL(fileURLWithPath: about + ".json")
        if let json = try? JSONEncoder().encode(record) {
            do { try json.write(to: file, options: .atomic) } catch {
                if let stem { release(stem: stem) }
                try? json.write(to: file, options: .atomic)
            }
        }
        if !thumbnail.isEmpty, rename(thumbnail, about + ".jpg") != 0 { unlink(thumbnail) }
    }

    func note(of name: String) -> String { "\(notes)/\(shortened(name)).json" }

    /// The name of a file with room for another ending; equal for equal names only by the rarest chance.
    private func shortened(_ name: String) -> String {
        guard name.utf8.count > 200 else { return name }
        let hash = name.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return String(hash, radix: 16)
    }

    public static let endings: Set<String> = ["mp4", "webm", "mkv"]

    /// The records, newest first, at most `limit`.
    public func list(limit: Int = 1000) -> [FinishedRecord] {
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).filter { name in
            !name.hasPrefix(".") && Self.endings.contains((name as NSString).pathExtension.lowercased())
        }
        let dated = names.compactMap { name -> (name: String, info: stat)? in
            var info = stat()
            guard stat("\(path)/\(name)", &info) == 0, info.st_mode & S_IFMT == S_IFREG else { return nil }
            return (name, info)
        }
        return dated.sorted { ($0.info.st_mtim.tv_sec, $0.name) > ($1.info.st_mtim.tv_sec, $1.name) }.prefix(limit).map { name, info in
            if let record = record(named: name) { return record }
            // Somebody else put it there.
            let time = Int64(info.st_mtim.tv_sec) * 1000
            var record = FinishedRecord(
                fileName: name, facts: RecordFacts(streamName: "", mediaSessionID: "", sessionID: "", login: ""), startTime: time, endTime: time)
            record.bytes = Int64(info.st_size)
            return record
        }
    }

    /// A small JPEG of a record's first picture.
    public func thumbnail(of name: String) -> [UInt8]? {
        guard !name.contains("/"), !name.hasPrefix(".") else { return nil }
        return FileManager.default.contents(atPath: "\(notes)/\(shortened(name)).jpg").map { Array($0) }
    }
}
