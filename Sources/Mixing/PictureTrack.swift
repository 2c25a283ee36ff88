// SPDX-License-Identifier: Apache-2.0
// One video track while it is mixed: decodes, and gives for each picture of the result the newest one of its own, in its tile's size.
import Codecs
import Primitives

actor PictureTrack {
    /// A moment of the result, and the area that a picture has there.
    struct Moment: Sendable {
        var time: MediaTime
        var tile: Tile
    }

    private let decoder: VideoDecoder
    /// Packets come in decoding order, and pictures out of the decoder some packets later.
    private let isReordered: Bool
    private let scaler = Scaler(isFast: true)
    private var waiting: [VideoFrame] = []
    private var packets: [EncodedPacket] = []
    private var next = 0
    private var current: VideoFrame?
    private var scaled: (source: VideoFrame, picture: VideoFrame)?
    private var needsKeyFrame = true
    private(set) var damaged = 0

    /// - Parameter maximumPixels: frames that are larger are left out, like damaged ones.
    init(_ track: Demuxer.VideoTrack, maximumPixels: Int) throws(CodecError) {
        isReordered = track.hasReorderedFrames
        decoder = try VideoDecoder(
            track.codec, extradata: track.extradata, reordersFrames: track.hasReorderedFrames, maximumPixels: maximumPixels)
    }

    /// - Parameters:
    ///   - arrived: the packets that follow those of the last call.
    ///   - moments: in order; `nil` where the track is not shown.
    /// - Returns: for each moment the picture, in the shape it has, at most as large as the tile; `nil` before the first.
    func pictures(_ arrived: [EncodedPacket], at moments: [Moment?], upTo end: MediaTime) -> [VideoFrame?] {
        packets.removeFirst(next)
        next = 0
        packets += arrived
        var result: [VideoFrame?] = []
        for moment in moments {
            guard let moment else {
                result.append(nil)
                continue
            }
            decode(to: moment.time)
            result.append(picture(for: moment.tile))
        }
        decode(to: end)
        return result
    }

    /// Decodes until the newest picture of that time is known.
    private func decode(to time: MediaTime) {
        while next < packets.count, isDue(packets[next], at: time) {
            let packet = packets[next]
            next += 1
            if needsKeyFrame, !packet.isKeyFrame { continue }
            do throws(CodecError) {
                waiting += try decoder.decode(packet.bytes, timestamp: packet.timestamp)
                needsKeyFrame = false
            } catch {
                damaged += 1
                needsKeyFrame = true
            }
        }
        while let first = waiting.first, MediaTime(microseconds: first.timestamp) <= time {
            current = first
            waiting.removeFirst()
        }
    }

    private func isDue(_ packet: EncodedPacket, at time: MediaTime) -> Bool {
        MediaTime(microseconds: isReordered ? waiting.last?.timestamp ?? .min : packet.timestamp) <= time
    }

    private func picture(for tile: Tile) -> VideoFrame? {
        guard let current else { return nil }
        let area = tile.fitting(width: current.width, height: current.height)
        if let scaled, scaled.source === current, scaled.picture.width == area.width, scaled.picture.height == area.height { return scaled.picture }
        guard let picture = try? scaler.scale(current, width: area.width, height: area.height) else { return nil }
        scaled = (current, picture)
        return picture
    }
}
