// SPDX-License-Identifier: Apache-2.0
// Everything that can be set, as typed values. Filled once at start by SettingsLoader from the table in
// SettingsTable; afterwards it is passed by value to whoever needs it and never changes.

/// The settings in force. A fresh value holds the defaults; docs/settings.md lists the key of each.
///
/// Times are in milliseconds, sizes in bytes. A port of `0` means any free port, `-1` means that the listener is off.
public struct Settings: Sendable, Equatable {
    // Addresses and ports

    /// WebSocket signalling without TLS (`ws.port`).
    public var websocketPort = 8080
    /// WebSocket signalling over TLS (`wss.port`).
    public var secureWebsocketPort = 8443
    /// REST, pages and statistics (`http.port`).
    public var httpPort = 8081
    /// REST, pages and statistics over TLS (`https.port`).
    public var httpsPort = 8444
    /// RTSP server (`rtsp.port`).
    public var rtspPort = 5554
    /// RTMP (`rtmp.port`).
    public var rtmpPort = 1935
    /// RTMP over TLS (`rtmps.port`).
    public var rtmpsPort = 1936
    /// Where the listeners bind: a literal address, or `*` for all (`bind_address`). Listeners use `bindHost`.
    public var bindAddress = "*"
    /// Public addresses that go into ICE candidates (`ip`). Literals once the server runs: host names are resolved at start.
    public var publicAddresses: [String] = []
    /// Without `ip`: also offer loopback addresses, so that a browser on the same machine always finds a way (`offer_loopback`).
    public var offersLoopback = true

    // Files

    /// Certificates, records and whatever else must survive a restart (`state_dir`).
    public var stateDirectory = "./var"
    /// Folder of the pages; empty = looked for beside the working directory and the executable (`web_root`).
    public var webRoot = ""
    /// PEM chain for WSS and HTTPS; empty = a self-signed pair under `stateDirectory` (`ssl_certificate_file`).
    public var certificateFile = ""
    /// PEM private key that goes with `certificateFile` (`ssl_private_key_file`).
    public var privateKeyFile = ""

    // Media

