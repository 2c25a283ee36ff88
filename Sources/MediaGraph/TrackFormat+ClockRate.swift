// SPDX-License-Identifier: Apache-2.0
// The clock rate of a track as its codec has it, never as the sender says it: times are divided by it.
import RTP
import SDP

extension TrackFormat {
    /// The same format with the RTP clock rate of its codec (RFC 3551, 7587, 6184, …): AAC's is that of its configuration, or what SBR
    /// doubles it to. A description that says otherwise (`H264/1`) is wrong, and dangerous to reckon with.
    public var withClockRateOfCodec: TrackFormat {
        var format = self
        let kind = CodecKind(encodingName: codec.name)
        guard kind == .aac else {
            format.codec.clockRate = Int(kind.clockRate)
            return format
        }
        guard let rate = AudioSpecificConfig(aacConfig)?.sampleRate else {
            format.codec.clockRate = min(Self.highestAACRate, max(Self.lowestAACRate, codec.clockRate))
            return format
        }
        // Fits: a configuration's rate is at most 192 kHz.
        if codec.clockRate != 2 * rate { format.codec.clockRate = rate }
        return format
    }

    /// The rates of ISO/IEC 14496-3 lie in between, Hz.
    private static let lowestAACRate = 7_350, highestAACRate = 96_000

    /// AAC: the AudioSpecificConfig of the parameter `config`; empty for others.
    public var aacConfig: [UInt8] { codec.parameters["config"].flatMap { AudioSpecificConfig.bytes(ofParameter: $0) } ?? [] }
}
