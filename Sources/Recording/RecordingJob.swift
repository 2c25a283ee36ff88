// SPDX-License-Identifier: Apache-2.0
// A recording inside the worker: takes what a tap has seen, puts it in its place in time, writes files. Begins once it is known
// how sound and picture lie to each other.
import Codecs
import Foundation
import MediaIO
import Primitives
import RTP
import Workers

/// The job kind "record". Lives on one thread.
final class RecordingJob: WorkerHandler {
    static let name = "record"
    /// Sender reports and a key frame are waited for by this much before the file is begun without.
    static let reportPatience = TimeSpan.seconds(3)
    /// The publisher's clock is held against ours for so long, so that a busy beginning does not displace the whole file. Not where a
    /// recording goes on after its worker has died.
    static let settlingTime = TimeSpan.milliseconds(1500)
    /// The same as for reports for the first key frame where there is sound to begin with.
    static let keyFramePatience = TimeSpan.seconds(10)
    /// Sound that is this late is not coming; the file goes on with silence.
    static let silencePatience = TimeSpan.seconds(2)
    /// Bytes gathered at most before the file is begun.
    static let maximumGathered = 64 << 20
    /// Key frames are asked for this often at most.
    static let keyFrameGap = TimeSpan.seconds(1)

    private let order: RecordingOrder
    private var timeline: StreamTimeline
    private let sound: SoundLane?
    private let picture: PictureLane?
    private var part: RecordingPart?
    private var nextPart: Int
    private var hasSound = false, hasPicture = false
    private var gathered = 0
    private var firstArrival: Instant?
    /// The newest arrival: the only clock here.
    private var now = Instant.zero
    private var lastKeyFrameRequest: Instant?
    private var isOver = false

    static func kind() -> WorkerJobKind {
        WorkerJobKind(name: name) { parameters, _ in try RecordingJob(try RecordingOrder(decoding: parameters)) }
    }

    init(_ order: RecordingOrder) throws {
        self.order = order
        nextPart = order.firstPart
        timeline = StreamTimeline(clockRates: order.tracks.map(\.clockRate), weighsArrivals: order.weighsArrivals)
        var sound: SoundLane?, picture: PictureLane?
        for (index, track) in order.tracks.enumerated() {
            if track.codec.isVideo, picture == nil {
                picture = try PictureLane(track: index, codec: track.codec, parameterSets: Self.annexB(track.parameterSets))
            } else if !track.codec.isVideo, sound == nil {
                sound = try SoundLane(
                    track: index, codec: track.codec, clockRate: track.clockRate, channels: track.channels,
                    header: track.codec == .aac ? track.parameterSets.flatMap { AudioSpecificConfig.bytes(ofParameter: $0) } ?? [] : [], aac: track.aac)
            }
        }
        (self.sound, self.picture) = (sound, picture)
        guard sound != nil || picture != nil else { throw WorkerError.failed("the stream has nothing that can be recorded") }
    }

    // MARK: input

    func receive(_ input: [UInt8], output: WorkerOutput) throws {
        guard !isOver else { return }
        var rest = input[...]
        while let record = TapRecord.next(in: &rest) { take(record) }
        sound?.advance(to: now)
        picture?.advance(to: now)
        if part == nil {
            gathered += input.count
            guard isReadyToBegin else { return askForKeyFrame(output) }
        }
        try guardingDisk(output) {
            if part == nil { try begin(output) }
            if part != nil { try goOn(output) }
        }
        askForKeyFrame(output)
    }

    func finish(output: WorkerOutput) throws {
        guard !isOver else { return }
        try guardingDisk(output) {
            if part == nil { try begin(output) }
            try endPart(.finished, output)
        }
    }

