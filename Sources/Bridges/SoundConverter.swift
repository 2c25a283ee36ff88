// SPDX-License-Identifier: Apache-2.0
// Sound from one codec to another without losing its place in time: what follows the source's timestamps, not the number of samples.
// Sans-IO; inside the worker, owned by SoundBridgeJob.
import Codecs
import Primitives
import RTP

/// Frames of one codec in, frames of another out. Not Sendable: one thread at a time.
final class SoundConverter {
    struct Output: Equatable {
        /// Of the target's clock.
        var ticks: Int64
        /// There was a pause before it.
        var startsTalk: Bool
        var bytes: [UInt8]
    }

    /// What is missing is filled with silence up to here; beyond, the audio goes on where it is.
    static let longestGap = TimeSpan.milliseconds(200)
    /// A few milliseconds are the rounding of somebody's clock: those are evened out.
    static let rounding = TimeSpan.milliseconds(10)

    private let decoder: AudioDecoder
    private let resampler: Resampler
    private let encoder: AudioEncoder
    private let channels: Int
    private let targetRate: Int64
    private var ticks: MediaTicks
    private var timeline: SoundTimeline?
    /// The timeline's beginning, and the same in samples at 48 kHz.
    private var origin = MediaTime.zero, firstSample: Int64 = 0
    private var nextMedia = MediaTime.zero
    private var startsTalk = true
    /// Frames that the decoder refused.
    private(set) var undecodable = 0

    /// - Throws: `CodecError` for codecs that can't be converted.
    init(_ order: BridgeOrder) throws {
        guard let source = AudioCodec(order.source), let target = AudioCodec(order.target) else {
            throw CodecError.invalid("Sound in \(order.source.encodingName) can't be converted to \(order.target.encodingName).")
        }
        channels = min(target.maximumChannels, min(source.maximumChannels, max(1, order.channels)))
        ticks = MediaTicks(clockRate: order.clockRate, reference: order.reference > 0 ? order.reference : nil)
        decoder = try AudioDecoder(
            source, sampleRate: source == .aac ? order.clockRate : nil, channels: min(2, max(1, order.channels)), extradata: order.header)
        resampler = try Resampler(sampleRate: Int(SampleTime.rate), channels: channels)
        encoder = try AudioEncoder(.init(codec: target, channels: channels, bitrate: order.bitrate))
        targetRate = Int64(target.fixedSampleRate ?? Int(SampleTime.rate))
    }

    /// The newest count of the source's ticks; 0 before the first frame.
    var reference: Int64 { ticks.last ?? 0 }

    /// Where a timestamp of the source lies on the target's clock.
    func targetTicks(_ timestamp: UInt32) -> Int64 { toTarget(samples(at: media(timestamp))) }

    private func media(_ timestamp: UInt32) -> MediaTime { ticks.time(ticks.count(timestamp)) }

    private func samples(at media: MediaTime) -> Int64 { SampleTime.samples(in: media - .zero) }

    private func toTarget(_ samples: Int64) -> Int64 { SampleTime.span(of: samples).ticks(clockRate: Int(targetRate)) }

    /// Decodes what is not to be heard: codecs that overlap need the frame before the first.
    func warmUp(with frame: EncodedFrame) {
        _ = ticks.count(frame.timestamp)
        if (try? decoder.decode(frame.bytes, timestamp: 0)) == nil { undecodable += 1 }
    }

    func convert(_ frame: EncodedFrame) throws -> [Output] {
        let decoded: [AudioFrame]
        do { decoded = try decoder.decode(frame.bytes, timestamp: 0) } catch {
            // What can't be decoded is missing, like what never came.
            undecodable += 1
            return []
        }
        var media = media(frame.timestamp)
        var outputs: [Output] = []
        for sound in decoded {
            outputs += try place(try resampler.convert(sound), at: media)
            media = media + TimeSpan(ticks: Int64(sound.sampleCount), clockRate: sound.sampleRate)
            nextMedia = media
        }
        return outputs
    }

    /// The source began anew: nothing is filled in up to what comes.
    func restart() { timeline = nil }

    private func place(_ sound: AudioFrame, at media: MediaTime) throws -> [Output] {
        if timeline == nil || (media - nextMedia).magnitude > Self.longestGap {
            timeline = SoundTimeline(channels: channels)
            origin = media
            firstSample = samples(at: media)
            encoder.restart(at: toTarget(firstSample))
            startsTalk = true
            nextMedia = media
        }
        guard var line = timeline else { return [] }
        let start = line.position
        let missing = media - nextMedia
        let laid = line.lay(sound.samples, at: media - origin, missing: missing > Self.rounding ? SampleTime.samples(in: missing) : 0)
        timeline = line
        guard !laid.isEmpty else { return [] }
        let frame = AudioFrame(samples: laid, channels: channels, sampleRate: Int(SampleTime.rate), timestamp: firstSample.addingSaturating(start))
        return try encoder.encode(frame).map { packet in
            // What a packet decodes to lies by the encoder's delay before its own time.
            defer { startsTalk = false }
            return Output(ticks: packet.timestamp.subtractingSaturating(Int64(encoder.delay)), startsTalk: startsTalk, bytes: packet.bytes)
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
