// SPDX-License-Identifier: Apache-2.0
// Video messages of an encoder: configurations, and frames as access units.
import Primitives
import RTMP
import RTP

extension IngestState {
    mutating func take(_ tag: VideoTag, _ message: RTMPMessage, _ now: Instant, _ actions: inout [Action]) throws(RTMPError) {
        guard admits(trackID: tag.trackID, hasOthers: tag.hasOtherTracks, isVideo: true, &actions) else { return }
        guard tag.codec.isAccepted else { throw .unsupported("video codec \(tag.codec.name); send H.264") }
        let body = message.payload[tag.body(of: message.payload)]
        switch tag.content {
        case .configuration:
            configure(tag.codec, tag.codec == .avc ? try Self.configuration(body) : nil, &actions)
        case .frame:
            guard !body.isEmpty else { return }
            let time = clock.time(of: message.timestamp, isVideo: true, at: now)
            if tag.codec == .avc {
                takeUnits(tag, body, message.timestamp, time, now, &actions)
            } else {
                // These codecs describe themselves in their key frames: no configuration has to come first.
                if video != tag.codec {
                    guard tag.isKeyFrame || video == nil && tag.codec == .vp8 else {
                        counts.unusable += 1
                        return note("\(tag.codec.name) comes without a configuration; it is left out until a key frame comes", &actions)
                    }
                    configure(tag.codec, nil, &actions)
                }
                deliver(IngestFrame(isVideo: true, bytes: Array(body), time: time, isKeyFrame: tag.isKeyFrame), now, &actions)
            }
        case .endOfSequence: for unit in accessUnits.flush() { deliver(unit, now, &actions) }
        case .other: break
        }
    }

    private mutating func takeUnits(
        _ tag: VideoTag, _ body: ArraySlice<UInt8>, _ timestamp: UInt32, _ time: MediaTime, _ now: Instant, _ actions: inout [Action]
    ) {
        let given = TimeSpan.milliseconds(Int64(tag.compositionTime))
        let composition = given.magnitude <= Self.longestComposition ? given : .zero
        let lengthSize = configuration?.lengthSize ?? 4
        if configuration == nil || video != .avc {
            guard let found = Self.sets(AccessUnits.parameterSets(body, lengthSize: lengthSize), lengthSize) else {
                counts.unusable += 1
                return note("H.264 comes before its parameter sets; it is left out until they come", &actions)
            }
            configure(.avc, found, &actions)
        }
        let result = accessUnits.take(
            body, lengthSize: lengthSize, timestamp: timestamp, time: time + composition, composition: composition, isFlaggedKey: tag.isKeyFrame)
        if result.isUnreadable {
            counts.unusable += 1
            note("Video messages hold no H.264 units behind lengths of \(lengthSize) bytes, and none behind start codes; they are left out", &actions)
        }
        if result.isAnnexB {
            counts.annexB += 1
            note("The publisher sends H.264 behind start codes (Annex B) where FLV has lengths; it is put right", &actions)
        }
        for unit in result.units { deliver(unit, now, &actions) }
    }

    private mutating func deliver(_ unit: AccessUnits.Unit, _ now: Instant, _ actions: inout [Action]) {
        if compositions.count < 2 { compositions.append(unit.composition) }
        deliver(IngestFrame(isVideo: true, bytes: unit.bytes, time: unit.time, isKeyFrame: unit.isKeyFrame), now, &actions)
    }

    private mutating func configure(_ codec: VideoFourCC, _ configuration: AVCConfiguration?, _ actions: inout [Action]) {
        if video != codec {
            compositions = []
            accessUnits = AccessUnits()
        }
        let isNew = self.configuration != configuration
        video = codec
        self.configuration = configuration
        guard isNew, let configuration, phase == .running, let track = tracks.firstIndex(where: { $0.isVideo }), case .h264(_, let reorders) = tracks[track]
        else { return }
        replaceTrack(track, with: .h264(configuration, reorders: reorders))
        actions.append(.update(track: track, parameterSets: configuration.parameterSets))
    }

    /// Whether frames come in another order than they are shown in: as the SPS says, or else by the first two frames. What neither of them shows,
    /// the source finds out.
    var reorders: Bool? {
        if let sps = configuration?.sequenceParameterSets.first, let said = H264Framing.reorders(sps: sps) { return said }
        guard let first = compositions.first else { return nil }
        if first == .zero { return false }
        // The same offset for all frames only delays them.
        return compositions.count < 2 ? nil : (compositions[1] - first).magnitude > .milliseconds(5)
    }

    /// An AVCDecoderConfigurationRecord, or parameter sets behind start codes in its place.
    private static func configuration(_ body: ArraySlice<UInt8>) throws(RTMPError) -> AVCConfiguration {
        do throws(RTMPError) { return try AVCConfiguration(parsing: body) } catch {
            guard body.starts(with: [0, 0, 1]) || body.starts(with: [0, 0, 0, 1]), let found = sets(H264Framing.parameterSets(inAnnexB: Array(body)), 4)
            else { throw error }
            return found
        }
    }

    private static func sets(_ units: [[UInt8]], _ lengthSize: Int) -> AVCConfiguration? {
        let sequence = units.filter { $0[0] & 0x1f == 7 && $0.count >= 4 }, picture = units.filter { $0[0] & 0x1f == 8 }
        guard !sequence.isEmpty, !picture.isEmpty, units.reduce(0, { $0 + $1.count }) <= AVCConfiguration.maximumBytes else { return nil }
        return AVCConfiguration(sequenceParameterSets: sequence, pictureParameterSets: picture, lengthSize: lengthSize)
    }

    /// Of several tracks of a kind the first is played.
    mutating func admits(trackID: UInt8, hasOthers: Bool, isVideo: Bool, _ actions: inout [Action]) -> Bool {
        if hasOthers || trackID != 0 {
            counts.otherTracks += 1
            note("The publisher sends several \(isVideo ? "video" : "audio") tracks; the first one is played, the others are left out", &actions)
        }
        return trackID == 0
    }
}
