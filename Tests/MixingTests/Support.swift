// SPDX-License-Identifier: Apache-2.0
import Codecs
import Foundation
import RTP

@testable import Mixing

/// A folder that goes with the test.
final class Scratch {
    let path: String
    init() throws {
        path = NSTemporaryDirectory() + "mixing-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Somebody in a room: one colour and one tone.
struct Guest {
    var login: String
    var stream = ""
    var from = 0.0, to = 4.0
    var colour: YUVColour? = YUVColour(red: 200, green: 30, blue: 30)
    /// Hz; `nil`: without sound.
    var tone: Float? = 440
    var amplitude: Float = 0.3
    var size = (width: 160, height: 120)
    var codec = VideoCodec.h264

    static let red = YUVColour(red: 200, green: 30, blue: 30), green = YUVColour(red: 30, green: 180, blue: 30)
    static let blue = YUVColour(red: 40, green: 60, blue: 220)
}

/// A record as the server makes it.
func makeRoom(_ guests: [Guest], in folder: String) throws -> String {
    var sources: [MediaMerger.Source] = []
    for (index, guest) in guests.enumerated() {
        let path = "\(folder)/guest-\(index).mkv"
        try makeFile(guest, path)
        let stream = guest.stream.isEmpty ? "stream-\(index)" : guest.stream
        sources.append(MediaMerger.Source(
            path: path, offset: Int64(guest.from * 1_000_000), title: guest.login, tags: ["LOGIN": guest.login, "STREAM": stream]))
    }
    let target = folder + "/room.mkv"
    _ = try MediaMerger.merge(sources, as: target)
    return target
}

private func makeFile(_ guest: Guest, _ path: String) throws {
    let rate = 15, seconds = guest.to - guest.from
    var tracks: [MuxerTrack] = [], pictures: [EncodedPacket] = []
    if let colour = guest.colour {
        let encoder = try VideoEncoder(VideoEncoder.Configuration(
            codec: guest.codec, width: guest.size.width, height: guest.size.height, frameRate: rate, bitrate: 300_000, keyFrameInterval: rate))
        for index in 0..<Int(seconds * Double(rate)) {
            let frame = try VideoFrame(width: guest.size.width, height: guest.size.height, timestamp: Int64(index) * 90_000 / Int64(rate)) {
                $0.fill(x: 0, y: 0, width: guest.size.width, height: guest.size.height, colour)
            }
            pictures += try encoder.encode(frame)
        }
        let sets = guest.codec == .h264 ? FrameHeader(codec: .h264, keyFrame: pictures[0].bytes).parameterSets : []
        tracks.append(MuxerTrack(.video(guest.codec, width: guest.size.width, height: guest.size.height, parameterSets: sets, rotation: .none)))
    }
    if guest.tone != nil {
        tracks.append(MuxerTrack(.audio(.opus, sampleRate: 48_000, channels: 2, header: MuxerTrack.opusHead(channels: 2))))
    }
    let muxer = try Muxer(path: path, container: .matroska, tracks: tracks)
    var sounds: [EncodedPacket] = []
    if let tone = guest.tone {
        let encoder = try AudioEncoder(AudioEncoder.Configuration(codec: .opus, bitrate: 96_000))
        let samples = (0..<Int(seconds * 48_000)).flatMap { index -> [Float] in
            let value = guest.amplitude * sin(Float(index) * 2 * .pi * tone / 48_000)
            return [value, value]
        }
        sounds = try encoder.encode(AudioFrame(samples: samples, channels: 2, sampleRate: 48_000, timestamp: 0))
    }
    let all = pictures.map { (0, $0.timestamp * 100 / 9, Int64(1_000_000 / rate), $0) }
        + sounds.map { (tracks.count - 1, $0.timestamp * 1000 / 48, Int64(20_000), $0) }
    for (track, time, duration, packet) in all.sorted(by: { $0.1 < $1.1 }) {
        try muxer.write(track: track, packet.bytes, time: time, duration: duration, isKeyFrame: packet.isKeyFrame)
    }
    try muxer.finish()
}

/// A mixed file as a viewer gets it.
struct Watched {
    var frames: [(seconds: Double, frame: VideoFrame)] = []
    /// Mono, 48 kHz.
    var sound: [Float] = []

    init(_ path: String) throws {
        let file = try Demuxer(path: path)
        var video: VideoDecoder?, audio: AudioDecoder?
        while let next = try file.next() {
            switch file.tracks[next.track] {
            case .video(let track):
                if video == nil { video = try VideoDecoder(track.codec, extradata: track.extradata) }
                for frame in try video?.decode(next.packet.bytes, timestamp: next.packet.timestamp) ?? [] {
                    frames.append((Double(frame.timestamp) / 1e6, frame))
                }
            case .audio(let track):
                if audio == nil {
                    audio = try AudioDecoder(track.codec, sampleRate: track.sampleRate, channels: track.channels, extradata: track.extradata)
                }
                for frame in try audio?.decode(next.packet.bytes, timestamp: 0) ?? [] {
                    sound += stride(from: 0, to: frame.samples.count, by: frame.channels).map { frame.samples[$0] }
                }
            }
        }
    }

    func frame(at seconds: Double) -> VideoFrame? { frames.last { $0.seconds <= seconds + 0.001 }?.frame }

    /// The colour in the middle of a tile, a little above its centre where names of people without pictures stand.
    func colour(in tile: Tile, at seconds: Double) -> YUVColour {
        frame(at: seconds)?.read { $0.meanColour(x: tile.x + tile.width / 2 - 8, y: tile.y + tile.height / 3, width: 16, height: 16) } ?? .black
    }

    /// How strong a tone is, 0…1, by Goertzel's algorithm.
    func strength(of tone: Float, from: Double, to: Double) -> Float {
        let piece = sound[min(sound.count, Int(from * 48_000))..<min(sound.count, Int(to * 48_000))]
        guard !piece.isEmpty else { return 0 }
        let factor = 2 * cos(2 * Float.pi * tone / 48_000)
        var (a, b) = (Float(0), Float(0))
        for sample in piece { (a, b) = (sample + factor * a - b, a) }
        return 2 * (a * a + b * b - factor * a * b).squareRoot() / Float(piece.count)
    }
}

extension YUVColour {
    func isLike(_ other: YUVColour) -> Bool {
        abs(Int(y) - Int(other.y)) < 14 && abs(Int(u) - Int(other.u)) < 14 && abs(Int(v) - Int(other.v)) < 14
    }
}
