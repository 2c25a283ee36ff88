// SPDX-License-Identifier: Apache-2.0
// What happens to a file's sound on its way out. Owned by a FileProducer.
import Codecs
import RTP
import SDP

/// Passes Opus through, or decodes and encodes.
final class FileAudioStage {
    let format: TrackFormat
    let passesThrough: Bool

    private let track: Int
    private var decoder: AudioDecoder?
    private var encoder: AudioEncoder?
    private var timeline: AudioTimeline

    init(_ source: Demuxer.AudioTrack, track: Int, options: PublishOptions) throws(CodecError) {
        self.track = track
        let codec = options.audioCodec ?? .opus
        guard let format = TrackFormats.audio(codec) else {
            throw .invalid("\(codec.rawValue) can't be sent over WebRTC; use opus, pcmu, pcma or g722.")
        }
        self.format = format
        // G.711 lies in files in pieces of any length, so only Opus can go out as it is.
        passesThrough = source.codec == .opus && codec == .opus && source.channels <= 2
        guard !passesThrough else {
            timeline = AudioTimeline(rate: 48_000)
            return
        }
        decoder = try AudioDecoder(
            source.codec, sampleRate: source.sampleRate, channels: source.channels, extradata: source.extradata)
        let encoder = try AudioEncoder(.init(codec: codec, bitrate: options.audioBitrate))
        self.encoder = encoder
        timeline = AudioTimeline(rate: encoder.configuration.sampleRate)
    }

    /// What one packet of the file becomes, with its time in µs.
    func process(_ packet: EncodedPacket) throws(CodecError) -> [(time: Int64, unit: ProducedUnit)] {
        guard let decoder, let encoder else {
            let place = timeline.place(microseconds: packet.timestamp, ticks: OpusPacket.samples(packet.bytes))
            return [(packet.timestamp, ProducedUnit(track: track, bytes: packet.bytes, ticks: place.time, isKeyFrame: true))]
        }
        var result: [(time: Int64, unit: ProducedUnit)] = []
        let rate = Int64(encoder.configuration.sampleRate)
        var time = packet.timestamp
        for frame in decode(packet, with: decoder) {
            let samples = Int64(frame.sampleCount)
            let place = timeline.place(microseconds: time, ticks: samples * rate / Int64(frame.sampleRate))
            if place.isGap { encoder.restart(at: place.time) }
            for made in try encoder.encode(frame) {
                let unit = ProducedUnit(
                    track: track, bytes: made.bytes,
                    ticks: encoder.configuration.codec.rtpTicks(samples: made.timestamp), isKeyFrame: true)
                result.append((made.timestamp * 1_000_000 / rate, unit))
            }
            time += samples * 1_000_000 / Int64(frame.sampleRate)
        }
        return result
    }

    /// A damaged packet of a file is left out.
    private func decode(_ packet: EncodedPacket, with decoder: AudioDecoder) -> [AudioFrame] {
        (try? decoder.decode(packet.bytes, timestamp: packet.timestamp)) ?? []
    }
}