    /// First media port; reactor n takes `mediaPortFrom + n`; 0 = any free ports (`media_port_from`).
    public var mediaPortFrom = 31001
    /// Last media port, inclusive (`media_port_to`).
    public var mediaPortTo = 32000
    /// Media threads; 0 = one per core (`reactors`).
    public var reactors = 0
    /// Players of one stream on one media thread before further ones go to others (`players_per_reactor`).
    public var playersPerReactor = 300
    /// Listen for media over TCP on the media ports and offer that behind UDP (`ice_tcp`).
    public var mediaOverTCP = true
    /// Offer TCP only, unless a client asks for UDP (`ice_tcp_transport`).
    public var mediaOverTCPOnly = false
    /// Bytes waiting for one slow TCP receiver above which its media is dropped (`ice_tcp_channel_high_water_mark`).
    public var tcpHighWaterMark = 4_194_304
    /// … and at which it gets media again (`ice_tcp_channel_low_water_mark`).
    public var tcpLowWaterMark = 524_288
    /// Media that has waited this long for a slow TCP receiver is dropped (`ice_tcp_channel_max_delay`).
    public var tcpMaximumDelay = 2_000
    /// Streams are fetched by RTSP over UDP, not over TCP (`rtsp_udp`).
    public var rtspOverUDP = false
    /// Players may ask for a stream by its `rtsp://` address (`rtsp_pull_by_name`).
    public var rtspPullByName = true
    /// A stream fetched for a player ends this long after the last one left (`rtsp_idle_timeout`).
    public var rtspIdleTimeout = 10_000
    /// A camera must accept a connection within this time (`rtsp_connect_timeout`).
    public var rtspConnectTimeout = 5_000
    /// A camera that sends nothing for this long is called again (`rtsp_activity_timeout`).
    public var rtspActivityTimeout = 10_000
    /// A camera that can't be had again for this long is given up; 0 = never (`rtsp_reconnect_timeout`).
    public var rtspReconnectTimeout = 0
    /// Own address for connections to cameras; empty = the system's choice (`rtsp_client_address`).
    public var rtspClientAddress = ""
    /// A client of the RTSP server that is not playing says something at least this often (`rtsp_client_idle_timeout`).
    public var rtspClientIdleTimeout = 20_000
    /// A client of the RTSP server takes media at least this often (`rtsp_write_timeout`).
    public var rtspWriteTimeout = 5_000
    /// Publishers whose video has B-frames are refused (`bframes_disabled`).
    public var refusesReordered = false
    /// Clients of the RTSP server (`rtsp_max_clients`).
    public var maximumRTSPClients = 1_000
    /// … from one address (`rtsp_max_clients_per_address`).
    public var maximumRTSPClientsPerAddress = 200
    /// Nothing is converted from one codec to another (`transcoding_disabled`).
    public var transcodingDisabled = false
    /// Processes that convert (`transcoding_workers`).
    public var transcodingWorkers = 64
    /// Tracks that are converted at the same time (`max_transcoders`).
    public var maximumTranscoders = 64
    /// Of these, begun for clients of one address; 0 = any number (`max_transcoders_per_address`).
    public var maximumTranscodersPerAddress = 16
    /// A conversion that nobody needs any more is kept for this long (`transcoding_idle_timeout`).
    public var transcodingIdleTimeout = 5_000
    /// STUN and TURN servers that WHIP and WHEP clients are told (`ice_servers`).
    public var iceServers: [String] = []
    /// No ICE connection within this time → FAILED (`ice_timeout`).
    public var iceTimeout = 15_000
    /// No valid check or media for this long on a connected pair → FAILED (`ice_consent_timeout`).
    public var iceConsentTimeout = 30_000
    /// A publisher that sends no RTP for this long → FAILED (`rtp_activity_timeout`).
    public var rtpActivityTimeout = 60_000
    /// Ask every publisher for a key frame each `periodicKeyFrameInterval` (`periodic_fir_request`).
    public var periodicKeyFrameRequest = false
    /// (`periodic_fir_request_interval`)
    public var periodicKeyFrameInterval = 5_000
    /// Age of the newest key frame at most, while somebody takes the stream who can't ask (`key_frame_interval`).
    public var refreshInterval = 3_000
    /// Smallest gap between two key frame requests to one publisher (`rtcp_pli_request_interval`).
    public var keyFrameRequestGap = 1_000
    /// A publisher is never told to send less than this, bit/s (`webrtc_cc_min_bitrate`).
    public var publisherMinimumBitrate = 30_000
    /// A publisher is told not to send more than this, bit/s (`webrtc_cc_max_bitrate`).
    public var publisherMaximumBitrate = 10_000_000
    /// SDP encoding names, most wanted first (`codecs_video`).
    public var videoCodecs = ["H264", "VP8", "VP9", "AV1"]
    /// SDP encoding names, most wanted first (`codecs_audio`).
    public var audioCodecs = ["opus", "PCMU", "PCMA", "G722"]

    // Signalling

    /// Server `ping` period (`keep_alive.server_interval`).
    public var keepAliveInterval = 5_000
    /// Missed pongs after which a session is dropped (`keep_alive.probes`).
    public var keepAliveProbes = 10

    // Rooms

    /// How long an empty room is kept whose last participant was lost without `leave` (`room.idle_timeout`).
    public var roomIdleTimeout = 60_000
    /// Rooms at the same time (`room.max_rooms`).
    public var maximumRooms = 10_000
    /// Participants of one room (`room.max_participants`).
    public var maximumRoomParticipants = 100
    /// Rooms that one WebSocket session may be in (`room.max_rooms_per_session`).
    public var maximumRoomsPerSession = 50
    /// Rooms opened from one address (`room.max_rooms_per_address`).
    public var maximumRoomsPerAddress = 2_000
    /// UTF-8 bytes of one text message (`room.max_message_length`).
    public var maximumRoomMessageLength = 16_384
    /// Text messages per second from one participant to each of the others (`room.max_message_rate`).
    public var maximumRoomMessageRate = 20
    /// Streams of a room are played by its participants only (`room.members_only`).
    public var roomMembersOnly = true
    public var roomLoudestOnly = false

