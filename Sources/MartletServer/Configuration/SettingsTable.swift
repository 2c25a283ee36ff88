// SPDX-License-Identifier: Apache-2.0
// The declarative table of all settings: the loader, `martlet config` and docs/settings.md are made from it.
// A new setting is a property in `Settings` plus a line here.
import Recording

/// All settings, in the order of the documentation.
public enum SettingsTable {
    public static let all: [SettingDefinition] = addresses + files + media + signalling + rtmp + rooms + snapshots + recording + agents + rest + limits + logs

    /// Keys and aliases, lower case, to their definition.
    static let byName: [String: SettingDefinition] = {
        var names: [String: SettingDefinition] = [:]
        for definition in all {
            for name in [definition.key] + definition.aliases { names[name.lowercased()] = definition }
        }
        return names
    }()

    /// Environment variables to their definition.
    static let byEnvironmentName: [String: SettingDefinition] = {
        var names: [String: SettingDefinition] = [:]
        for definition in all {
            for name in [definition.key] + definition.aliases {
                names[SettingDefinition.environmentName(for: name)] = definition
            }
        }
        return names
    }()

    private static let addresses: [SettingDefinition] = [
        .port("ws.port", \.websocketPort, "WebSocket signalling (`ws://`)."),
        .port("wss.port", \.secureWebsocketPort, "WebSocket signalling over TLS (`wss://`)."),
        .port("http.port", \.httpPort, "REST, pages and statistics over HTTP."),
        .port("https.port", \.httpsPort, "REST, pages and statistics over HTTPS. Browsers give a page the camera only over HTTPS or on `localhost`."),
        .port("rtsp.port", \.rtspPort, "RTSP server: `rtsp://host:5554/<stream>`. See [RTSP](rtsp.md)."),
        .port("rtmp.port", \.rtmpPort, "RTMP: encoders, players and room clients. See [RTMP](rtmp.md)."),
        .port("rtmps.port", \.rtmpsPort, "RTMP over TLS (`rtmps://`)."),
        .string("bind_address", aliases: ["ws.address", "http.address"], .addresses, \.bindAddress, type: "address",
                allowed: "a literal IPv4 or IPv6 address, or * for all",
                accepts: { $0 == "*" || NetworkAddress.isLiteral($0) },
                "Address the listeners bind to; `*` is every address, IPv6 included where the machine has it. Media ports always bind to every address."),
        .list("ip", .addresses, \.publicAddresses, allowed: "a comma-separated list of addresses or host names", mayBeEmpty: true,
              normalise: { NetworkAddress.isLiteral($0) || NetworkAddress.isHostName($0) ? $0 : nil },
              "Public addresses that clients are told to send media to (ICE candidates). Host names are resolved at start. Empty: every address of the machine."),
        .flag("offer_loopback", .addresses, \.offersLoopback,
              "While `ip` is empty, also offer loopback addresses, for browsers on the same machine."),
    ]

    private static let files: [SettingDefinition] = [
        .string("state_dir", .files, \.stateDirectory, type: "folder", allowed: "the path of a folder",
                accepts: { !$0.isEmpty },
                "Folder for everything that outlives a restart: certificates, records. Made when missing."),
        .string("web_root", .files, \.webRoot, type: "folder", allowed: "the path of a folder",
                "Folder with the pages and the browser SDK. Empty: `Web` in the working directory or beside the program; no pages when there is none."),
        .string("ssl_certificate_file", aliases: ["wss.certificate.file", "https.certificate.file"], .files, \.certificateFile,
                type: "file", allowed: "the path of a PEM file",
                "Certificate chain (PEM) for `wss://` and `https://`. Empty: a self-signed one, made at first start under `state_dir`."),
        .string("ssl_private_key_file", aliases: ["wss.private_key.file", "https.private_key.file"], .files, \.privateKeyFile,
                type: "file", allowed: "the path of a PEM file",
                "Private key (PEM, not encrypted) that belongs to `ssl_certificate_file`."),
    ]

