// SPDX-License-Identifier: Apache-2.0
// Mixes a record of several streams into one picture and one sound. Works in slices of half a second: while one is encoded, the
// next is read, decoded by all cores and drawn.
import Codecs
import Foundation
import Primitives

public struct Mixer: Sendable {
    public struct Report: Sendable, Equatable {
        public var summary = MediaSummary()
        /// Names of those who are in it, in the order in which they came.
        public var participants: [String] = []
        /// What was left out, in words.
        public var warnings: [String] = []
        /// A small JPEG.
        public var thumbnail: [UInt8]?
    }

    let file: RoomFile
    let settings: MixSettings
    /// `nil`: none.
    var timeLimit: Duration?
    private let hasPictures: Bool
    private let hasSound: Bool

    /// Reads the record once, to know who is in it and when.
    /// - Throws: `.file`, `.settings`.
    public init(_ path: String, _ settings: MixSettings) throws(MixError) {
        file = try RoomFile(path)
        self.settings = settings
        timeLimit = settings.timeLimit > 0 ? .seconds(60 * settings.timeLimit) : nil
        // People who only speak are seen by their names.
        hasPictures = settings.hasVideo && file.participants.contains { !$0.pictures.isEmpty }
        hasSound = settings.hasAudio && file.participants.contains { !$0.sounds.isEmpty }
        guard hasPictures || hasSound else {
            guard settings.hasVideo || settings.hasAudio else { throw .settings("\"hasVideo\" and \"hasAudio\" are both false: nothing is left to mix.") }
            throw .file("The file \(path) has no \(settings.hasVideo ? "pictures" : "sound") to mix.")
        }
    }

    public var duration: TimeSpan { file.end - .zero }

    /// Writes the mixed file. What is unfinished is `target` + ".part" meanwhile, and gone afterwards.
    ///
    /// - Parameter progress: told now and then what part is done, 0…1.
    /// - Throws: `.failed`, `.output`, `.file`; `CancellationError`.
    public func mix(to target: String, progress: @escaping @Sendable (Double) -> Void = { _ in }) async throws -> Report {
        let part = target + ".part"
        defer { unlink(part) }
        let damage = try await writePart(part, progress)
        var report = Report()
        do throws(CodecError) {
            var thumbnail: [UInt8]?
            report.summary = try MediaFinisher.finish(
                part, as: target, container: .mp4, size: hasPictures ? (settings.width, settings.height) : nil) { thumbnail = $0.bytes }
            report.thumbnail = thumbnail
        } catch {
            throw MixError.output("\(error)")
        }
        for participant in file.participants {
            let name = Composer.name(of: participant, .login)
            if !name.isEmpty, !report.participants.contains(name) { report.participants.append(name) }
        }
        if file.isCutOff { report.warnings.append("The record is cut off; it is mixed up to there.") }
        if damage.tracks > 0 { report.warnings.append("\(damage.tracks) of its tracks can't be decoded here and are left out.") }
        if damage.large > 0 {
            report.warnings.append(
                "The video of \(damage.large) of its tracks has more than \(settings.maximumInputPixels) pixels (mixerMaxInputPixels) and is left out.")
        }
        if damage.packets > 0 { report.warnings.append("\(damage.packets) damaged packets are left out.") }
        return report
    }

    // MARK: slices

    /// What is left out; `large`: tracks of frames that are larger than allowed.
    private struct Damage { var packets = 0, tracks = 0, large = 0 }