    // Snapshots

    /// From the request for a picture to the answer, whatever it is (`snapshot_taking_interval_ms`).
    public var snapshotInterval = 3_000
    /// zlib's level of PNGs, 0…9 (`snapshot_png_compression`).
    public var snapshotCompression = 1
    /// Also tell clients by the older status SNAPSHOT_COMPLETE (`snapshot_complete_status`).
    public var snapshotCompleteStatus = true
    /// Worker processes that decode for snapshots (`snapshot_workers`).
    public var snapshotWorkers = 2
    /// Pictures a second that clients of one address may ask for; 0 = any number (`snapshots_per_address`).
    public var snapshotsPerAddress = 20
    /// Write a picture of every stream this often; 0 = never (`snapshot_auto_interval_ms`).
    public var snapshotAutoInterval = 0
    /// Where to; empty = `snapshots` under `stateDirectory` (`snapshot_auto_folder`).
    public var snapshotAutoFolder = ""
    /// How the files are called, without the ending (`snapshot_auto_template`).
    public var snapshotAutoTemplate = "{streamName}/{time}"
    /// (`snapshot_auto_format`)
    public var snapshotAutoFormat = SnapshotFormat.png
    /// Pictures of each stream that stay (`snapshot_auto_keep`).
    public var snapshotAutoKeep = 10

    // Recording

    /// Streams published by RTMP are recorded (`record_flash_published_streams`).
    public var recordsFlashStreams = false
    /// Streams fetched by RTSP are recorded (`record_rtsp_streams`).
    public var recordsRTSPStreams = false
    /// `record: true` of a publisher is heeded (`record_streams`).
    public var recordStreams = true
    /// Folder of the records; empty = `records` under `stateDirectory` (`record_folder`).
    public var recordFolder = ""
    /// Containers by codec (`record_formats`).
    public var recordFormats = "h264-mp4,vp8-webm"
    /// How the files are called, without the ending (`stream_record_policy_template`).
    public var recordTemplate = "stream-{mediaSessionId}-{login}"
    /// Size or length at which another file is begun; empty = never (`record_rotation`).
    public var recordRotation = ""
    /// Megabytes that have to stay free (`record_min_free_space`).
    public var recordMinimumFree = 512
    /// Processes that write records (`record_workers`).
    public var recordWorkers = 64
    /// Megabytes that publishers of one address may have recorded by their own wish; 0 = any amount (`record_quota_per_address`).
    public var recordQuotaPerAddress = 0
    /// Program run for each finished file (`on_record_hook_script`).
    public var recordHookScript = ""
    /// It is killed after this time (`record_hook_timeout`).
    public var recordHookTimeout = 60_000

    /// Records of a room's streams begin together (`enable_empty_shift_writer`).
    public var recordAlignsRooms = false
    /// Program run for each finished record of several streams (`on_multiple_record_hook_script`).
    public var multipleRecordHookScript = "on_multiple_record_hook.sh"
    /// It is killed after this time; 0 = never (`multiple_record_hook_timeout`).
    public var multipleRecordHookTimeout = 0

    // Agents: links to other servers (pull/push)

    /// true = only wss:// URIs are accepted and wss is used on both sides (`wcs_agent_ssl`).
    public var agentSSL = false
    /// PEM file of extra certificate authorities trusted for the far side (`wcs_agent_ca_file`).
    public var agentCAFile = ""
    /// Check the far side's certificate and host name (`wcs_agent_verify_certificate`).
    public var agentVerifiesCertificate = true
    /// The far side must have accepted within this time, else the REST call says 500 (`wcs_agent_timeout`).
    public var agentTimeout = 10_000
    /// Re-establish a broken link while the local stream lives (`wcs_agent_reconnect`).
    public var agentReconnects = true
    /// First pause before a reconnect; doubles up to the maximum (`wcs_agent_reconnect_delay_min`).
    public var agentReconnectDelayMin = 250
    /// Longest pause between reconnects (`wcs_agent_reconnect_delay_max`).
    public var agentReconnectDelayMax = 2_000
    /// Failed reconnects in a row after which the agent gives up; 0 = never (`wcs_agent_reconnect_attempts`).
    public var agentReconnectAttempts = 0

