// SPDX-License-Identifier: Apache-2.0
// The words in which a stream's state is told. The spelling is part of the protocol: pages compare these strings.

/// The `status` of a stream (reference of the SDK: STREAM_STATUS).
public enum StreamStatus: String, Sendable, CaseIterable {
    case new = "NEW"
    case pending = "PENDING"
    case publishing = "PUBLISHING"
    case playing = "PLAYING"
    case paused = "PAUSED"
    case unpublished = "UNPUBLISHED"
    case stopped = "STOPPED"
    case failed = "FAILED"
    case playbackProblem = "PLAYBACK_PROBLEM"
    // Deprecated forms of stream events; they don't change the state of a stream.
    case resize = "RESIZE"
    case snapshotComplete = "SNAPSHOT_COMPLETE"
    case notEnoughBandwidth = "NOT_ENOUGH_BANDWIDTH"

    /// After one of these the client has forgotten the stream.
    public var isTerminal: Bool { self == .unpublished || self == .stopped || self == .failed }
}

/// The `info` beside a status (reference of the SDK: STREAM_STATUS_INFO), in exact spelling.
public enum StreamStatusInfo: String, Sendable, CaseIterable {
    case iceError = "Failed by ICE error"
    case iceTimeout = "Failed by ICE timeout"
    case iceKeepAlive = "Failed by ICE keep alive"
    case dtlsFingerprintError = "Failed by DTLS fingerprint error"
    case dtlsError = "Failed by DTLS error"
    case hlsWriterError = "Failed by HLS writer error"
    case rtmpWriterError = "Failed by RTMP writer error"
    case rtpActivity = "Failed by RTP activity"
    case sessionDisconnect = "Stopped by session disconnect"
    case restTerminate = "Stopped by rest /terminate"
    case publisherStop = "Stopped by publisher stop"
    case user = "Stopped by user"
    case error = "Failed by error"
    case addToProxy = "Failed to add stream to proxy"
    case distributorStopped = "Distributor stopped"
    case publishNotReady = "Publish stream is not ready"
    case streamNotFound = "Stream not found"
    case nameInUse = "Stream name is already in use"
    case mediaSessionIDNull = "MediaSessionId is null"
    case mediaSessionIDInUse = "MediaSessionId is already in use"
    case sessionNotReady = "Session not ready"
    case sessionDoesNotExist = "Session does not exist"
    case rtspWrongFormat = "Rtsp has wrong format"
    case fileWrongFormat = "File has wrong format"
    case rtspConnectFailed = "Failed to connect to rtsp stream"
    case rtspNotFound = "Rtsp stream not found"
    case rtspAgentShutdown = "RtspAgent shutdown"
    case streamFailed = "Stream failed"
    case noCommonCodecs = "No common codecs"
    case badURI = "Bad URI"
    case fileStreamingException = "Got exception while streaming file"
    case shutdownRequested = "Requested stream shutdown"
    case fileReadFailed = "Failed to read file"
    case fileNotFound = "File not found"
    case originConnectFailed = "Failed to connect to origin stream"
    case cdnStreamNotFound = "CDN stream not found"
    case agentStorage = "Failed to get agent storage"
    case originAgentShutdown = "Agent servicing origin stream is shutting down"
    case keepAliveTerminated = "Terminated by keep-alive"
    case transcodingDisabled = "Transcoding required, but disabled"
    case restrictedAccess = "Restricted access"
    case noTranscoders = "No available transcoders"
}

/// `type` of stream events, both ways.
public enum StreamEventType: String, Sendable, CaseIterable {
    case audioMuted, audioUnmuted, videoMuted, videoUnmuted
    case data
    case resize, notEnoughBandwidth, snapshotCompleted, snapshotFailed
    /// Ours: who speaks in a room.
    case audioLevel
    /// Ours: to a publisher whose recording has ended before its stream.
    case recordingStopped

    /// What a publisher may send; the others are the server's.
    public var isFromPublisher: Bool {
        switch self {
        case .audioMuted, .audioUnmuted, .videoMuted, .videoUnmuted, .data: true
        case .resize, .notEnoughBandwidth, .snapshotCompleted, .snapshotFailed, .audioLevel, .recordingStopped: false
        }
    }
}
