// SPDX-License-Identifier: Apache-2.0
// Names of statuses, events and reasons, spelled as they travel on the wire. Read by every SDK module and by pages
// (`Flashphoner.constants`); values never change at run time.

const named = (...names) => Object.freeze(Object.fromEntries(names.map((name) => [name, name])));

/** Life of a session, and what `session.on` can listen to. */
export const SESSION_STATUS = named(
  "PENDING", "CONNECTED", "ESTABLISHED", "DISCONNECTED", "FAILED",
  "WARN", "DEBUG", "APP_DATA", "SEND_DATA_STATUS", "REGISTERED", "UNREGISTERED", "INCOMING_CALL",
);

/** Life of a stream, and what `stream.on` can listen to. The last three are deprecated forms of stream events. */
export const STREAM_STATUS = named(
  "NEW", "PENDING", "PUBLISHING", "PLAYING", "PAUSED", "UNPUBLISHED", "STOPPED", "FAILED", "PLAYBACK_PROBLEM",
  "RESIZE", "SNAPSHOT_COMPLETE", "NOT_ENOUGH_BANDWIDTH",
);

/** `stream.getInfo()` after FAILED, STOPPED or UNPUBLISHED. */
export const STREAM_STATUS_INFO = Object.freeze({
  FAILED_BY_ICE_ERROR: "Failed by ICE error",
  FAILED_BY_ICE_TIMEOUT: "Failed by ICE timeout",
  FAILED_BY_KEEP_ALIVE: "Failed by ICE keep alive",
  FAILED_BY_DTLS_FINGERPRINT_ERROR: "Failed by DTLS fingerprint error",
  FAILED_BY_DTLS_ERROR: "Failed by DTLS error",
  FAILED_BY_HLS_WRITER_ERROR: "Failed by HLS writer error",
  FAILED_BY_RTMP_WRITER_ERROR: "Failed by RTMP writer error",
  FAILED_BY_RTP_ACTIVITY: "Failed by RTP activity",
  FAILED_BY_ERROR: "Failed by error",
  FAILED_TO_ADD_STREAM_TO_PROXY: "Failed to add stream to proxy",
  STOPPED_BY_SESSION_DISCONNECT: "Stopped by session disconnect",
  STOPPED_BY_REST_TERMINATE: "Stopped by rest /terminate",
  STOPPED_BY_PUBLISHER_STOP: "Stopped by publisher stop",
  STOPPED_BY_USER: "Stopped by user",
  DISTRIBUTOR_STOPPED: "Distributor stopped",
  PUBLISH_STREAM_IS_NOT_READY: "Publish stream is not ready",
  STREAM_NOT_FOUND: "Stream not found",
  STREAM_NAME_ALREADY_IN_USE: "Stream name is already in use",
  MEDIASESSION_ID_NULL: "MediaSessionId is null",
  MEDIASESSION_ID_ALREADY_IN_USE: "MediaSessionId is already in use",
  SESSION_NOT_READY: "Session not ready",
  SESSION_DOES_NOT_EXIST: "Session does not exist",
  NO_COMMON_CODECS: "No common codecs",
  RESTRICTED_ACCESS: "Restricted access",
  TRANSCODING_REQUIRED_BUT_DISABLED: "Transcoding required, but disabled",
  NO_AVAILABLE_TRANSCODERS: "No available transcoders",
  RTSP_HAS_WRONG_FORMAT: "Rtsp has wrong format",
  RTSP_STREAM_NOT_FOUND: "Rtsp stream not found",
  RTSPAGENT_SHUTDOWN: "RtspAgent shutdown",
  FAILED_TO_CONNECT_TO_RTSP_STREAM: "Failed to connect to rtsp stream",
  STREAM_FAILED: "Stream failed",
  BAD_URI: "Bad URI",
  FILE_NOT_FOUND: "File not found",
  FILE_HAS_WRONG_FORMAT: "File has wrong format",
  FAILED_TO_READ_FILE: "Failed to read file",
  GOT_EXCEPTION_WHILE_STREAMING_FILE: "Got exception while streaming file",
  REQUESTED_STREAM_SHUTDOWN: "Requested stream shutdown",
  FAILED_TO_CONNECT_TO_ORIGIN_STREAM: "Failed to connect to origin stream",
  CDN_STREAM_NOT_FOUND: "CDN stream not found",
  FAILED_TO_GET_AGENT_STORAGE: "Failed to get agent storage",
  AGENT_SERVICING_ORIGIN_STREAM_IS_SHUTTING_DOWN: "Agent servicing origin stream is shutting down",
  TERMINATED_BY_KEEP_ALIVE: "Terminated by keep-alive",
});

/** What went wrong on this side; `stream.getErrorInfo()` has the sentence. */
export const ERROR_INFO = Object.freeze({
  NONE_OF_MEDIAPROVIDERS_AVAILABLE: "This browser has no WebRTC",
  FLASHPHONER_API_NOT_INITIALIZED: "Flashphoner.init() was not called",
  OPTIONS_URLSERVER_MISSED: "createSession needs the option urlServer",
  INVALID_SESSION_STATE: "The session is not in the state this call needs",
  OPTIONS_NAME_MISSED: "createStream needs the option name",
  DISPLAY_MISSED: "This call needs the option display",
  CAN_NOT_SWITCH_CAM: "The camera can't be switched now",
  CAN_NOT_SWITCH_MIC: "The microphone can't be switched now",
  LOCAL_ERROR: "Local error",
});

/** The one event name under which `notifyStreamEvent` frames arrive; look at `.type`. */
export const STREAM_EVENT = "STREAM_EVENT";

/** `type` of a stream event. `audioLevel` and `recordingStopped` are Martlet's: who speaks in a room; a recording that has ended before its stream. The last two are this SDK's own: the browser refused sound, or refused to play at all. */
export const STREAM_EVENT_TYPE = Object.freeze({
  AUDIO_MUTED: "audioMuted",
  AUDIO_UNMUTED: "audioUnmuted",
  VIDEO_MUTED: "videoMuted",
  VIDEO_UNMUTED: "videoUnmuted",
  DATA: "data",
  RESIZE: "resize",
  NOT_ENOUGH_BANDWIDTH: "notEnoughBandwidth",
  SNAPSHOT_COMPLETED: "snapshotCompleted",
  SNAPSHOT_FAILED: "snapshotFailed",
  AUDIO_LEVEL: "audioLevel",
  RECORDING_STOPPED: "recordingStopped",
  PLAYBACK_MUTED: "playbackMuted",
  PLAYBACK_BLOCKED: "playbackBlocked",
});

/** Classes of a connection, and (UPDATE) the name under which `stream.on` reports them. */
export const CONNECTION_QUALITY = named("PERFECT", "GOOD", "BAD", "UNKNOWN", "UPDATE");

export const MEDIA_DEVICE_KIND = named("INPUT", "OUTPUT", "ALL");
export const TRANSPORT_TYPE = named("UDP", "TCP");
export const CALL_STATUS = named(
  "NEW", "RING", "RING_MEDIA", "HOLD", "ESTABLISHED", "FINISH", "BUSY", "SESSION_PROGRESS", "FAILED", "PENDING", "TRYING",
);

/** `stream.status()` can't change any more after one of these. */
export const TERMINAL_STATUSES = Object.freeze(["FAILED", "STOPPED", "UNPUBLISHED"]);
