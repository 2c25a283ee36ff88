// SPDX-License-Identifier: Apache-2.0
// All voices in one: each sound track decoded, put in its place, added to the others and kept from clipping.
import Codecs
import Primitives

/// Stereo at 48 kHz. Owned by one mixer; one thread at a time.
final class SoundMix {
    static let rate = 48_000
    /// Of 100 ms; how loud each participant is, is told for each.
    static let window = 4_800
    /// A packet that lies this close to its predecessor's end follows it, samples: times in files are rounded. 15 ms.
    static let tolerance = 720

    /// One sound track while it is read.
    private final class Lane {
        let participant: Int
        /// Where others of the participant's tracks, which began later, have taken over, samples.
        private let replaced: [Range<Int64>]
        private let decoder: AudioDecoder
        private let resampler: Resampler
        /// The sample after the last one.
        private var end: Int64?
        private(set) var damaged = 0

        init(_ track: Demuxer.AudioTrack, participant: Int, replaced: [Range<Int64>]) throws(CodecError) {
            self.participant = participant
            self.replaced = replaced
            decoder = try AudioDecoder(track.codec, sampleRate: track.sampleRate, channels: track.channels, extradata: track.extradata)
            resampler = try Resampler(sampleRate: SoundMix.rate, channels: 2)
        }

        /// Decoded sound and the sample (of the whole) where it belongs.
        func decode(_ packet: EncodedPacket) -> [(start: Int64, samples: [Float])] {
            var pieces: [(start: Int64, samples: [Float])] = [], follows = false
            do throws(CodecError) {
                for frame in try decoder.decode(packet.bytes, timestamp: packet.timestamp) {
                    let sound = try resampler.convert(frame)
                    let place = MediaTime(microseconds: packet.timestamp).ticks(clockRate: SoundMix.rate)
                    // Several frames of one packet follow each other.
                    let start = end.map { abs($0 - place) <= Int64(SoundMix.tolerance) || follows ? $0 : place } ?? place
                    follows = true
                    if !replaced.contains(where: { $0.contains(start) }) { pieces.append((start, sound.samples)) }
                    end = start + Int64(sound.sampleCount)
                }
            } catch {
                damaged += 1
            }
            return pieces
        }
    }

    private var lanes: [Int: Lane] = [:]
    private let participants: Int
    private var limiter = Limiter()
    /// Samples given to the limiter so far.
    private var position: Int64 = 0
    /// What lies beyond, interleaved; and each participant's energy in each window from the one that holds `position` on.
    private var ahead: [Float] = []
    private var energy: [Int64: [Float]] = [:]
    private(set) var unreadable = 0

    init(_ file: RoomFile) {
        participants = file.participants.count
        for (number, participant) in file.participants.enumerated() {
            for track in participant.sounds {
                guard case .audio(let audio) = file.tracks[track].media else { continue }
                let replaced = Self.successors(of: track, of: participant, in: file)
                if let lane = try? Lane(audio, participant: number, replaced: replaced) { lanes[track] = lane } else { unreadable += 1 }
            }
        }
    }

    /// A stream whose tracks change goes on in a new track of the record, which begins with what its old one ends with.
    private static func successors(of track: Int, of participant: Participant, in file: RoomFile) -> [Range<Int64>] {
        participant.sounds.filter { (file.tracks[$0].span.lowerBound, $0) > (file.tracks[track].span.lowerBound, track) }.map {
            let span = file.tracks[$0].span
            return span.lowerBound.ticks(clockRate: rate)..<span.upperBound.ticks(clockRate: rate)
        }
    }

    var damagedPackets: Int { lanes.values.reduce(0) { $0 + $1.damaged } }

    func take(_ packet: Demuxer.Packet) {
        guard let lane = lanes[packet.track] else { return }
        for piece in lane.decode(packet.packet) { add(piece.samples, at: piece.start, of: lane.participant) }
    }

    private func add(_ samples: [Float], at start: Int64, of participant: Int) {
        // What is earlier than what has been given out already is lost; files in order have none.
        let skipped = max(0, position - start)
        let first = start + skipped, count = Int64(samples.count / 2) - skipped
        guard count > 0 else { return }
        let place = Int(first - position) * 2
        let needed = place + Int(count) * 2
        if ahead.count < needed { ahead += [Float](repeating: 0, count: needed - ahead.count) }
        var index = 0
        while index < Int(count) {
            let window = (first + Int64(index)) / Int64(Self.window)
            let stop = min(Int(count), Int((window + 1) * Int64(Self.window) - first))
            var sum: Float = 0
            for sample in 2 * index..<2 * stop {
                let value = samples[Int(skipped) * 2 + sample]
                guard value.isFinite else { continue }
                ahead[place + sample] += value
                sum += value * value
            }
            energy[window, default: Array(repeating: 0, count: participants)][participant] += sum
            index = stop
        }
    }

    /// Gives the sound up to a sample, as many as there are since the last call (the limiter's look-ahead late), and silence where
    /// nobody said anything.
    func give(to end: Int64) -> [Float] {
        let count = max(0, end - position)
        let size = Int(count) * 2
        if ahead.count < size { ahead += [Float](repeating: 0, count: size - ahead.count) }
        let piece = Array(ahead[..<size])
        ahead.removeFirst(size)
        position += count
        return limiter.process(piece)
    }

    func finish() -> [Float] { limiter.finish() }

    /// Loudness (root mean square) of each participant in a window, which is forgotten then.
    func loudness(of window: Int64) -> [Float] {
        let sums = energy.removeValue(forKey: window) ?? Array(repeating: 0, count: participants)
        return sums.map { ($0 / Float(2 * Self.window)).squareRoot() }
    }
}
