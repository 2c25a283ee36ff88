// SPDX-License-Identifier: Apache-2.0
// A media file as encoded frames in real time: passed through where WebRTC can carry it, else decoded and encoded again.
// Owned by a PublishEngine.
import Codecs
import Primitives
import RTP
import SDP

/// Reads ahead a little, so that badly interleaved files still give sound and pictures in time.
final class FileProducer: MediaProducer {
    private(set) var formats: [TrackFormat] = []
    /// True for a video track that goes out as it lies in the file.
    private(set) var passesVideoThrough = false
    private(set) var passesAudioThrough = false

    /// A frame that waits for its time from the start.
    private struct Item {
        let time: TimeSpan
        let content: Content
        enum Content {
            case unit(ProducedUnit)
            /// A decoded picture, encoded only when it is due.
            case picture(VideoFrame)
        }
    }
    private struct Track {
        let stage: Stage
        var packets: [EncodedPacket] = []
        var items: [Item] = []
        var isDrained = false
    }
    private enum Stage { case video(FileVideoStage), audio(FileAudioStage) }

    /// Bounds of what is read ahead.
    private static let maximumPackets = 2048
    private static let maximumBytes = 32 << 20

    private let demuxer: Demuxer
    private var tracks: [Track] = []
    /// The track in `tracks` for each track of the file; `nil` for one that is not wanted.
    private var trackOfFile: [Int?] = []
    private var isAtEnd = false
    private var queuedBytes = 0
    private var queuedPackets = 0
    /// Time lost in stalls.
    private var delay = TimeSpan.zero
    private var wantsKeyFrame = false

    init(path: String, loops: Bool, options: PublishOptions) throws(CodecError) {
        demuxer = try Demuxer(path: path, loops: loops)
        for media in demuxer.tracks {
            switch media {
            case .video(let video) where options.includesVideo:
                let stage = try FileVideoStage(video, track: tracks.count, options: options)
                passesVideoThrough = stage.passesThrough
                trackOfFile.append(tracks.count)
                formats.append(stage.format)
                tracks.append(Track(stage: .video(stage)))
            case .audio(let audio) where options.includesAudio:
                let stage = try FileAudioStage(audio, track: tracks.count, options: options)
                passesAudioThrough = stage.passesThrough
                trackOfFile.append(tracks.count)
                formats.append(stage.format)
                tracks.append(Track(stage: .audio(stage)))
            default: trackOfFile.append(nil)
            }
        }
        guard !tracks.isEmpty else { throw .invalid("The file \(path) has none of the tracks that are to be published.") }
        try fill()
    }

    var nextDue: TimeSpan? { tracks.compactMap { $0.items.first?.time }.min().map { $0 + delay } }

    func requestKeyFrame() { wantsKeyFrame = true }

    func produce(upTo elapsed: TimeSpan, unixMilliseconds: Int64) throws -> [ProducedUnit] {
        var units: [ProducedUnit] = []
        // After a stall of the machine (more than 2 s) the file goes on from where it was, instead of racing.
        if let due = nextDue, elapsed - due > .seconds(2) { delay += elapsed - due }
        while let due = nextDue, due <= elapsed {
            guard let index = tracks.indices.min(by: { time($0) < time($1) }), !tracks[index].items.isEmpty else { break }
            let item = tracks[index].items.removeFirst()
            switch (item.content, tracks[index].stage) {
            case (.unit(let unit), _): units.append(unit)
            case (.picture(let frame), .video(let stage)):
                units += try stage.encode(frame, forceKeyFrame: wantsKeyFrame)
                wantsKeyFrame = false
            default: break
            }
            try fill()
        }
        return units
    }

    private func time(_ index: Int) -> TimeSpan { tracks[index].items.first?.time ?? .max }

    /// Makes sure that every track has an item waiting, as far as the file and the bounds allow.
    private func fill() throws(CodecError) {
        for index in tracks.indices { try fill(index) }
    }

    private func fill(_ index: Int) throws(CodecError) {
        while tracks[index].items.isEmpty, !tracks[index].isDrained {
            if tracks[index].packets.isEmpty {
                if isAtEnd {
                    tracks[index].isDrained = true
                    append(try finish(tracks[index].stage), to: index)
                    return
                }
                // A track that is silent for long must not make us read the whole file into memory.
                guard queuedPackets < Self.maximumPackets, queuedBytes < Self.maximumBytes else { return }
                try readPacket()
                continue
            }
            let packet = tracks[index].packets.removeFirst()
            queuedPackets -= 1
            queuedBytes -= packet.bytes.count
            append(try process(packet, tracks[index].stage), to: index)
        }
    }

    private func append(_ made: [Item], to index: Int) { tracks[index].items += made }

    private func readPacket() throws(CodecError) {
        guard let read = try demuxer.next() else {
            isAtEnd = true
            return
        }
        guard read.track < trackOfFile.count, let track = trackOfFile[read.track] else { return }
        tracks[track].packets.append(read.packet)
        queuedPackets += 1
        queuedBytes += read.packet.bytes.count
    }

    private func process(_ packet: EncodedPacket, _ stage: Stage) throws(CodecError) -> [Item] {
        switch stage {
        case .video(let stage):
            if stage.passesThrough { return stage.pass(packet).map { [Item(time: .microseconds(packet.timestamp), content: .unit($0))] } ?? [] }
            return try stage.decode(packet).map { Item(time: .microseconds($0.timestamp * 100 / 9), content: .picture($0)) }
        case .audio(let stage):
            return try stage.process(packet).map { Item(time: .microseconds($0.time), content: .unit($0.unit)) }
        }
    }

    private func finish(_ stage: Stage) throws(CodecError) -> [Item] {
        guard case .video(let stage) = stage, !stage.passesThrough else { return [] }
        return try stage.finish().map { Item(time: .microseconds($0.timestamp * 100 / 9), content: .picture($0)) }
    }
}
