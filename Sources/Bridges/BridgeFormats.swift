// SPDX-License-Identifier: Apache-2.0
// Which conversions there are, and how their results are described.
import MediaIO
import RTP
import SDP

enum BridgeFormats {
    static let soundBitratePerChannel = 64_000
    static let maximumVideoBitrate = 8_000_000

    /// What becomes of a track; `nil` when there is no such conversion.
    static func format(from source: TrackFormat, track: Int, to target: CodecKind) -> TrackFormat? {
        let codec = CodecKind(encodingName: source.codec.name)
        // Nobody can decode AAC without its configuration.
        if codec == .aac, source.aacPayload == nil || AudioSpecificConfig(source.aacConfig) == nil { return nil }
        var format: TrackFormat?
        switch (codec, target) {
        case (.aac, .opus), (.pcmu, .opus), (.pcma, .opus), (.g722, .opus):
            format = SourceTrack.opus(channels: soundChannels(source, target)).format
        case (.opus, .aac), (.pcmu, .aac), (.pcma, .aac), (.g722, .aac):
            let channels = soundChannels(source, target)
            let config = AudioSpecificConfig(sampleRate: 48_000, channels: channels).bytes ?? []
            format = SourceTrack.aac(config: config, sampleRate: 48_000, channels: channels)
        case (.opus, .pcmu), (.aac, .pcmu), (.pcma, .pcmu), (.g722, .pcmu): format = SourceTrack.pcmu.format
        case (.opus, .pcma), (.aac, .pcma), (.pcmu, .pcma), (.g722, .pcma): format = SourceTrack.pcma.format
        case (.vp8, .h264), (.vp9, .h264), (.av1, .h264): format = SourceTrack.h264(parameterSets: []).format
        // The same without B-frames, in a profile that every receiver takes.
        case (.h264, .h264): format = SourceTrack.h264(parameterSets: []).format
        case (.h264, .vp8), (.vp9, .vp8), (.av1, .vp8): format = SourceTrack.vp8.format
        default: return nil
        }
        format?.converts = track
        return format
    }

    /// How many channels of a source are converted.
    static func soundChannels(_ source: TrackFormat, _ target: CodecKind) -> Int {
        switch CodecKind(encodingName: source.codec.name) {
        case .opus: 2
        case .aac: AudioSpecificConfig(source.aacConfig).map { $0.channels == 1 ? 1 : 2 } ?? min(2, source.codec.channels)
        default: 1
        }
    }

    static func order(from source: TrackFormat, to target: CodecKind) -> BridgeOrder {
        let codec = CodecKind(encodingName: source.codec.name)
        let channels = soundChannels(source, target)
        var order = BridgeOrder(
            source: codec, clockRate: source.codec.clockRate, channels: channels, target: target,
            bitrate: soundBitratePerChannel * channels)
        if codec == .h264 {
            order.header = Base64.parameterSets(source.described.parameters["sprop-parameter-sets"] ?? "").flatMap { [0, 0, 0, 1] + $0 }
        }
        if target.isVideo { order.bitrate = maximumVideoBitrate }
        if codec == .aac {
            order.header = source.aacConfig
            order.aac = source.aacPayload ?? AACPayloadFormat()
        }
        return order
    }
}
