// SPDX-License-Identifier: Apache-2.0
// Figures of sessions, streams and media threads for the statistics page, under the names WCS's console reads.
import MediaIO
import Primitives
import Signalling

struct ServerStatistics: StatSource {
    let sessions: SessionRegistry
    let streams: StreamRegistry
    let agents: AgentRegistry
    let engine: ReactorEngine
    let streamRate: SourceRateLimiter

    func statSections() async -> [StatSection] {
        let clients = sessions.counts
        func count(_ provider: String, _ isPublished: Bool) async -> JSONValue {
            JSONValue(await streams.count(published: isPublished, mediaProvider: provider))
        }
        return [
            StatSection("connection", [
                ("connections", JSONValue(clients.webSocket + clients.rtmp)), ("connections_websocket", JSONValue(clients.webSocket)),
                ("connections_rtmp", JSONValue(clients.rtmp)), ("connections_rtmfp", 0),
            ]),
            StatSection("stream", [
                ("streams_webrtc_in", await count("WebRTC", true)), ("streams_webrtc_out", await count("WebRTC", false)),
                ("streams_rtmp_in", await count("Flash", true)), ("streams_rtmp_out", await count("Flash", false)),
                ("streams_rtsp_in", await count("RTSP", true)), ("streams_rtsp_out", await count("RTSP", false)),
                ("streams_rtmfp_in", 0), ("streams_rtmfp_out", 0), ("streams_websocket_out", 0),
                ("streams_refused_by_rate", .integer(Int64(clamping: streamRate.refused))),
            ]),
            StatSection("agent", [("agents", JSONValue(await agents.count))]),
            await media(),
            await loss(),
            await transcoding(),
        ]
    }

    private func media() async -> StatSection {
        let reactors = await engine.reactorStatistics()
        func sum(_ value: (ReactorStatistics) -> UInt64) -> JSONValue {
            .integer(Int64(clamping: reactors.reduce(UInt64(0)) { $0 &+ value($1) }))
        }
        return StatSection("media", [
            ("media_reactors", JSONValue(reactors.count)), ("media_endpoints", JSONValue(reactors.reduce(0) { $0 + $1.endpoints })),
            ("media_datagrams_in", sum(\.receivedDatagrams)), ("media_bytes_in", sum(\.receivedBytes)),
            ("media_datagrams_out", sum(\.sentDatagrams)), ("media_bytes_out", sum(\.sentBytes)),
            ("media_datagrams_unroutable", sum(\.unroutable)),
            ("media_datagrams_dropped_by_socket", sum(\.socketDrops)), ("media_checks_ignored", sum(\.checksIgnored)),
            ("media_handshakes", JSONValue(engine.handshakeStatistics.count)),
            ("media_handshakes_refused", .integer(Int64(clamping: engine.handshakeStatistics.refused))),
            ("media_packets_fragmented", sum(\.sendFailures.fragmented)), ("media_packets_too_large", sum(\.sendFailures.tooLarge)),
            ("media_packets_buffer_full", sum(\.sendFailures.bufferFull)), ("media_packets_unreachable", sum(\.sendFailures.unreachable)),
            ("media_packets_not_sent", sum(\.sendFailures.other)),
            ("media_tcp_connections", JSONValue(reactors.reduce(0) { $0 + $1.tcpConnections })),
            ("media_tcp_accepted", sum(\.tcp.accepted)), ("media_tcp_refused", sum(\.tcp.refused)),
            ("media_tcp_strangers", sum(\.tcp.strangers)), ("media_tcp_packets_in", sum(\.tcp.receivedPackets)),
            ("media_tcp_packets_out", sum(\.tcp.sentPackets)), ("media_tcp_packets_dropped", sum(\.tcp.droppedPackets)),
            ("media_tcp_stalls", sum(\.tcp.stalls)), ("media_tcp_evicted", sum(\.tcp.evicted)),
        ])
    }

    /// Of the peer connections of this moment; each stream's own are at `/stream/find` with `display: ["metrics"]`.
    private func loss() async -> StatSection {
        let endpoints = await engine.statistics().values
        let videos = endpoints.compactMap(\.video)
        func sum(_ value: (TrackStatistics) -> UInt64) -> JSONValue { .integer(Int64(clamping: videos.reduce(UInt64(0)) { $0 &+ value($1) })) }
        return StatSection("loss", [
            ("loss_nacks_unneeded", sum(\.unneededNACKs)), ("loss_packets_recovered", sum(\.recoveredPackets)),
            ("loss_packets_abandoned", sum(\.abandonedPackets)), ("loss_frames_broken", sum(\.brokenFrames)),
            ("loss_retransmissions", sum(\.retransmissions)), ("loss_retransmissions_refused", sum(\.refusedRetransmissions)),
            ("loss_retransmissions_missed", sum(\.missedRetransmissions)), ("loss_frames_dropped", sum(\.droppedFrames)),
            ("loss_packets_of_other_sources", sum(\.otherSourcePackets)), ("loss_packets_misplaced", sum(\.misplacedPackets)),
            ("loss_timestamp_jumps", sum(\.timestampJumps)),
            ("loss_players_without_bandwidth", JSONValue(endpoints.count { $0.lacksBandwidth })),
        ])
    }

    /// The console wants an entry for each published stream, even though none is ever transcoded.
    private func transcoding() async -> StatSection {
        var streamsByName: [String: JSONValue] = [:]
        if let filter = try? StreamFilter(["published": true]) {
            for stream in await streams.find(filter) {
                if let name = stream["name"]?.stringValue { streamsByName[name] = ["distributors": [:]] }
            }
        }
        return StatSection("transcoding", [("transcoding_video_full_info", .object(streamsByName))])
    }
}