    private static let media: [SettingDefinition] = [
        .integer("media_port_from", .media, \.mediaPortFrom, 0...65_535, unit: "port",
                 "First media port; each reactor takes one, counting up. `0`: any free ports."),
        .integer("media_port_to", .media, \.mediaPortTo, 0...65_535, unit: "port",
                 "Last media port, inclusive. Must leave room for one port per reactor."),
        .integer("reactors", .media, \.reactors, 0...256, "Media threads. `0`: one per core."),
        .integer("players_per_reactor", .media, \.playersPerReactor, 1...1_000_000,
                 "Players of one stream on its media thread before further ones are put on others, where there are any."),
        .flag("ice_tcp", .media, \.mediaOverTCP,
              "Take media over TCP as well, on the numbers of the media ports (ICE-TCP), and offer that to clients behind UDP: browsers use it where a firewall lets no UDP through. See [firewalls](firewalls.md)."),
        .flag("ice_tcp_transport", .media, \.mediaOverTCPOnly,
              "Offer TCP only. A client can ask for the other by `transport: \"UDP\"` or `\"TCP\"` of a stream."),
        .integer("ice_tcp_channel_high_water_mark", .media, \.tcpHighWaterMark, 65_536...1_073_741_824, unit: "bytes",
                 "When more is waiting for a slow TCP viewer, its media is dropped, the others' is not."),
        .integer("ice_tcp_channel_low_water_mark", .media, \.tcpLowWaterMark, 0...1_073_741_824, unit: "bytes",
                 "A TCP viewer that was too slow gets media again, from a new key frame on, when no more than this is left to be sent."),
        .milliseconds("ice_tcp_channel_max_delay", .media, \.tcpMaximumDelay, 100...600_000,
                      "Media that has waited for a slow TCP viewer for this long is dropped like that above the high mark."),
        .flag("rtsp_udp", .media, \.rtspOverUDP, "Fetch streams from cameras over UDP instead of TCP; where one is refused the other is tried. See [RTSP](rtsp.md)."),
        .flag("rtsp_pull_by_name", .media, \.rtspPullByName,
              "Who plays a stream whose name is an `rtsp://` address makes the server fetch it from there. `false`: only `/rtsp/startup` does."),
        .milliseconds("rtsp_idle_timeout", .media, \.rtspIdleTimeout, 0...86_400_000,
                      "A stream that was fetched for a player ends this long after the last one left."),
        .milliseconds("rtsp_connect_timeout", .media, \.rtspConnectTimeout, 100...120_000,
                      "A camera must accept a connection within this time."),
        .milliseconds("rtsp_activity_timeout", .media, \.rtspActivityTimeout, 1_000...3_600_000,
                      "A camera that sends nothing for this long is called again."),
        .milliseconds("rtsp_reconnect_timeout", .media, \.rtspReconnectTimeout, 0...86_400_000,
                      "A camera that can't be had again for this long is given up, and its stream ends. 0: it is called until somebody ends the stream, or nobody plays one that was fetched for a player."),
        .milliseconds("rtsp_client_idle_timeout", .media, \.rtspClientIdleTimeout, 500...3_600_000,
                      "A client of the RTSP server that is not playing, and says nothing whole for this long, is dropped."),
        .milliseconds("rtsp_write_timeout", .media, \.rtspWriteTimeout, 500...600_000,
                      "A client of the RTSP server that takes no media for this long is dropped."),
        .flag("bframes_disabled", .media, \.refusesReordered,
              "Refuse publishers by RTMP, and cameras, whose video has B-frames. `false`: it is encoded anew for those who can't take it."),
        .string("rtsp_client_address", .media, \.rtspClientAddress, type: "address", allowed: "a literal address of this machine",
                accepts: { $0.isEmpty || NetworkAddress.isLiteral($0) },
                "Address that connections to cameras come from. Empty: the system's choice."),
        .flag("transcoding_disabled", .media, \.transcodingDisabled,
              "Never convert a track to another codec: who can't take a stream's codec fails with `Transcoding required, but disabled`. See [conversions](bridges.md)."),
        .integer("transcoding_workers", .media, \.transcodingWorkers, 1...1024,
                 "Processes that convert at most. Each serves the streams of one publisher, as long as there are enough. They are started on demand and end when idle."),
        .milliseconds("transcoding_idle_timeout", .media, \.transcodingIdleTimeout, 0...3_600_000,
                      "A conversion that nobody needs any more is kept for this long."),
        .list("ice_servers", .media, \.iceServers, allowed: "a comma-separated list of stun:host:port or turn:host:port?transport=udp|user|password",
              mayBeEmpty: true, normalise: { ICEServerLink($0) == nil ? nil : $0 },
              "STUN and TURN servers that WHIP and WHEP clients are told by `Link` headers, such as `turn:turn.example.org:3478?transport=tcp|name|password`."),
        .milliseconds("ice_timeout", .media, \.iceTimeout, 1_000...600_000,
                      "A peer that is not connected within this time fails with `Failed by ICE timeout`."),
        .milliseconds("ice_consent_timeout", .media, \.iceConsentTimeout, 2_000...600_000,
                      "A connected peer that is silent for this long fails with `Failed by ICE keep alive`."),
        .milliseconds("rtp_activity_timeout", .media, \.rtpActivityTimeout, 1_000...86_400_000,
                      "A publisher that sends no media for this long fails with `Failed by RTP activity`."),
        .flag("periodic_fir_request", .media, \.periodicKeyFrameRequest,
              "Ask every publisher for a key frame at regular intervals."),
        .milliseconds("periodic_fir_request_interval", .media, \.periodicKeyFrameInterval, 500...3_600_000,
                      "The interval of `periodic_fir_request`."),
        .milliseconds("key_frame_interval", .media, \.refreshInterval, 0...600_000,
                      "While somebody takes a stream who can't ask for key frames (RTMP players and pushes, RTSP players, recordings), its WebRTC publisher is asked for one whenever none has come for this long; whoever joins there later waits no longer than that. `0`: never."),
        .milliseconds("rtcp_pli_request_interval", .media, \.keyFrameRequestGap, 100...60_000,
                      "Smallest gap between two key frame requests to one publisher."),
        .integer("webrtc_cc_min_bitrate", .media, \.publisherMinimumBitrate, 10_000...1_000_000_000, unit: "bit/s",
                 "A publisher is never told to send less video than this, whatever `maxBitrate` it asked for."),
        .integer("webrtc_cc_max_bitrate", .media, \.publisherMaximumBitrate, 10_000...1_000_000_000, unit: "bit/s",
                 "A publisher is told (REMB) not to send more than this; its own `maxBitrate` can only lower it."),
        .list("codecs_video", .media, \.videoCodecs, allowed: "a comma-separated list of H264, VP8, VP9, AV1", mayBeEmpty: false,
              normalise: { codec($0, of: ["H264", "VP8", "VP9", "AV1"]) },
              "Video codecs taken from publishers, most wanted first."),
        .list("codecs_audio", .media, \.audioCodecs, allowed: "a comma-separated list of opus, PCMU, PCMA, G722", mayBeEmpty: false,
              normalise: { codec($0, of: ["opus", "PCMU", "PCMA", "G722"]) },
              "Audio codecs taken from publishers, most wanted first. `ulaw` and `alaw` are understood."),
    ]