    private func take(_ record: TapRecord) {
        guard order.tracks.indices.contains(record.track) else { return }
        let arrival = record.arrival
        now = max(now, arrival)
        if firstArrival == nil { firstArrival = arrival }
        switch record.content {
        case .report(let ntp, let timestamp):
            timeline.report(ntp: ntp, timestamp: timestamp, track: record.track, arrival: arrival)
        case .restart: timeline.restart()
        case .packet(let orientation, _, let rtp):
            rtp.withUnsafeBytes { bytes in
                guard let view = RTPView(bytes) else { return }
                timeline.note(view.timestamp, track: record.track, arrival: arrival)
                if record.track == sound?.track { sound?.push(view, at: arrival) }
                if record.track == picture?.track { picture?.push(view, orientation: orientation, at: arrival) }
            }
        }
    }

    private func askForKeyFrame(_ output: WorkerOutput) {
        // Also for the next part to begin with.
        let isPartFull = hasPicture && part.map(isFull) ?? false
        guard let picture, picture.wantsKeyFrame || isPartFull || (part == nil && !picture.isReady) else { return }
        if let lastKeyFrameRequest, now.span(since: lastKeyFrameRequest) < Self.keyFrameGap { return }
        lastKeyFrameRequest = now
        output.send(RecordingReport.keyFrameWanted.encoded)
    }

    // MARK: files

    /// Everything is there that places sound and picture rightly, or has been waited for long enough.
    private var isReadyToBegin: Bool {
        guard let firstArrival else { return false }
        if gathered > Self.maximumGathered { return true }
        let waited = now.span(since: firstArrival)
        let tracks = [sound?.track, picture?.track].compactMap { $0 }
        let isPictureReady = picture?.isReady ?? true
        let isSoundReady = sound?.isReady ?? true
        if isPictureReady, isSoundReady, tracks.allSatisfy({ timeline.hasReports(of: $0) }) {
            return waited >= Self.settlingTime || order.firstPart > 1
        }
        if isPictureReady { return waited >= Self.reportPatience }
        return waited >= Self.keyFramePatience && sound?.isReady == true
    }

    private func begin(_ output: WorkerOutput) throws {
        let pictureTrack = picture?.begin()
        // Sound that was agreed on may still come; the file has a place for it. Without either there is nothing to begin.
        guard pictureTrack != nil || sound?.isReady == true else { return }
        timeline.settle()
        let pictureTime = pictureTrack == nil ? nil : picture?.firstTime(&timeline)
        let soundTime = sound?.firstTime(&timeline)
        guard let earliest = [pictureTime, soundTime].compactMap({ $0 }).min() else { return }
        try begin(pictureTrack, origin: nextPart == 1 ? order.origin ?? earliest : earliest, output)
        guard let part, order.origin != nil, part.number == 1 else { return }
        // Until the first of its own media a synchronised file shows and sounds nothing.
        if hasPicture, let picture { part.take(try picture.padding(&timeline, origin: part.origin)) }
        if hasSound, let sound, let soundTime { try fill(part, with: sound, to: soundTime, output) }
    }

    private func begin(_ pictureTrack: MuxerTrack?, origin: Instant, _ output: WorkerOutput) throws {
        let container = order.formats.container(for: pictureTrack == nil ? nil : picture?.codec)
        let soundTrack = try sound?.begin(order.formats.sound(for: container), origin: origin)
        hasPicture = pictureTrack != nil
        hasSound = soundTrack != nil
        let part = try RecordingPart(
            number: nextPart, order: order, container: container, picture: pictureTrack, sound: soundTrack, origin: origin, now: now)
        nextPart += 1
        self.part = part
        output.send(RecordingReport.began(part: part.number, file: part.file, time: origin).encoded)
    }

    /// All audio that has come, with silence in steps before what comes after a long pause.
    private func drain(_ part: RecordingPart, _ sound: SoundLane, _ output: WorkerOutput) throws {
        while true {
            let (samples, gap) = try sound.drain(&timeline)
            part.take(samples)
            guard let gap else { return }
            try fill(part, with: sound, to: gap, output)
        }
    }

