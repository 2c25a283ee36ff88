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
        var bytes: [UInt8]
    }
    private enum Way {
        case pass(OpusTimeline)
        case encode(SoundTimeline, AudioEncoder)
    }

    /// A packet that is missing is waited for by this much.
    static let patience = Duration.milliseconds(500)
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
    /// Where the next packet is expected to begin, ns of media time.
    private var nextMedia: Int64?
    private(set) var undecodable = 0
    /// Held back so that the last one is known for the last.
    private(set) var end: Int64 = 0

    /// - Parameter header: AAC: the AudioSpecificConfig.
    /// - Throws: `CodecError` when the codec is not one that can be recorded.
    init(track: Int, codec kind: CodecKind, clockRate: Int, channels: Int, header: [UInt8] = []) throws {
        guard let codec = AudioCodec(kind), let assembler = FrameAssembler(codec: kind, maximumPackets: 256, patience: Self.patience) else {
            throw CodecError.invalid("Sound in \(kind.encodingName) can't be recorded.")
        }
        self.track = track
        self.codec = codec
        self.channels = codec.maximumChannels == 1 || codec == .aac && channels == 1 ? 1 : 2
        self.assembler = assembler
        decoder = try AudioDecoder(codec, sampleRate: codec == .aac ? clockRate : nil, channels: self.channels, extradata: header)
        resampler = try Resampler(sampleRate: Int(SampleTime.rate), channels: self.channels)
    }

    var firstTimestamp: UInt32? { waiting.first?.timestamp }

    func push(_ packet: RTPView, at arrival: Int64) { keep(assembler.push(packet, at: Instant(nanoseconds: arrival))) }
    func advance(to now: Int64) { keep(assembler.advance(to: Instant(nanoseconds: now))) }

    private func keep(_ frames: [EncodedFrame]) {
        for frame in frames { waiting.append(Waiting(timestamp: frame.timestamp, bytes: frame.bytes)) }
    }

    /// Begins a file whose time 0 is `origin`; what the muxer has to know.
    func begin(_ target: Target, origin: Int64) throws -> MuxerTrack {
        end = 0
        nextMedia = nil
        if target == .opus, codec == .opus {
            way = .pass(OpusTimeline(origin: origin))
            return MuxerTrack(.audio(.opus, sampleRate: 48_000, channels: 2, header: MuxerTrack.opusHead(channels: 2)))
        }
        let encoder = try AudioEncoder(.init(
            codec: target == .aac ? .aac : .opus, channels: channels, bitrate: Self.bitratePerChannel * channels))
        way = .encode(SoundTimeline(channels: channels, origin: origin), encoder)
        return MuxerTrack(.audio(encoder.configuration.codec, sampleRate: 48_000, channels: channels, header: encoder.extradata))
    }

    /// Everything that has come since the last call, placed.
    func drain(_ timeline: inout StreamTimeline) throws -> [RecordedSample] {
        var samples: [RecordedSample] = []
        let packets = waiting
        waiting = []
        for packet in packets {
            let mediaTime = timeline.media(packet.timestamp, track: track)
            guard let time = timeline.time(mediaTime, track: track)?.nanoseconds else { continue }
            let media = mediaTime.nanoseconds
            switch way {
            case .pass(var opus):
                // A millisecond is rounding of the clock.
                let followsOn = nextMedia.map { media - $0 <= 1_000_000 } ?? false
                nextMedia = media + OpusPacket.samples(packet.bytes) * 1_000_000_000 / SampleTime.rate
                let pieces = opus.lay(packet.bytes, at: time, followsOn: followsOn)
                way = .pass(opus)
                samples += note(pieces)
            case .encode: samples += try encode(packet.bytes, media: media, time: time)
            case nil: break
            }
        }
        return samples
    }

    /// Silence up to a time: nothing has come, or nothing will. In pieces, however long it is.
    func fill(to time: Int64, from start: Int64) throws -> [RecordedSample] {
        var samples: [RecordedSample] = []
        for end in stride(from: start, to: time, by: 10_000_000_000) { samples += try fill(to: end) }
        return samples + (try fill(to: time))
    }

    func fill(to time: Int64) throws -> [RecordedSample] {
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

    /// Ends the file; the rest of what is inside the encoder.
    func finish(_ timeline: inout StreamTimeline, everything: Bool) throws -> [RecordedSample] {
        if everything { keep(assembler.finish()) }
        var samples = try drain(&timeline)
        if case .encode(let sound, let encoder) = way {
            let last = SampleTime.microseconds(sound.position)
            let rest = [Float](repeating: 0, count: (encoder.packetSamples + encoder.delay) * channels)
            samples += try encode(rest, from: sound.position, with: encoder).filter { $0.time < last }
        }
        way = nil
        return samples
    }

    private func note(_ pieces: [OpusTimeline.Piece]) -> [RecordedSample] {
        pieces.map { piece in
            end = SampleTime.microseconds(piece.position + piece.samples)
            let time = SampleTime.microseconds(piece.position)
            return RecordedSample(kind: .sound, time: time, duration: end - time, isKeyFrame: true, bytes: piece.bytes)
        }
    }

    private func encode(_ packet: [UInt8], media: Int64, time: Int64) throws -> [RecordedSample] {
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
            let length = Int64(frame.sampleCount) * 1_000_000_000 / Int64(max(1, frame.sampleRate))
            let missing = nextMedia.map { max(0, media - $0) } ?? 0
            nextMedia = media + length
            let converted = try resampler.convert(frame)
            let start = sound.position
            // A millisecond is rounding of the clock.
            let laid = sound.lay(converted.samples, at: time, missing: missing > 1_000_000 ? SampleTime.samples(in: missing) : 0)
            way = .encode(sound, encoder)
            samples += try encode(laid, from: start, with: encoder)
            media += length
            time += length
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
