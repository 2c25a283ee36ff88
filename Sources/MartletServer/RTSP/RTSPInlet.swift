// SPDX-License-Identifier: Apache-2.0
// Packets of one connection to a camera on their way into its stream: sorted out by payload type, parameter sets of the description put in,
// those that are too long cut, AAC put on the clock of its samples.
// A value, made by RTSPPull for each connection and owned by RTSPLink.
import MediaIO
import Primitives
import RTP
import RTSP
import SDP

struct RTSPInlet: Sendable {
    enum Outcome: Equatable {
        case media, nothing
        /// To be said in the log.
        case remark(String)
    }

    private struct Track: Sendable {
        /// Among those of the stream.
        var target: Int
        /// What the stream calls the codec's packets.
        var payloadType: UInt8
        var codec: String
        var gate: PayloadTypeGate
        /// Of AAC whose description names another clock than that of its samples.
        var clock: AACClock?
        var markers: PictureMarkers?
        var inserter: ParameterSetInserter?
        var splitter: PacketSplitter
        /// That some are too long; that its markers are wrong.
        var hasTold = false, hasToldMarkers = false
    }
    private let local: any LocalSource
    private var tracks: [Track]
    /// Packets that are too long to be passed on and can't be cut.
    private(set) var tooLong = 0

    /// - Parameters:
    ///   - found: the tracks of this connection.
    ///   - targets: the place of each among `formats`, those of the stream.
    init(into local: any LocalSource, found: [RTSPTrack], targets: [Int], formats: [TrackFormat]) {
        self.local = local
        tracks = zip(found, targets).map { track, target in
            let codec = track.format.codec, kind = CodecKind(encodingName: codec.name)
            let payloadType = formats[target].codec.payloadType
            let format = AACPayloadFormat { codec.parameters[$0] } ?? AACPayloadFormat()
            return Track(
                target: target, payloadType: payloadType, codec: codec.name,
                gate: PayloadTypeGate(described: codec.payloadType, codec: kind, mayAdopt: track.isOnlyFormat),
                clock: kind == .aac
                    ? AudioSpecificConfig(track.format.aacConfig).flatMap {
                        AACClock(
                            described: codec.clockRate, clockRate: formats[target].withClockRateOfCodec.codec.clockRate, sampleRate: $0.sampleRate,
                            format: format)
                    }
                    : nil,
                markers: kind == .h264 || kind == .h265 ? PictureMarkers(codec: kind) : nil,
                inserter: kind == .h264
                    ? ParameterSetInserter(parameterSets: Base64.parameterSets(codec.parameters["sprop-parameter-sets"] ?? ""), payloadType: payloadType)
                    : nil,
                splitter: PacketSplitter(codec: kind, format: AACPayloadFormat { formats[target].codec.parameters[$0] } ?? AACPayloadFormat()))
        }
    }

    mutating func take(_ bytes: [UInt8], track: Int, isReport: Bool, at now: Instant) -> Outcome {
        guard tracks.indices.contains(track) else { return .nothing }
        if isReport {
            let packets = bytes.withUnsafeBytes { try? RTCP.parse($0, readsTransportFeedback: false) } ?? []
            for case .senderReport(let report) in packets {
                let timestamp = tracks[track].clock == nil ? report.rtpTimestamp : tracks[track].clock?.ofTrack(report.rtpTimestamp)
                if let timestamp { local.report(track: tracks[track].target, ntp: report.ntpTimestamp, timestamp: timestamp) }
            }
            return .nothing
        }
        guard bytes.count > 12 else { return .nothing }
        switch tracks[track].gate.take(bytes, at: now) {
        case .take: return write(bytes, track)
        case .adopted(let held):
            let gate = tracks[track].gate
            var remarks = ["its packets have payload type \(gate.adopted ?? 0), its description says \(gate.described): they are taken all the same"]
            for packet in held {
                if case .remark(let text) = write(packet, track) { remarks.append(text) }
            }
            return .remark(remarks.joined(separator: "; "))
        case .unknown(let type):
            return .remark("its packets have payload type \(type), its description says \(tracks[track].gate.described): they are left out")
        case .drop: return .nothing
        }
    }

    private mutating func write(_ bytes: [UInt8], _ index: Int) -> Outcome {
        var bytes = bytes
        bytes[1] = bytes[1] & 0x80 | tracks[index].payloadType
        let onTime = tracks[index].clock?.take(bytes) ?? [bytes]
        let wasMending = tracks[index].markers?.isMending ?? false
        let marked = onTime.flatMap { tracks[index].markers?.take($0) ?? [$0] }
        let whole = marked.flatMap { tracks[index].inserter?.take($0) ?? [$0] }
        let cut = whole.flatMap { tracks[index].splitter.take($0) }
        let packets = cut.filter { $0.count <= PacketRing.maximumPacketLength }
        _ = local.write(track: tracks[index].target, packets: packets)
        guard packets.count < cut.count else {
            guard !wasMending, tracks[index].markers?.isMending == true, !tracks[index].hasToldMarkers else { return .media }
            tracks[index].hasToldMarkers = true
            return .remark("its markers don't say where a picture ends; they are put right")
        }
        tooLong += cut.count - packets.count
        guard !tracks[index].hasTold else { return .nothing }
        tracks[index].hasTold = true
        return .remark("packets of \(bytes.count) bytes of \(tracks[index].codec) are too long and can't be cut: they are left out")
    }

    /// Where the tracks of a camera that is back belong among those that its stream has; `nil` when they are others.
    static func targets(of found: [TrackFormat], in formats: [TrackFormat]) -> [Int]? {
        guard found.count == formats.count else { return nil }
        var targets: [Int] = []
        for track in found {
            let place = formats.indices.first { !targets.contains($0) && isSame(track, formats[$0]) }
            guard let place else { return nil }
            targets.append(place)
        }
        return targets
    }

    /// Payload types and parameter sets may be others: the former are put right, the latter come with the packets. An AAC track's
    /// configuration comes by the description only.
    private static func isSame(_ one: TrackFormat, _ other: TrackFormat) -> Bool {
        let config = { (track: TrackFormat) in track.codec.parameters["config"]?.lowercased() }
        return one.kind == other.kind && one.codec.name == other.codec.name && one.codec.clockRate == other.codec.clockRate
            && (CodecKind(encodingName: one.codec.name) != .aac || config(one) == config(other))
    }

    /// The format of a camera's track as the stream has it: what its parameter sets say besides.
    static func completed(_ track: RTSPTrack) -> TrackFormat {
        var format = track.format.withClockRateOfCodec
        // The length of a frame is counted by the clock of the description.
        if format.codec.clockRate != track.format.codec.clockRate { format.codec.parameters["constantduration"] = nil }
        guard CodecKind(encodingName: format.codec.name) == .h264 else { return format }
        let sets = Base64.parameterSets(format.codec.parameters["sprop-parameter-sets"] ?? "")
        if let sps = sets.first(where: { ($0.first ?? 0) & 0x1f == 7 }) {
            if format.codec.parameters["profile-level-id"] == nil {
                format.codec.parameters["profile-level-id"] = H264Framing.profileLevelID(ofSPS: sps)
            }
            format.isReordered = H264Framing.reorders(sps: sps) ?? false
        }
        // Units that are too long come in fragments, whatever the camera does.
        if format.codec.parameters["packetization-mode"] != "2" { format.codec.parameters["packetization-mode"] = "1" }
        return format
    }
}
