// SPDX-License-Identifier: Apache-2.0
// Reads a record in stretches of time, all tracks side by side. Used by Mixer.
import Codecs
import Primitives

struct SliceReader {
    /// Tracks in a file may be out of step with each other by so much.
    static let slack = TimeSpan.seconds(1)
    /// Bytes read ahead at most, whatever the times say.
    static let maximumAhead = 256 << 20

    private let demuxer: Demuxer
    private let tracks: [RoomFile.Track]
    private var ahead: [Demuxer.Packet] = []
    private var bytesAhead = 0
    private var newest = MediaTime(nanoseconds: .min)
    private var isOver = false

    init(_ file: RoomFile) throws(MixError) {
        do throws(CodecError) { demuxer = try Demuxer(path: file.path, selection: .all) } catch { throw .file("\(error)") }
        tracks = file.tracks
    }

    /// What follows the last stretch and lies before `end`: packets of pictures by track, those of sound in the file's order. Of pictures in
    /// decoding order everything that has been read: those that are shown before `end` lie behind others, and come out of a decoder late.
    mutating func packets(before end: MediaTime) -> (pictures: [Int: [EncodedPacket]], sound: [Demuxer.Packet]) {
        while !isOver, newest < end + Self.slack, bytesAhead < Self.maximumAhead {
            // What can't be read is the end; the scan has told of it.
            guard let packet = (try? demuxer.next()) ?? nil else {
                isOver = true
                break
            }
            let time = MediaTime(microseconds: packet.packet.timestamp)
            guard tracks.indices.contains(packet.track), (.zero...RoomFile.latest).contains(time) else { continue }
            newest = max(newest, time)
            bytesAhead += packet.packet.bytes.count
            ahead.append(packet)
        }
        var pictures: [Int: [EncodedPacket]] = [:], sound: [Demuxer.Packet] = [], later: [Demuxer.Packet] = []
        for packet in ahead {
            guard isReordered(packet.track) || MediaTime(microseconds: packet.packet.timestamp) < end else {
                later.append(packet)
                continue
            }
            bytesAhead -= packet.packet.bytes.count
            if case .video = tracks[packet.track].media { pictures[packet.track, default: []].append(packet.packet) } else { sound.append(packet) }
        }
        ahead = later
        return (pictures, sound)
    }

    private func isReordered(_ track: Int) -> Bool {
        if case .video(let video) = tracks[track].media { video.hasReorderedFrames } else { false }
    }
}
