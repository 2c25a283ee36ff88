// SPDX-License-Identifier: Apache-2.0
// One file while it is being recorded: takes samples in about the right order and puts them on the disk once a second.
// Inside the worker; owned by RecordingJob.
import Codecs
import Foundation
import Primitives

/// Not Sendable: its job's thread only.
final class RecordingPart {
    /// What would be lost if the machine stopped now.
    static let flushPeriod = TimeSpan.seconds(1)

    let number: Int
    let file: String
    /// On the server's clock; the file's time 0.
    let origin: Instant
    private let folder: String
    /// `nil` once it has been ended.
    private var muxer: Muxer?
    /// Bytes of the file that are whole fragments.
    private var wholeSize: Int64 = 0
    private let soundIndex: Int?
    private let pictureIndex: Int?
    private var pictures: [RecordedSample] = []
    private var decodingTimes: DecodingTimes
    /// What is to be written, with the time by which it is put in order, microseconds.
    private var pending: [(time: Int64, sample: RecordedSample)] = []
    private var nextFlush: Instant

    /// - Parameter now: by the arrivals.
    init(
        number: Int, order: RecordingOrder, container: MediaContainer, picture: MuxerTrack?, sound: MuxerTrack?, origin: Instant, now: Instant
    ) throws {
        self.number = number
        self.origin = origin
        let mayReorder = if case .video(.h264, _, _, _, _) = picture?.kind { true } else { false }
        decodingTimes = DecodingTimes(mayReorder: mayReorder)
        folder = order.folder
        file = "\(order.stem)-\(number).\(container.fileExtension)"
        let path = order.folder + "/" + file
        do {
            muxer = try Muxer(
                path: path, container: container, tracks: [picture, sound].compactMap { $0 },
                metadata: order.title.isEmpty ? [:] : ["title": order.title])
        } catch {
            unlink(path)
            throw error
        }
        pictureIndex = picture == nil ? nil : 0
        soundIndex = sound == nil ? nil : picture == nil ? 0 : 1
        nextFlush = now + Self.flushPeriod
    }

    var size: Int64 { muxer?.size ?? wholeSize }

    func take(_ samples: [RecordedSample]) {
        for sample in samples {
            if sample.kind == .picture { pictures.append(sample) } else { pending.append((sample.time, sample)) }
        }
    }

    /// Puts what lies before a time (µs) onto the disk, so that a long filler is not held in memory.
    func writeOut(before limit: Int64) throws {
        try write(before: limit)
        try muxer?.flush()
        wholeSize = size
    }

    /// Once a second: everything so far onto the disk. True when it did.
    func flushIfDue(_ now: Instant) throws -> Bool {
        guard now >= nextFlush, !pending.isEmpty || !pictures.isEmpty else { return false }
        nextFlush = now + Self.flushPeriod
        try write()
        try muxer?.flush()
        wholeSize = size
        return true
    }

    /// Completes the file, but for an index in front.
    func finish() throws {
        try write(isLast: true)
        try muxer?.finish()
        muxer = nil
    }

    /// The disk takes no more: what is not whole is cut off, so that the rest can be played.
    func abandon() {
        muxer = nil
        truncate("\(folder)/\(file)", off_t(wholeSize))
    }

    /// Bytes free where it lies.
    var free: Int64 { RecordFolder.free(at: folder) }

    private func write(before limit: Int64 = .max, isLast: Bool = false) throws {
        pending += decodingTimes.take(pictures, isLast: isLast).map { ($0.decoding, $0.picture) }
        pictures = []
        let samples = pending.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(\.element)
        let count = limit == .max ? samples.count : samples.firstIndex { $0.time >= limit } ?? samples.count
        pending = Array(samples[count...])
        for (time, sample) in samples[..<count] {
            guard let index = sample.kind == .picture ? pictureIndex : soundIndex else { continue }
            try muxer?.write(track: index, sample.bytes, time: sample.time, decoding: time, duration: sample.duration, isKeyFrame: sample.isKeyFrame)
        }
    }
}
