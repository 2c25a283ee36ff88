// SPDX-License-Identifier: Apache-2.0
// The sound of a recording: packets in, samples in their places out; passed through as Opus or transcoded. Inside the worker;
// owned by RecordingJob.
import Codecs
import Primitives
import RTP

/// One audio track. Not Sendable: its job's thread only.
final class SoundLane {
    /// What the file gets.
    enum Target { case opus, aac }

    private struct Waiting {
        var timestamp: UInt32
        /// By then it was whole: it can't have been made later.
        var arrival: Instant
        var bytes: [UInt8]
    }
    private enum Way {
        case pass(OpusTimeline)
        case encode(SoundTimeline, AudioEncoder)
    }

    /// A packet that is missing is waited for by this much.
    static let patience = TimeSpan.milliseconds(500)
    /// Bit/s for each channel of AAC, and of Opus where it is made here.
    static let bitratePerChannel = 64_000

    let track: Int
    private let codec: AudioCodec
    private let channels: Int
    private let decoder: AudioDecoder?
    private let resampler: Resampler?
    private var assembler: FrameAssembler
    private var waiting: [Waiting] = []
    private var way: Way?
    /// Time 0 of the file.
    private var origin = Instant.zero
    private var bound = ArrivalBound()
    /// Where the next packet is expected to begin.
    private var nextMedia: MediaTime?
    private(set) var undecodable = 0
    /// Where the file's audio ends, microseconds.
    private(set) var end: Int64 = 0
    /// Where the audio ended when `drain` last stopped at a gap.
    private var gapEnd: Int64?
    /// By as much as this a packet may begin late and still follow on: it is rounding of the clock.
    private static let rounding = TimeSpan.milliseconds(1)

    /// - Parameters:
    ///   - header: AAC: the AudioSpecificConfig.
    ///   - aac: how AAC lies in its packets.
    /// - Throws: `CodecError` when the codec is not one that can be recorded.
    init(track: Int, codec kind: CodecKind, clockRate: Int, channels: Int, header: [UInt8] = [], aac: AACPayloadFormat = AACPayloadFormat()) throws {
        guard let codec = AudioCodec(kind), let assembler = FrameAssembler(codec: kind, maximumPackets: 256, patience: Self.patience, aac: aac) else {
            throw CodecError.invalid("Sound in \(kind.encodingName) can't be recorded.")
        }
        self.track = track
        self.codec = codec
        self.channels = codec.maximumChannels == 1 || codec == .aac && channels == 1 ? 1 : 2
        self.assembler = assembler
        decoder = try AudioDecoder(codec, sampleRate: codec == .aac ? clockRate : nil, channels: self.channels, extradata: header)
        resampler = try Resampler(sampleRate: Int(SampleTime.rate), channels: self.channels)
    }

    /// Something waits.
    var isReady: Bool { !waiting.isEmpty }
    /// Frames whose time could not be true.
    var corrections: Int { bound.corrections }

    func push(_ packet: RTPView, at arrival: Instant) { keep(assembler.push(packet, at: arrival), at: arrival) }
    func advance(to now: Instant) { keep(assembler.advance(to: now), at: now) }

    private func keep(_ frames: [EncodedFrame], at arrival: Instant) {
        for frame in frames { waiting.append(Waiting(timestamp: frame.timestamp, arrival: arrival, bytes: frame.bytes)) }
    }

    /// When the packet that waits first was made.
    func firstTime(_ timeline: inout StreamTimeline) -> Instant? {
        waiting.first.flatMap { first in
            timeline.place(first.timestamp, track: track).time.map { bound.place($0, arrival: first.arrival) }
        }
    }

    /// Begins a file whose time 0 is `origin`; what the muxer has to know.
    func begin(_ target: Target, origin: Instant) throws -> MuxerTrack {
        end = 0
        gapEnd = nil
        nextMedia = nil
        self.origin = origin
        if target == .opus, codec == .opus {
            way = .pass(OpusTimeline())
            return MuxerTrack(.audio(.opus, sampleRate: 48_000, channels: 2, header: MuxerTrack.opusHead(channels: 2)))
        }
        let encoder = try AudioEncoder(.init(
            codec: target == .aac ? .aac : .opus, channels: channels, bitrate: Self.bitratePerChannel * channels))
        way = .encode(SoundTimeline(channels: channels), encoder)
        return MuxerTrack(.audio(encoder.configuration.codec, sampleRate: 48_000, channels: channels, header: encoder.extradata))
    }