    private static let signalling: [SettingDefinition] = [
        .milliseconds("keep_alive.server_interval", .signalling, \.keepAliveInterval, 100...3_600_000,
                      "The server pings each WebSocket session this often."),
        .integer("keep_alive.probes", .signalling, \.keepAliveProbes, 1...1_000,
                 "A session that leaves this many pings in a row unanswered is dropped."),
    ]

    private static let rtmp: [SettingDefinition] = [
        .milliseconds("rtmp_connect_timeout", .rtmp, \.rtmpConnectTimeout, 500...600_000,
                      "A client that has not finished its handshake, connected and begun a stream or joined a room within this time is dropped."),
        .milliseconds("rtmp_idle_timeout", .rtmp, \.rtmpIdleTimeout, 1_000...86_400_000,
                      "A publisher from which nothing has come for this long is dropped."),
        .milliseconds("rtmp_write_timeout", .rtmp, \.rtmpWriteTimeout, 1_000...600_000,
                      "A player that has taken nothing for this long is dropped. One that is merely slow misses pictures, up to the next key frame."),
    ]

    private static let rooms: [SettingDefinition] = [
        .milliseconds("room.idle_timeout", aliases: ["room_idle_timeout"], .rooms, \.roomIdleTimeout, 0...86_400_000,
                      "An empty room whose last participant was lost without leaving it is kept for this long."),
        .integer("room.max_rooms", .rooms, \.maximumRooms, 1...1_000_000,
                 "Rooms at the same time. Empty ones that are only kept give way to new ones."),
        .integer("room.max_rooms_per_address", .rooms, \.maximumRoomsPerAddress, 1...1_000_000,
                 "Of these, opened from one address; IPv6 addresses count by /64. Raise it where a proxy makes everybody one address."),
        .integer("room.max_participants", .rooms, \.maximumRoomParticipants, 1...10_000, "Participants of one room."),
        .integer("room.max_rooms_per_session", .rooms, \.maximumRoomsPerSession, 1...10_000,
                 "Rooms that one session may be in at the same time."),
        .integer("room.max_message_length", .rooms, \.maximumRoomMessageLength, 1...1_048_576, unit: "bytes",
                 "Largest text message, in UTF-8."),
        .integer("room.max_message_rate", .rooms, \.maximumRoomMessageRate, 1...10_000,
                 "Text messages per second that a participant may send to each of the others, on average over five seconds: a line of chat is one message to everybody. Nobody gets more than five times as many from all together."),
        .flag("room.members_only", .rooms, \.roomMembersOnly,
              "Streams of a room are played by its participants only. `false`: by anybody who knows the name, such as `/pull/pull` of another server."),
        .flag("room.loudest_only", .rooms, \.roomLoudestOnly,
              "Sound of participants who are silent is not forwarded, by the levels that their browsers send (RFC 6464)."),
    ]