    private func writePart(_ part: String, _ progress: @escaping @Sendable (Double) -> Void) async throws -> Damage {
        let threads = min(16, settings.threads > 0 ? settings.threads : ProcessInfo.processInfo.activeProcessorCount)
        let scenes = hasPictures ? Scene.all(of: file, settings) : []
        let composer = hasPictures ? try Composer(scenes, file, settings) : nil
        let writer: MixWriter
        do throws(CodecError) {
            writer = try MixWriter(part, settings, hasPictures: hasPictures, hasSound: hasSound, threads: threads)
        } catch {
            throw MixError.failed("\(error)")
        }
        var damage = Damage()
        var tracks: [Int: PictureTrack] = [:]
        for participant in file.participants where hasPictures {
            for track in participant.pictures {
                guard case .video(let video) = file.tracks[track].media else { continue }
                guard video.width * video.height <= settings.maximumInputPixels else {
                    damage.large += 1
                    continue
                }
                if let made = try? PictureTrack(video, maximumPixels: settings.maximumInputPixels) { tracks[track] = made } else { damage.tracks += 1 }
            }
        }
        let sound = SoundMix(file)
        var reader = try SliceReader(file)
        var detector = SpeakerDetector(threshold: settings.silenceThreshold)
        var speakers: [Int?] = []
        let rate = settings.frameRate, step = max(1, Int64(rate / 2))
        let total = max(1, (file.end.microseconds * Int64(rate) + 500_000) / 1_000_000)
        var tick: Int64 = 0
        let deadline = timeLimit.map { ContinuousClock.now + $0 }
        var encoding: Task<Void, any Error>?
        do {
            while tick < total {
                try Task.checkCancellation()
                if let deadline, ContinuousClock.now > deadline {
                    throw MixError.failed(
                        "Mixing took longer than \(settings.timeLimit) minutes (mixerTimeLimitMinutes); \(tick * 100 / total) % were done.")
                }
                let last = min(total, tick + step)
                let times = (tick..<last).map { MediaTime(ticks: $0, clockRate: rate) }
                let end = MediaTime(ticks: last, clockRate: rate), samplesEnd = end.ticks(clockRate: SoundMix.rate)
                let slice = reader.packets(before: end)
                for packet in slice.sound where hasSound || settings.marksSpeaker { sound.take(packet) }
                var samples = sound.give(to: samplesEnd)
                // What the limiter looked ahead by comes with the next slice; the last one brings the rest.
                if last == total { samples += sound.finish() }
                let windows = samplesEnd / Int64(SoundMix.window)
                while Int64(speakers.count) < windows { speakers.append(detector.next(sound.loudness(of: Int64(speakers.count)))) }
                var frames: [VideoFrame] = []
                if let composer {
                    frames = try await compose(times, end, slice.pictures, tracks, scenes, composer, settings.marksSpeaker ? speakers : [])
                }
                try await encoding?.value
                let (pictures, voices) = (frames, hasSound ? samples : [])
                encoding = Task { try await writer.write(pictures, voices) }
                tick = last
                progress(Double(tick) / Double(total))
            }
            try await encoding?.value
            try await writer.finish()
        } catch let error as CodecError {
            _ = try? await encoding?.value
            if case .failed(let operation, _) = error, operation.contains(part) { throw MixError.output("\(error)") }
            throw MixError.failed("\(error)")
        } catch {
            _ = try? await encoding?.value
            throw error
        }
        for track in tracks.values { damage.packets += await track.damaged }
        damage.packets += sound.damagedPackets
        damage.tracks += sound.unreadable
        return damage
    }

    /// The pictures of the result at `times`; all tracks are decoded at once.
    private func compose(
        _ times: [MediaTime], _ end: MediaTime, _ packets: [Int: [EncodedPacket]], _ tracks: [Int: PictureTrack], _ scenes: [Scene], _ composer: Composer,
        _ speakers: [Int?]
    ) async throws -> [VideoFrame] {
        let sceneNumbers = times.map { time in scenes.firstIndex { $0.span.contains(time) } }
        var moments: [Int: [PictureTrack.Moment?]] = [:]
        for track in tracks.keys { moments[track] = Array(repeating: nil, count: times.count) }
        // Which track shows each participant at each moment.
        var shown: [[Int: Int]] = Array(repeating: [:], count: times.count)
        for (index, time) in times.enumerated() {
            guard let number = sceneNumbers[index] else { continue }
            for seat in scenes[number].seats {
                guard let track = file.participants[seat.participant].pictures.last(where: { isShown($0, at: time) }), tracks[track] != nil
                else { continue }
                moments[track]?[index] = PictureTrack.Moment(time: time, tile: seat.tile)
                shown[index][seat.participant] = track
            }
        }
        let wanted = moments
        let decoded = await withTaskGroup(of: (Int, [VideoFrame?]).self) { group in
            for (number, track) in tracks {
                group.addTask { (number, await track.pictures(packets[number] ?? [], at: wanted[number] ?? [], upTo: end)) }
            }
            return await group.reduce(into: [Int: [VideoFrame?]]()) { $0[$1.0] = $1.1 }
        }
        return try times.indices.map { index in
            var pictures: [Int: VideoFrame] = [:]
            for (participant, track) in shown[index] { pictures[participant] = decoded[track]?[index] }
            let window = Int(times[index].ticks(clockRate: SoundMix.rate) / Int64(SoundMix.window))
            return try composer.compose(
                scene: sceneNumbers[index], pictures: pictures, speaker: speakers.indices.contains(window) ? speakers[window] : speakers.last ?? nil,
                timestamp: times[index].ticks(clockRate: 90_000))
        }
    }

    private func isShown(_ track: Int, at time: MediaTime) -> Bool {
        let span = file.tracks[track].span
        // Between two parts of a stream the last picture of the first stays.
        return span.lowerBound <= time && time < span.upperBound + RoomFile.absence
    }
}
