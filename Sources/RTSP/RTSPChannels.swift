// SPDX-License-Identifier: Apache-2.0
// Which track an interleaved packet belongs to: by the channels that the server agreed to, and by the packet where those don't tell.
// Owned by RTSPClientSession.

struct RTSPChannels: Sendable {
    private struct Use: Sendable { var track: Int, isReport: Bool }
    private var uses: [UInt8: [Use]] = [:]
    /// The source of each track's newest packet, where tracks share a channel.
    private var sources: [Int: UInt32] = [:]

    var numbers: Set<UInt8> { Set(uses.keys) }

    /// Takes what a server says about a track's transport; what was asked for holds where it says nothing that fits.
    /// - Returns: over UDP, the server's port and the address that packets come from, as far as it says them.
    mutating func note(_ transport: String, track: Int, isOverUDP: Bool) -> (port: UInt16?, source: String?) {
        // There are two tracks at most.
        let asked = UInt8(track * 2)
        let answered = RTSPTransport.parse(transport, channel: asked).first
        switch answered?.way {
        case .interleaved(let rtp, let rtcp): agree(track, rtp, rtcp)
        case .udp(_, let server) where isOverUDP: return (server, answered?.source)
        case .udp, nil: if !isOverUDP { agree(track, asked, asked + 1) }
        }
        return (nil, nil)
    }

    private mutating func agree(_ track: Int, _ rtp: UInt8, _ rtcp: UInt8) {
        uses[rtp, default: []].append(Use(track: track, isReport: false))
        uses[rtcp, default: []].append(Use(track: track, isReport: true))
    }

    /// `nil` for what belongs to no track.
    mutating func route(_ channel: UInt8, _ bytes: [UInt8], _ tracks: [RTSPTrack]) -> (track: Int, isReport: Bool)? {
        guard bytes.count >= 8 else { return nil }
        // RFC 5761 §4: where RTCP has its packet type, RTP has no payload type.
        let isReport = (192...223).contains(bytes[1])
        guard let found = uses[channel] else {
            // A channel that nobody agreed to: the payload type may tell.
            let fitting = tracks.indices.filter { tracks[$0].format.codec.payloadType == bytes[1] & 0x7f }
            return !isReport && fitting.count == 1 ? (fitting[0], false) : nil
        }
        if found.count == 1 {
            guard tracks.indices.contains(found[0].track) else { return nil }
            let isMedia = bytes[1] & 0x7f == tracks[found[0].track].format.codec.payloadType
            return (found[0].track, isReport || found[0].isReport && !isMedia)
        }
        // Several tracks were given the same channel.
        let shared = found.map(\.track).filter { tracks.indices.contains($0) }
        func source(_ offset: Int) -> UInt32 { bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) } }
        if isReport { return shared.first { sources[$0] == source(4) }.map { ($0, true) } }
        guard bytes.count >= 12, let track = shared.first(where: { tracks[$0].format.codec.payloadType == bytes[1] & 0x7f }) else { return nil }
        sources[track] = source(8)
        return (track, false)
    }
}
