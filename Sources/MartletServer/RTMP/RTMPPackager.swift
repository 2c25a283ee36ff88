// SPDX-License-Identifier: Apache-2.0
// Frames of a stream into RTMP messages: metadata, configurations, H.264 and AAC as FLV. One per player or republished stream;
// a value without a clock.
import Primitives
import RTMP
import RTP

struct RTMPPackager: Sendable {
    /// What the messages are for.
    struct Track: Sendable, Equatable {
        let isVideo: Bool
        /// AudioSpecificConfig; of sound.
        var config: [UInt8] = []
        var clockRate = 48_000
        var channels = 2
        /// Nothing comes of it at present.
        var isSilent = false
    }

    private var tracks: [Track]
    private var hasVideo: Bool
    /// The tracks have changed: the next frame says so.
    private var isChanged = false
    private var configuration: AVCConfiguration?
    private var hasBegun = false
    /// Sound that came before the first picture.
    private var waiting: [RTMPMessage] = []
    private var firstArrival: Instant?
    private var lastTime: [Int64]

    /// Pictures are waited for so long; then sound goes on alone. By arrival: the stream's time may stand or be set back meanwhile.
    static let longestWait = TimeSpan.milliseconds(1500)

    /// Sound that is older than the first picture by more than this is left out, milliseconds.
    private static let longestLead: Int64 = 50

    init(tracks: [Track]) {
        self.tracks = tracks
        hasVideo = tracks.contains { $0.isVideo }
        lastTime = tracks.map { _ in -1 }
    }

    /// The stream has other tracks from now on; frames count by their order. Metadata and configurations precede the next frame, times go on.
    mutating func change(to others: [Track]) {
        func newest(_ isVideo: Bool) -> Int64 { zip(tracks, lastTime).filter { $0.0.isVideo == isVideo }.map(\.1).max() ?? -1 }
        lastTime = others.map { newest($0.isVideo) }
        if others.contains(where: \.isVideo), !hasVideo { configuration = nil }
        tracks = others
        hasVideo = others.contains { $0.isVideo }
        isChanged = true
    }

    /// A frame, video in Annex B. `time` in nanoseconds on one clock.
    mutating func take(track index: Int, _ bytes: [UInt8], time: Int64, arrival: Instant, isKeyFrame: Bool) -> [RTMPMessage] {
        guard tracks.indices.contains(index) else { return [] }
        // To the nearest: readers count samples, and take times that are always short for gaps.
        var milliseconds = (time + 500_000) / 1_000_000
        // Times of a track never go back: players take that for a new beginning. When the stream's clock has been set back, sound that
        // would be heard over other sound is left out; pictures are needed by those that follow.
        if milliseconds <= lastTime[index] {
            guard tracks[index].isVideo else { return [] }
            milliseconds = max(0, lastTime[index])
        }
        lastTime[index] = milliseconds
        firstArrival = firstArrival ?? arrival
        let frames = tracks[index].isVideo ? video(bytes, milliseconds, isKeyFrame) : audio(tracks[index], bytes, milliseconds, arrival)
        guard isChanged, hasBegun, !frames.isEmpty else { return frames }
        isChanged = false
        // A configuration of the video's comes with its own metadata.
        let isToldAnyway = tracks[index].isVideo && frames.first?.type == RTMPMessageType.dataAMF0
        return (isToldAnyway ? [] : [metadata(milliseconds, width: nil, height: nil)]) + audioConfigurations(milliseconds) + frames
    }

    private mutating func video(_ bytes: [UInt8], _ time: Int64, _ isKeyFrame: Bool) -> [RTMPMessage] {
        var messages: [RTMPMessage] = []
        var sps: [[UInt8]] = [], pps: [[UInt8]] = [], body: [UInt8] = []
        body.reserveCapacity(bytes.count + 16)
        bytes.withUnsafeBytes { raw in
            for unit in AnnexB.units(in: raw) {
                switch raw[unit.lowerBound] & 0x1f {
                case 7: sps.append(Array(raw[unit]))
                case 8: pps.append(Array(raw[unit]))
                case 9: break  // access unit delimiter
                default:
                    withUnsafeBytes(of: UInt32(unit.count).bigEndian) { body += $0 }
                    body += UnsafeRawBufferPointer(rebasing: raw[unit])
                }
            }
        }
        if !sps.isEmpty, !pps.isEmpty {
            let found = AVCConfiguration(sequenceParameterSets: sps, pictureParameterSets: pps)
            if found != configuration, let record = found.record {
                configuration = found
                let size = sps[0].withUnsafeBytes { PayloadInspector.videoSize(codec: .h264, payload: $0) }
                messages.append(metadata(time, width: size?.width, height: size?.height))
                messages.append(message(RTMPMessageType.video, time, VideoTag.payload(.configuration, isKeyFrame: true, record)))
                if !hasBegun { messages += audioConfigurations(time) }
            }
        }
        guard configuration != nil, !body.isEmpty, hasBegun || isKeyFrame else { return messages }
        hasBegun = true
        messages.append(message(RTMPMessageType.video, time, VideoTag.payload(.frame, isKeyFrame: isKeyFrame, body)))
        // Sound from long before would make players run behind by as much.
        let oldest = UInt32(truncatingIfNeeded: max(0, time - Self.longestLead))
        messages += waiting.filter { $0.timestamp >= oldest }
        waiting = []
        return messages
    }

    private mutating func audio(_ track: Track, _ bytes: [UInt8], _ time: Int64, _ arrival: Instant) -> [RTMPMessage] {
        let frame = message(RTMPMessageType.audio, time, AudioTag.payload(.frame, bytes))
        if hasBegun { return [frame] }
        if tracks.contains(where: { $0.isVideo && !$0.isSilent }), arrival.span(since: firstArrival ?? arrival) < Self.longestWait {
            waiting.append(frame)
            return []
        }
        hasBegun = true
        let messages = [metadata(time, width: nil, height: nil)] + audioConfigurations(time) + waiting + [frame]
        waiting = []
        return messages
    }

    private func audioConfigurations(_ time: Int64) -> [RTMPMessage] {
        tracks.filter { !$0.isVideo && !$0.config.isEmpty }.map {
            message(RTMPMessageType.audio, time, AudioTag.payload(.configuration, $0.config))
        }
    }

    private func metadata(_ time: Int64, width: Int?, height: Int?) -> RTMPMessage {
        var members: [AMF0Value.Member] = [.init("encoder", .string("Martlet \(Version.current)"))]
        if hasVideo { members.append(.init("videocodecid", 7)) }
        if let width, let height {
            members += [.init("width", .number(Double(width))), .init("height", .number(Double(height)))]
        }
        if let audio = tracks.first(where: { !$0.isVideo }) {
            members += [
                .init("audiocodecid", 10), .init("audiosamplerate", .number(Double(audio.clockRate))), .init("audiosamplesize", 16),
                .init("stereo", .bool(audio.channels > 1)),
            ]
        }
        return message(RTMPMessageType.dataAMF0, time, AMF0Writer.bytes(["onMetaData", .ecmaArray(members)]))
    }

    private func message(_ type: UInt8, _ time: Int64, _ payload: [UInt8]) -> RTMPMessage {
        RTMPMessage(type: type, timestamp: UInt32(truncatingIfNeeded: max(0, time)), payload: payload)
    }
}