    private static let snapshots: [SettingDefinition] = [
        .milliseconds("snapshot_taking_interval_ms", .snapshots, \.snapshotInterval, 100...60_000,
                      "A request for a picture is answered within this time, by 500 and the reason if there is none."),
        .integer("snapshot_png_compression", .snapshots, \.snapshotCompression, 0...9,
                 "Compression of PNGs: `0` none, `1` quick, `9` smallest and slow."),
        .flag("snapshot_complete_status", .snapshots, \.snapshotCompleteStatus,
              "Tell a WebSocket client of its picture by the older status `SNAPSHOT_COMPLETE` too, besides the event `snapshotCompleted`."),
        .integer("snapshot_workers", .snapshots, \.snapshotWorkers, 1...64,
                 "Processes that decode for snapshots at most, each one picture at a time. They are started on demand and end when idle."),
        .integer("snapshots_per_address", .snapshots, \.snapshotsPerAddress, 0...10_000, unit: "1/s",
                 "Pictures a second that the clients of one address may ask for, by REST and WebSocket; five times as many at once. `0`: any number."),
        .integer("snapshot_auto_interval_ms", .snapshots, \.snapshotAutoInterval, 0...86_400_000, unit: "ms",
                 "Write a picture of every stream this often. `0`: never."),
        .string("snapshot_auto_folder", .snapshots, \.snapshotAutoFolder, type: "folder", allowed: "the path of a folder",
                "Where these pictures go. Empty: `snapshots` under `state_dir`."),
        .string("snapshot_auto_template", .snapshots, \.snapshotAutoTemplate,
                allowed: "a relative path with {streamName} or {mediaSessionId}, and {time} or {timeMillis} if wanted",
                accepts: { GalleryTemplate($0) != nil },
                "How they are called, without the ending. Without a time each picture replaces the one before."),
        .choice("snapshot_auto_format", .snapshots, \.snapshotAutoFormat, "What they are."),
        .integer("snapshot_auto_keep", .snapshots, \.snapshotAutoKeep, 1...100_000, "How many of each stream are kept; the oldest go."),
    ]

