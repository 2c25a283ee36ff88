// SPDX-License-Identifier: Apache-2.0
// Audio messages of an encoder: configurations, frames, and what stands in for a configuration that doesn't come; and its metadata.
import Primitives
import RTMP
import RTP

extension IngestState {
    /// Bytes of an audio configuration at most; those of real encoders have 2 to 7, with a program configuration some 30.
    private static let maximumAudioConfig = 128
    /// Bytes of a channel of G.711 in one message at most: two seconds.
    private static let maximumSamples = 16_000
    /// Samples of a frame of AAC, at the rate that its configuration names.
    private static let samplesOfAAC: Int64 = 1024

    mutating func take(_ tag: AudioTag, _ message: RTMPMessage, _ now: Instant, _ actions: inout [Action]) throws(RTMPError) {
        guard admits(trackID: tag.trackID, hasOthers: tag.hasOtherTracks, isVideo: false, &actions) else { return }
        guard tag.codec != .speex else { throw .unsupported("audio codec Speex; send AAC, Opus or G.711") }
        let body = message.payload[tag.body(of: message.payload)]
        switch tag.content {
        case .configuration: try configure(tag.codec, Array(body))
        case .frame:
            guard !body.isEmpty else { return }
            let time = clock.time(of: message.timestamp, isVideo: false, at: now)
            if tag.codec == .aac { return takeAAC(body, time, now, &actions) }
            audioPace.restart()
            // G.711 of two channels is a byte of each by turns; it goes on as the left one.
            let step = (tag.isStereo || saysStereo) && (tag.codec == .g711A || tag.codec == .g711U) ? 2 : 1
            let limit = tag.codec == .opus ? OpusPacketizer.largestFrame : Self.maximumSamples * step
            guard body.count <= limit else {
                counts.unusable += 1
                return note("Audio frames of more than \(limit) bytes are left out: no packet holds them", &actions)
            }
            if step == 2 { note("The publisher's G.711 has two channels; the left one is taken", &actions) }
            audio = tag.codec
            let bytes = step == 1 ? Array(body) : stride(from: body.startIndex, to: body.endIndex, by: step).map { body[$0] }
            deliver(IngestFrame(isVideo: false, bytes: bytes, time: time, isKeyFrame: true), now, &actions)
        case .endOfSequence, .other: break
        }
    }

    private mutating func configure(_ codec: AudioTag.Codec, _ config: [UInt8]) throws(RTMPError) {
        // ffmpeg -c copy sends an empty one in front of the real one.
        guard config.count >= 2, config.count <= Self.maximumAudioConfig else { throw .malformed("an audio configuration of \(config.count) bytes") }
        if codec == .aac {
            guard let header = AudioSpecificConfig(config) else { throw .malformed("an AAC configuration that can't be read") }
            guard header.describedChannels != nil else { throw .malformed("an AAC configuration that names no channels") }
        }
        audio = codec
        audioConfig = config
        isAudioConfigDerived = false
    }

    private mutating func takeAAC(_ body: ArraySlice<UInt8>, _ time: MediaTime, _ now: Instant, _ actions: inout [Action]) {
        if audio != .aac { (audio, audioConfig) = (.aac, nil) }
        guard let found = ADTS.parse(body) else {
            guard audioConfig != nil || phase == .collecting || guessAudioConfig(&actions) else { return }
            return deliver(IngestFrame(isVideo: false, bytes: Array(body), time: paced(time, frames: 1), isKeyFrame: true), now, &actions)
        }
        note("The publisher leaves ADTS heads in front of its AAC frames; they are taken off", &actions)
        if audioConfig == nil || isAudioConfigDerived { (audioConfig, isAudioConfigDerived) = (found.config, true) }
        let rate = audioConfig.flatMap { AudioSpecificConfig($0)?.sampleRate } ?? 48_000
        let time = paced(time, frames: found.frames.count)
        for (index, frame) in found.frames.enumerated() {
            // At most a few hundred heads of seven bytes fit into a message of 8 MiB's frames, so the product is small.
            let shift = TimeSpan(ticks: Int64(index) &* Self.samplesOfAAC, clockRate: rate)
            deliver(IngestFrame(isVideo: false, bytes: Array(frame), time: time + shift, isKeyFrame: true), now, &actions)
        }
    }

    /// Where a message of `frames` frames of AAC lies among those before it.
    private mutating func paced(_ time: MediaTime, frames: Int) -> MediaTime {
        // Other kinds than LC and HE have frames of other lengths.
        guard let config = audioConfig.flatMap({ AudioSpecificConfig($0) }), [2, 5, 29].contains(config.objectType) else {
            audioPace.restart()
            return time
        }
        return audioPace.time(of: time, length: TimeSpan(ticks: Int64(frames) &* Self.samplesOfAAC, clockRate: config.sampleRate))
    }

    /// Frames of AAC come without a configuration: what the metadata says has to do.
    @discardableResult
    mutating func guessAudioConfig(_ actions: inout [Action]) -> Bool {
        guard audio == .aac, audioConfig == nil else { return audioConfig != nil }
        guard let said = metadataAudio, let config = AudioSpecificConfig(sampleRate: said.sampleRate, channels: said.channels).bytes else {
            note("The publisher's audio is left out: AAC comes without a configuration, and the metadata doesn't name its rate (audiosamplerate)", &actions)
            return false
        }
        note("AAC comes without a configuration; it is taken for what the metadata says: \(said.sampleRate) Hz, \(said.channels) channels", &actions)
        (audioConfig, isAudioConfigDerived) = (config, true)
        return true
    }

    /// `onMetaData`: says which tracks to expect.
    mutating func take(metadata: AMF0Value) {
        // A codec of 0 is none.
        func says(_ key: String) -> Bool? {
            guard let value = metadata[key], !value.isNull else { return nil }
            return value.numberValue.map { $0 != 0 } ?? value.stringValue.map { !$0.isEmpty } ?? value.boolValue ?? true
        }
        let saysVideo = says("videocodecid") ?? says("width"), saysAudio = says("audiocodecid")
        if let rate = metadata["audiosamplerate"]?.numberValue, (4_000...192_000).contains(rate) {
            let channels = metadata["audiochannels"]?.numberValue ?? (metadata["stereo"]?.boolValue == false ? 1 : 2)
            // ffmpeg forgets the mark of two channels in its tags.
            saysStereo = metadata["audiochannels"]?.numberValue.map { $0 == 2 } ?? (metadata["stereo"]?.boolValue ?? false)
            metadataAudio = (Int(rate), (1...8).contains(channels) ? Int(channels) : 2)
        }
        // Metadata that says nothing of codecs promises nothing.
        guard saysVideo != nil || saysAudio != nil else { return }
        expectsVideo = saysVideo ?? false
        expectsAudio = saysAudio ?? false
    }
}
