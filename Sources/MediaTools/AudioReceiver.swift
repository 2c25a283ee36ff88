// SPDX-License-Identifier: Apache-2.0
// One received audio track: RTP packets → sound → loudness. Owned by a PlayEngine.
import Codecs
import Primitives
import RTP
import SDP

/// Decodes what comes; lost packets are silence that nobody measures.
final class AudioReceiver {
    /// Samples decoded, all channels.
    private(set) var samples = 0
    private(set) var decodeErrors = 0
    var lostPackets: Int { Int(assembler?.lostPackets ?? 0) }
    var nextDeadline: Instant? { assembler?.nextDeadline }

    private let payloadType: UInt8
    private var assembler: FrameAssembler?
    private var decoder: AudioDecoder?
    /// Loudness of the frames of about the last second, oldest first.
    private var levels: [AudioLevel] = []
    private var samplesPerSecond = 48_000

    init(_ format: TrackFormat, patience: TimeSpan, decodes: Bool) {
        payloadType = format.codec.payloadType
        assembler = FrameAssembler(codec: CodecKind(encodingName: format.codec.name), patience: patience)
        if decodes, let codec = AudioCodec(encodingName: format.codec.name) { decoder = try? AudioDecoder(codec) }
    }

    func receive(_ packet: RTPView, at now: Instant) {
        // Comfort noise and tones have payload types of their own.
        guard packet.payloadType == payloadType else { return }
        decode(assembler?.push(packet, at: now) ?? [])
    }

    func advance(to now: Instant) { decode(assembler?.advance(to: now) ?? []) }

    /// Over the last second of sound.
    var recentLevel: AudioLevel {
        var level = AudioLevel()
        for part in levels { level.add(part) }
        return level
    }

    private func decode(_ frames: [EncodedFrame]) {
        guard let decoder else { return }
        for frame in frames {
            do throws(CodecError) {
                for sound in try decoder.decode(frame.bytes, timestamp: Int64(frame.timestamp)) { measure(sound) }
            } catch {
                decodeErrors += 1
            }
        }
    }

    private func measure(_ sound: AudioFrame) {
        samples += sound.samples.count
        samplesPerSecond = sound.sampleRate * sound.channels
        var level = AudioLevel()
        level.add(sound)
        levels.append(level)
        var total = levels.reduce(0) { $0 + $1.sampleCount }
        while levels.count > 1, total > samplesPerSecond || levels.count > 400 { total -= levels.removeFirst().sampleCount }
    }
}

extension AudioCodec {
    /// By the name in SDP; `nil` for a codec that can't be decoded from RTP here.
    init?(encodingName: String) {
        switch CodecKind(encodingName: encodingName) {
        case .opus: self = .opus
        case .pcmu: self = .pcmu
        case .pcma: self = .pcma
        case .g722: self = .g722
        default: return nil
        }
    }
}