    // RTMP

    /// From the TCP connection to the first stream or room (`rtmp_connect_timeout`).
    public var rtmpConnectTimeout = 10_000
    /// Silence of a publisher (`rtmp_idle_timeout`).
    public var rtmpIdleTimeout = 30_000
    /// A player that takes nothing (`rtmp_write_timeout`).
    public var rtmpWriteTimeout = 15_000

    // REST

    /// `Access-Control-Allow-Origin` (`rest_access_control_allow_origin`).
    public var accessControlAllowOrigin = "*"
    /// `Access-Control-Allow-Headers` (`rest_access_control_allow_headers`).
    public var accessControlAllowHeaders = "content-type,x-requested-with"
    /// `Access-Control-Allow-Methods` (`rest_access_control_allow_methods`).
    public var accessControlAllowMethods = "GET,POST,OPTIONS"
    /// Complete header list `Name: value;Name: value`; replaces the three above when set (`rest_access_control_headers`).
    public var accessControlHeaders = ""
    /// false = REST wants HTTP Basic credentials from `restUsersFile` (`disable_rest_auth`).
    public var restAuthDisabled = true
    /// Lines `name:password` (`rest_users`).
    public var restUsersFile = ""

    // Limits

    /// Open WebSocket sessions (`max_sessions`).
    public var maximumSessions = 20_000
    /// Published streams on this server (`max_streams`).
    public var maximumStreams = 10_000
    /// Of these, from one address (`max_streams_per_address`).
    public var maximumStreamsPerAddress = 1_000
    /// Media sessions (publishing or playing) of one WebSocket session (`max_streams_per_session`).
    public var maximumStreamsPerSession = 200
    /// Peer connections of the whole server (`max_endpoints`).
    public var maximumEndpoints = 20_000
    /// DTLS handshakes of peers that are not through (`max_dtls_handshakes`).
    public var maximumHandshakes = 1_000
    /// … from one address (`max_dtls_handshakes_per_address`).
    public var maximumHandshakesPerAddress = 250
    /// Connections on the RTMP ports (`max_rtmp_connections`).
    public var maximumRTMPConnections = 2_000
    /// … from one address (`max_rtmp_connections_per_address`).
    public var maximumRTMPConnectionsPerAddress = 500
    /// Streams begun per second from one address, by whichever door (`max_session_rate`).
    public var maximumSessionRate = 200
    /// TCP connections on the media ports (`ice_tcp_max_connections`).
    public var maximumTCPConnections = 10_000
    /// … from one address (`ice_tcp_max_connections_per_address`).
    public var maximumTCPConnectionsPerAddress = 1_000
    /// Agents (pull/push links) (`max_agents`).
    public var maximumAgents = 1_000
    /// Largest WebSocket message taken from a client, bytes (`max_message_size`).
    public var maximumMessageSize = 1_048_576
    /// Bytes that may wait for one slow WebSocket client before it is dropped (`max_send_queue`).
    public var maximumSendQueue = 8_388_608
    /// HTTP connections of both listeners (`max_http_connections`).
    public var maximumHTTPConnections = 2_000
    /// … from one address (`max_http_connections_per_address`).
    public var maximumHTTPConnectionsPerAddress = 256
    /// Megabytes held for remotes in all; 0 = half of what the process may use (`memory_budget`).
    public var memoryBudget = 0
    /// … for one address (`memory_per_address`).
    public var memoryPerAddress = 64

    // Logs

    /// trace, debug, info, notice, warning, error, critical (`log_level`).
    public var logLevel = LogLevel.info
    /// (`log_format`)
    public var logFormat = LogFormat.text

    /// The defaults.
    public init() {}
}

/// How much is logged.
public enum LogLevel: String, Sendable, CaseIterable {
    case trace, debug, info, notice, warning, error, critical
}

/// The form of a log line on stderr.
public enum LogFormat: String, Sendable, CaseIterable {
    case text, json
}

/// The file format of pictures that are written by themselves.
public enum SnapshotFormat: String, Sendable, CaseIterable {
    case png, jpg
}