    /// What has come since the last call, placed; up to a gap longer than `fillStep`, which is to be filled before what comes behind it.
    /// - Returns: `gap`: where what still waits begins. `nil`: all is placed.
    func drain(_ timeline: inout StreamTimeline) throws -> (samples: [RecordedSample], gap: Instant?) {
        var samples: [RecordedSample] = []
        let packets = waiting
        waiting = []
        for (index, packet) in packets.enumerated() {
            let (media, made) = timeline.place(packet.timestamp, track: track)
            guard let time = made.map({ bound.place($0, arrival: packet.arrival) }) else { continue }
            // Once only for each end: where silence didn't bring it nearer, the packet follows on as it is.
            if time.span(since: origin) > TimeSpan.microseconds(end) + Self.fillStep, gapEnd != end {
                gapEnd = end
                waiting = Array(packets[index...])
                return (samples, time)
            }
            switch way {
            case .pass(var opus):
                let followsOn = nextMedia.map { media - $0 <= Self.rounding } ?? false
                nextMedia = media + SampleTime.span(of: OpusPacket.samples(packet.bytes))
                let pieces = opus.lay(packet.bytes, at: time.span(since: origin), followsOn: followsOn)
                way = .pass(opus)
                samples += note(pieces)
            case .encode: samples += try encode(packet.bytes, media: media, time: time)
            case nil: break
            }
        }
        return (samples, nil)
    }

    /// How much silence is made in one go.
    static let fillStep = TimeSpan.seconds(10)

    /// Silence up to a time: nothing has come, or nothing will. At most `fillStep` of it: called again until nothing comes back.
    func fill(to limit: Instant) throws -> [RecordedSample] {
        let time = min(limit.span(since: origin), TimeSpan.microseconds(end) + Self.fillStep)
        switch way {
        case .pass(var opus):
            let pieces = opus.fill(to: time)
            way = .pass(opus)
            return note(pieces)
        case .encode(var sound, let encoder):
            let start = sound.position
            let silence = sound.fill(to: time)
            way = .encode(sound, encoder)
            return try encode(silence, from: start, with: encoder)
        case nil: return []
        }
    }

    /// Nothing more comes: what waits for missing packets goes without them.
    func stopWaiting(at now: Instant) { keep(assembler.finish(), at: now) }

    /// Ends the file; the rest of what is inside the encoder. What has not been drained is left to the next file.
    func finish() throws -> [RecordedSample] {
        defer { way = nil }
        guard case .encode(let sound, let encoder) = way else { return [] }
        let last = SampleTime.microseconds(sound.position)
        let rest = [Float](repeating: 0, count: (encoder.packetSamples + encoder.delay) * channels)
        return try encode(rest, from: sound.position, with: encoder).filter { $0.time < last }
    }

    private func note(_ pieces: [OpusTimeline.Piece]) -> [RecordedSample] {
        pieces.map { piece in
            end = SampleTime.microseconds(piece.position + piece.samples)
            let time = SampleTime.microseconds(piece.position)
            return RecordedSample(kind: .sound, time: time, duration: end - time, isKeyFrame: true, bytes: piece.bytes)
        }
    }

    private func encode(_ packet: [UInt8], media: MediaTime, time: Instant) throws -> [RecordedSample] {
        guard case .encode(var sound, let encoder) = way, let decoder, let resampler else { return [] }
        let frames: [AudioFrame]
        do { frames = try decoder.decode(packet, timestamp: 0) } catch {
            // What can't be decoded is missing, like what never came.
            undecodable += 1
            return []
        }
        var samples: [RecordedSample] = []
        var media = media, time = time
        for frame in frames {
            let length = TimeSpan(ticks: Int64(frame.sampleCount), clockRate: frame.sampleRate)
            let missing = nextMedia.map { media - $0 } ?? .zero
            nextMedia = media + length
            let converted = try resampler.convert(frame)
            let start = sound.position
            let laid = sound.lay(
                converted.samples, at: time.span(since: origin), missing: missing > Self.rounding ? SampleTime.samples(in: missing) : 0)
            way = .encode(sound, encoder)
            samples += try encode(laid, from: start, with: encoder)
            media = media + length
            time = time + length
        }
        return samples
    }

    private func encode(_ sound: [Float], from start: Int64, with encoder: AudioEncoder) throws -> [RecordedSample] {
        guard !sound.isEmpty else { return [] }
        let frame = AudioFrame(samples: sound, channels: channels, sampleRate: Int(SampleTime.rate), timestamp: start)
        return try encoder.encode(frame).compactMap { packet in
            let time = SampleTime.microseconds(packet.timestamp - Int64(encoder.delay))
            let duration = SampleTime.microseconds(packet.duration)
            // The first packet of AAC decodes to what was before the beginning.
            guard time + duration > 0 else { return nil }
            end = max(0, time) + duration
            return RecordedSample(kind: .sound, time: max(0, time), duration: duration, isKeyFrame: true, bytes: packet.bytes)
        }
    }
}

extension AudioCodec {
    init?(_ kind: CodecKind) {
        switch kind {
        case .opus: self = .opus
        case .pcmu: self = .pcmu
        case .pcma: self = .pcma
        case .g722: self = .g722
        case .aac: self = .aac
        default: return nil
        }
    }
}