    private static let recording: [SettingDefinition] = [
        .flag("record_flash_published_streams", .recording, \.recordsFlashStreams, "Record every stream that is published by RTMP."),
        .flag("record_rtsp_streams", .recording, \.recordsRTSPStreams, "Record every stream that is fetched by RTSP."),
        .flag("record_streams", .recording, \.recordStreams,
              "Record publishers that ask for it by `record: true`. REST can record any stream, whatever is said here."),
        .string("record_folder", aliases: ["records_dir"], .recording, \.recordFolder, type: "folder", allowed: "the path of a folder",
                "Where records go; served below `/client/records/`. Empty: `records` under `state_dir`."),
        .string("record_formats", .recording, \.recordFormats, type: "list",
                allowed: "a comma-separated list of " + RecordFormats.choices.joined(separator: ", "),
                accepts: { RecordFormats($0) != nil },
                "Container by video codec. MP4 gets its sound as AAC, WebM and MKV as Opus. What is not named stays as it is by default: VP9 and AV1 go into WebM. Sound alone is always MP4 with AAC."),
        .string("stream_record_policy_template", .recording, \.recordTemplate,
                allowed: "a text of one line with elements out of " + RecordTemplate.elementNames.map { "{\($0)}" }.joined(separator: ", "),
                accepts: { RecordTemplate($0) != nil },
                "How the files are called, without the ending. Always one file name: separators and signs that mean something to a shell or a link become `_`, and names are cut to 255 bytes."),
        .string("record_rotation", .recording, \.recordRotation, type: "size or time",
                allowed: "a size such as 20M (K, M, G) or a time such as 30m (s, m, h; a plain number is seconds)",
                accepts: { RecordRotation($0) != nil },
                "Go on in another file at the first key frame beyond. Empty: one file."),
        .integer("record_min_free_space", .recording, \.recordMinimumFree, 0...1_048_576, unit: "MB",
                 "A recording ends, and pictures are no longer written by themselves, before less than this is free on the disk; the streams go on."),
        .integer("record_workers", .recording, \.recordWorkers, 1...1024,
                 "Processes that write records at most. Each serves the streams of one publisher, up to 32 at a time; where there are more publishers than processes, those of one address share first. They are started on demand and end when idle."),
        .integer("record_quota_per_address", .recording, \.recordQuotaPerAddress, 0...1_073_741_824, unit: "MB",
                 "What the publishers of one address may have recorded by `record: true` while the server runs; their recordings end then. `0`: any amount. Recordings begun by REST don't count."),
        .string("on_record_hook_script", .recording, \.recordHookScript, type: "file", allowed: "the path of a program",
                "Run for each finished file, with the stream's name and the file's absolute path. A relative path lies in the folder `bin` of the working directory, or in `tools`. Empty: none."),
        .milliseconds("record_hook_timeout", .recording, \.recordHookTimeout, 100...86_400_000,
                      "A hook script and what it has started are killed after this time."),
        .flag("enable_empty_shift_writer", .recording, \.recordAlignsRooms,
              "Let the records of all streams of a room begin when its first stream was published, with black pictures and silence, so that they can be laid over each other."),
        .string("on_multiple_record_hook_script", .recording, \.multipleRecordHookScript, type: "file", allowed: "the path of a program",
                "Run for each finished record of several streams, such as a room, with four arguments: the file's absolute path, when it was begun (ms since 1970), its length (ms), its address. A relative path lies in the folder `bin` of the working directory, or in `tools`, as does that of the default, which mixes the record. Empty: none."),
        .milliseconds("multiple_record_hook_timeout", .recording, \.multipleRecordHookTimeout, 0...86_400_000,
                      "That script and what it has started are killed after this time. `0`: never."),
    ]

