// SPDX-License-Identifier: Apache-2.0
// What happens to a file's video on its way out. Owned by a FileProducer.
import Codecs
import SDP

/// Passes packets through, or decodes, scales and encodes.
final class FileVideoStage {
    let format: TrackFormat
    let passesThrough: Bool

    private let source: Demuxer.VideoTrack
    private let track: Int
    private var decoder: VideoDecoder?
    private let scaler = Scaler()
    private var encoder: VideoEncoder?
    private let size: (width: Int, height: Int)
    private var lastTicks = Int64.min
    private var hasStarted = false

    init(_ source: Demuxer.VideoTrack, track: Int, options: PublishOptions) throws(CodecError) {
        self.source = source
        self.track = track
        size = options.size ?? (source.width, source.height)
        let isPassable = source.isPlain420 && !source.hasReorderedFrames
            && (source.codec != .h264 || [66, 77, 100].contains(source.profile))
        passesThrough = isPassable && options.size == nil && (options.videoCodec ?? source.codec) == source.codec
        let codec = passesThrough ? source.codec : options.videoCodec ?? .h264
        format = TrackFormats.video(
            codec, width: size.width, height: size.height, frameRate: source.frameRate,
            h264Profile: passesThrough && codec == .h264 ? Self.profile(source) : nil)
        if !passesThrough {
            decoder = try VideoDecoder(source.codec, reordersFrames: true)
            encoder = try VideoEncoder(.init(
                codec: codec, width: size.width, height: size.height, frameRate: source.frameRate,
                bitrate: options.videoBitrate, keyFrameInterval: options.keyFrameSeconds * source.frameRate,
                threads: options.encoderThreads))
        }
    }

    /// A packet as it is; `nil` before the first key frame.
    func pass(_ packet: EncodedPacket) -> ProducedUnit? {
        hasStarted = hasStarted || packet.isKeyFrame
        guard hasStarted else { return nil }
        return ProducedUnit(
            track: track, bytes: packet.bytes, ticks: packet.timestamp * 9 / 100, isKeyFrame: packet.isKeyFrame)
    }

    /// Pictures in display order, 90 kHz.
    func decode(_ packet: EncodedPacket) throws(CodecError) -> [VideoFrame] {
        guard let decoder else { return [] }
        // A damaged picture in a file is no reason to end the publication.
        do throws(CodecError) {
            return try decoder.decode(packet.bytes, timestamp: packet.timestamp * 9 / 100)
        } catch CodecError.outOfMemory {
            throw .outOfMemory
        } catch {
            return []
        }
    }

    func finish() throws(CodecError) -> [VideoFrame] { try decoder?.finish() ?? [] }

    func encode(_ frame: VideoFrame, forceKeyFrame: Bool) throws(CodecError) -> [ProducedUnit] {
        // Encoders insist on times that grow.
        guard let encoder, frame.timestamp > lastTicks else { return [] }
        lastTicks = frame.timestamp
        let scaled = try scaler.scale(frame, width: size.width, height: size.height)
        return try encoder.encode(scaled, forceKeyFrame: forceKeyFrame).map {
            ProducedUnit(track: track, bytes: $0.bytes, ticks: $0.timestamp, isKeyFrame: $0.isKeyFrame)
        }
    }

    /// profile_idc and constraint flags: from the avcC header where there is one (ISO 14496-15 §5.2.4.1).
    private static func profile(_ source: Demuxer.VideoTrack) -> (idc: UInt8, constraints: UInt8) {
        if source.extradata.count >= 4, source.extradata[0] == 1 { return (source.extradata[1], source.extradata[2]) }
        return (UInt8(truncatingIfNeeded: source.profile), source.profile == 66 ? 0xe0 : 0)
    }
}
