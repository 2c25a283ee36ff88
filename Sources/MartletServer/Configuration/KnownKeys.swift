// SPDX-License-Identifier: Apache-2.0
// Keys of WCS property files that Martlet knows and does not need: they are accepted with one log line, so that an
// existing file starts the server without a screen of warnings.

/// WCS settings without an effect here.
enum KnownKeys {
    /// What to say about a key that doesn't apply; `nil` when it isn't known at all, or is more likely a mistyped one of ours.
    static func remark(for key: String) -> String? {
        if let remark = remarks[key] { return remark }
        if others.contains(key) { return "has no effect here" }
        guard prefixes.contains(where: key.hasPrefix), Spelling.nearest(to: key, among: SettingsTable.byName.keys, within: 2) == nil else { return nil }
        return "has no effect here"
    }

    private static let remarks: [String: String] = [
        "ip_local": "has no effect here: media listens on every address",
        "codecs": "has no effect here: use codecs_video and codecs_audio",
        "ice_tcp_nio": "has no effect here: TCP never blocks",
        "wss.keystore.file": "has no effect here: use ssl_certificate_file and ssl_private_key_file (PEM)",
        "wss.keystore.password": "has no effect here: use ssl_certificate_file and ssl_private_key_file (PEM)",
        "https.keystore.file": "has no effect here: use ssl_certificate_file and ssl_private_key_file (PEM)",
        "https.keystore.password": "has no effect here: use ssl_certificate_file and ssl_private_key_file (PEM)",
        "rtp_bundle": "has no effect here: bundling follows the offer",
        "compact_media_port_usage": "has no effect here: every reactor needs one port only",
        "rtp_receive_buffer_size": "has no effect here: socket buffers are sized by the server",
        "rtp_send_buffer_size": "has no effect here: socket buffers are sized by the server",
        "webrtc_cc2_twcc": "has no effect here: transport-cc is used with every publisher that offers it",
        "client_log_level": "has no effect here: use log_level",
        "wcs_agent_port_from": "has no effect here: links to other servers use ports of the system",
        "wcs_agent_port_to": "has no effect here: links to other servers use ports of the system",
        "rtp_activity_detecting": "has no effect here: use rtp_activity_timeout",
    ]

    private static let others: Set<String> = [
        "disable_rest_requests", "rest_max_connections", "rest_request_timeout", "rest_hook_send_hash",
        "rest_hook_secret_key", "keep_alive_streaming_sessions_enabled", "streaming_sessions_keep_alive_interval",
        "streaming_sessions_keep_alive_app_keys",
        "codecs_exclude_sfu", "codecs_exclude_sip", "codecs_exclude_streaming", "codecs_exclude_sip_rtmp",
        "codecs_exclude_cdn", "profiles", "wcs_sfu_bridge_enabled", "disable_streaming_proxy",
        "encoder_priority", "streaming_video_decoder_fast_start", "snapshot_taking_attempts",
        "record_rtsp_streams", "record_mixer_streams", "record_h264_to_ts", "stream_record_policy",
        "mp4_container_moov_first", "mp4_container_moov_first_reserve_space", "mp4_container_moov_reserved_space_size",
        "audio_mixer_output_codec", "audio_mixer_output_sample_rate",
        "rtmfp.port", "media_dir", "vod_live_loop",
        "vod_mp4_container_new", "aws_s3_credentials", "client_dump_level", "enable_extended_logging", "client_mode",
        "wcs_activity_timer_timeout", "global_bandwidth_check_enabled", "rtp_activity_audio", "rtp_activity_video",
        "jobs_max_prefer_wait_time", "jobs_max_prefer_timeout", "allow_domains", "waiting_answer", "user_agent",
    ]

    private static let prefixes = [
        "mixer_", "hls", "ll_hls_", "cdn_", "rtmp_", "rtsp_", "sip_", "turn.", "vod_", "flash_", "rtmfp_", "zgc_",
        "transcoder_", "record_", "snapshot_", "room_", "avatar_", "notify_",
    ]
}