    private static let agents: [SettingDefinition] = [
        .flag("wcs_agent_ssl", .agents, \.agentSSL,
              "`true`: `/pull/push` and `/pull/pull` use and demand `wss://`. Set it on both servers."),
        .string("wcs_agent_ca_file", .agents, \.agentCAFile, type: "file", allowed: "the path of a PEM file",
                "Certificate authorities (PEM) trusted for other servers, besides those of the system."),
        .flag("wcs_agent_verify_certificate", .agents, \.agentVerifiesCertificate,
              "`false`: take any certificate of another server. Only for tests and closed networks."),
        .milliseconds("wcs_agent_timeout", .agents, \.agentTimeout, 500...120_000,
                      "The other server must have accepted within this time, otherwise the REST call answers 500."),
        .flag("wcs_agent_reconnect", .agents, \.agentReconnects,
              "Bring a broken link back for as long as its local stream lives."),
        .milliseconds("wcs_agent_reconnect_delay_min", .agents, \.agentReconnectDelayMin, 10...600_000,
                      "Pause before the first reconnect; it doubles with each failure."),
        .milliseconds("wcs_agent_reconnect_delay_max", .agents, \.agentReconnectDelayMax, 10...600_000,
                      "Longest pause between reconnects."),
        .integer("wcs_agent_reconnect_attempts", .agents, \.agentReconnectAttempts, 0...1_000_000,
                 "Failures in a row after which a link is given up. `0`: never."),
    ]

    private static let rest: [SettingDefinition] = [
        .string("rest_access_control_allow_origin", .rest, \.accessControlAllowOrigin, accepts: isHeaderValue,
                "`Access-Control-Allow-Origin` of REST answers."),
        .string("rest_access_control_allow_headers", .rest, \.accessControlAllowHeaders, accepts: isHeaderValue,
                "`Access-Control-Allow-Headers` of REST answers."),
        .string("rest_access_control_allow_methods", .rest, \.accessControlAllowMethods, accepts: isHeaderValue,
                "`Access-Control-Allow-Methods` of REST answers."),
        .string("rest_access_control_headers", .rest, \.accessControlHeaders, allowed: "Name: value;Name: value",
                accepts: { CrossOriginHeaders.parse($0) != nil },
                "Complete list of such headers, `Name: value;Name: value`. Replaces the three above when set."),
        .flag("disable_rest_auth", .rest, \.restAuthDisabled,
              "`false`: REST and statistics want HTTP Basic credentials of a user in `rest_users`."),
        .string("rest_users", .rest, \.restUsersFile, type: "file", allowed: "the path of a file",
                "File with one `name:password` per line, for `disable_rest_auth=false`. Keep it readable by the server only."),
    ]