    /// Silence of any length, a step at a time: written out as it is made, with signs of life in between.
    private func fill(_ part: RecordingPart, with sound: SoundLane, to time: Instant, _ output: WorkerOutput) throws {
        while true {
            let samples = try sound.fill(to: time)
            guard !samples.isEmpty else { return }
            part.take(samples)
            guard samples.count > 64 else { continue }
            try part.writeOut(before: sound.end)
            output.signOfLife()
        }
    }

    private func goOn(_ output: WorkerOutput) throws {
        guard var part else { return }
        // Pictures that come only now, or a part that is long enough: the next file begins with the key frame that waits.
        if let picture, let key = picture.keyFrameTimestamp, !hasPicture || isFull(part) {
            try endPart(.rotated, before: key, output)
            guard let time = picture.keyFrameTime(&timeline), let track = picture.begin() else { return }
            try begin(track, origin: time, output)
            guard let next = self.part else { return }
            part = next
        } else if !hasPicture, picture == nil, isFull(part) {
            try endPart(.rotated, output)
            guard let sound else { return }
            try begin(nil, origin: sound.firstTime(&timeline) ?? part.origin + TimeSpan.microseconds(sound.end), output)
            guard let next = self.part else { return }
            part = next
        }
        if hasPicture, let picture { part.take(picture.drain(&timeline, origin: part.origin)) }
        if hasSound, let sound {
            try drain(part, sound, output)
            try fill(part, with: sound, to: now - Self.silencePatience, output)
        }
        if try part.flushIfDue(now), order.minimumFree > 0, part.free < order.minimumFree {
            try endPart(.diskFull, output, reason: "fewer than \(order.minimumFree >> 20) MB are free")
            isOver = true
        }
    }

    private func isFull(_ part: RecordingPart) -> Bool {
        (order.maximumBytes > 0 && part.size >= order.maximumBytes)
            || (order.maximumMilliseconds > 0 && now.span(since: part.origin).milliseconds >= order.maximumMilliseconds)
    }

    private func endPart(
        _ end: RecordingReport.End, before stop: UInt32? = nil, _ output: WorkerOutput, reason: String = ""
    ) throws {
        guard let part else { return }
        self.part = nil
        if hasSound, let sound {
            if end == .finished { sound.stopWaiting(at: now) }
            try drain(part, sound, output)
            part.take(try sound.finish())
        }
        if hasPicture, let picture { part.take(picture.finish(&timeline, origin: part.origin, before: stop, now: now, end: sound?.end ?? 0)) }
        try part.finish()
        report(part, end, reason, output)
    }

    private func report(_ part: RecordingPart, _ end: RecordingReport.End, _ reason: String, _ output: WorkerOutput) {
        let size = (hasPicture ? picture?.largest : nil) ?? (width: 0, height: 0)
        output.send(RecordingReport.ended(part: part.number, end, width: size.width, height: size.height, reason: reason).encoded)
    }

    /// A disk that takes no more ends the recording, not the worker; what is on it stays playable.
    private func guardingDisk(_ output: WorkerOutput, _ body: () throws -> Void) throws {
        let current = part
        do { try body() } catch let error as CodecError {
            guard case .failed = error else { throw error }
            guard let part = part ?? current else {
                // Not even the beginning of a file has room.
                guard error.isDiskFull else { throw error }
                isOver = true
                return output.send(RecordingReport.ended(part: nextPart, .diskFull, width: 0, height: 0, reason: "\(error)").encoded)
            }
            self.part = nil
            isOver = true
            part.abandon()
            report(part, .diskFull, "\(error)", output)
        }
    }

    static func annexB(_ parameterSets: String?) -> [UInt8] {
        (parameterSets ?? "").split(separator: ",").prefix(32).flatMap { part -> [UInt8] in
            Data(base64Encoded: String(part)).map { [0, 0, 0, 1] + $0 } ?? []
        }
    }
}