    private static let limits: [SettingDefinition] = [
        .integer("max_sessions", .limits, \.maximumSessions, 1...1_000_000, "Open WebSocket sessions."),
        .integer("max_streams", .limits, \.maximumStreams, 1...1_000_000, "Published streams."),
        .integer("max_streams_per_address", .limits, \.maximumStreamsPerAddress, 1...1_000_000,
                 "Of these, published from one address; IPv6 addresses count by /64. Streams that this server fetches don't count."),
        .integer("max_streams_per_session", .limits, \.maximumStreamsPerSession, 1...100_000,
                 "Streams that one session publishes and plays."),
        .integer("max_endpoints", .limits, \.maximumEndpoints, 1...1_000_000, "Peer connections of the whole server."),
        .integer("max_dtls_handshakes", .limits, \.maximumHandshakes, 1...1_000_000,
                 "DTLS handshakes of peers that have begun and are not through; each holds some 60 kB. One more waits until a place is free: clients repeat their first record. A handshake may take 10 s, and 3 s while more than half of the places are taken."),
        .integer("max_dtls_handshakes_per_address", .limits, \.maximumHandshakesPerAddress, 1...1_000_000,
                 "Of these, from one address; IPv6 addresses count by /64."),
        .integer("rtsp_max_clients", .limits, \.maximumRTSPClients, 1...100_000, "Connections to the RTSP server."),
        .integer("rtsp_max_clients_per_address", .limits, \.maximumRTSPClientsPerAddress, 1...100_000, "Of these, from one address."),
        .integer("max_transcoders", .limits, \.maximumTranscoders, 1...10_000,
                 "Tracks converted at the same time; who needs one more fails with `No available transcoders`."),
        .integer("max_transcoders_per_address", .limits, \.maximumTranscodersPerAddress, 0...10_000,
                 "Of these, begun for clients of one address. `0`: any number."),
        .integer("max_rtmp_connections", .limits, \.maximumRTMPConnections, 1...60_000, "Connections on the RTMP ports."),
        .integer("max_rtmp_connections_per_address", .limits, \.maximumRTMPConnectionsPerAddress, 1...60_000,
                 "Connections on the RTMP ports from one address."),
        .integer("max_session_rate", .limits, \.maximumSessionRate, 1...1_000_000,
                 "Streams per second published and played from one address, by signalling, WHIP or WHEP; four times as many at once. More get FAILED, or the status 429."),
        .integer("ice_tcp_max_connections", .limits, \.maximumTCPConnections, 1...60_000, "TCP connections on the media ports."),
        .integer("ice_tcp_max_connections_per_address", .limits, \.maximumTCPConnectionsPerAddress, 1...60_000,
                 "TCP connections on the media ports from one address, which may be that of a whole company."),
        .integer("max_agents", .limits, \.maximumAgents, 1...100_000, "Links to other servers."),
        .integer("max_message_size", .limits, \.maximumMessageSize, 65_536...67_108_864, unit: "bytes",
                 "Largest WebSocket message taken from a client."),
        .integer("max_send_queue", .limits, \.maximumSendQueue, 65_536...1_073_741_824, unit: "bytes",
                 "Bytes that may wait for one slow WebSocket client before it is dropped."),
        .integer("max_http_connections", .limits, \.maximumHTTPConnections, 1...1_000_000,
                 "Connections on the HTTP and HTTPS ports together. More are answered 503, or closed."),
        .integer("max_http_connections_per_address", .limits, \.maximumHTTPConnectionsPerAddress, 1...1_000_000,
                 "Of these, from one address; IPv6 addresses count by /64. Raise it where a proxy makes everybody one address."),
        .integer("memory_budget", .limits, \.memoryBudget, 0...1_048_576, unit: "MB",
                 "Memory that may be held for remotes in all: messages and bodies that are not complete, send queues, streams' newest packets. Above four fifths of it no new work is taken (503, 429, or a closed connection, with words) and the largest holders go first. `0`: half of the machine's memory, or of the container's limit; less than 32 counts as 32."),
        .integer("memory_per_address", .limits, \.memoryPerAddress, 1...1_048_576, unit: "MB",
                 "Of this, what one address may make the server hold; IPv6 addresses count by /64. Beyond it, the largest holders of that address go. Raise it where a proxy makes everybody one address."),
    ]

    private static let logs: [SettingDefinition] = [
        .choice("log_level", .logs, \.logLevel, "How much is logged."),
        .choice("log_format", .logs, \.logFormat, "`text` for people, `json` for machines: one object per line."),
    ]

    /// The canonical spelling of a codec out of a list, by RTP or WCS name.
    private static func codec(_ name: String, of allowed: [String]) -> String? {
        let name = ["ulaw": "PCMU", "alaw": "PCMA"][name.lowercased()] ?? name
        return allowed.first { $0.lowercased() == name.lowercased() }
    }

    @Sendable private static func isHeaderValue(_ text: String) -> Bool {
        text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f }
    }
}
