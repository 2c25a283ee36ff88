// SPDX-License-Identifier: Apache-2.0
// The REST methods as documentation: one entry per route.

extension OpenAPIDocument {
    static let operations: [Operation] = [
        Operation(
            path: "pull/push", summary: "Send a local stream to another server",
            fields: linkFields(local: "Name of the stream on this server", remote: "Name it gets on the other server"),
            failures: [
                404: "There is no such local stream", 409: "This push runs already, or the name is in use on the other server",
                500: "The other server can't be reached, refused or did not accept in time; the reason says which",
            ]),
        Operation(
            path: "pull/pull", summary: "Fetch a stream from another server",
            fields: linkFields(local: "Name it gets on this server", remote: "Name of the stream on the other server"),
            failures: [
                404: "There is no such stream on the other server", 409: "The local name is taken",
                500: "The other server can't be reached, refused or did not accept in time; the reason says which",
            ]),
        Operation(
            path: "pull/find_all", summary: "All links to other servers", allowsGET: true, result: "Agent", isList: true,
            failures: [404: "There are none"]),
        Operation(
            path: "pull/terminate", summary: "End the links that match all fields given",
            fields: [
                .optional("uri", "WebSocket address of the other server, with or without a path"),
                .optional("localStreamName", "Name on this server"), .optional("remoteStreamName", "Name on the other server"),
                .optional("localMediaSessionId", "Media session on this server"),
            ],
            failures: [404: "No link matches"]),
        Operation(
            path: "rtsp/startup", summary: "Fetch a stream from a camera or another RTSP server; answered when it plays",
            fields: [.required("uri", "rtsp://user:password@host:554/path"), .optional("toStream", "Name it gets on this server; the address if missing")],
            failures: [
                409: "This address is fetched already, or the name is in use",
                500: "It can't be fetched; the reason begins with `Failed to connect to rtsp stream`, `Rtsp stream not found` or `Rtsp has wrong format`",
            ]),
        Operation(
            path: "rtsp/find", summary: "The RTSP pulls that match all fields given",
            fields: [.optional("uri", "Address, with or without the login"), .optional("status", "NEW, PLAYING or RECONNECTING")],
            result: "RTSPPull", isList: true, failures: [404: "None matches"]),
        Operation(
            path: "rtsp/find_all", summary: "All RTSP pulls", allowsGET: true, result: "RTSPPull", isList: true, failures: [404: "There are none"]),
        Operation(
            path: "rtsp/terminate", summary: "End the pull of an address, and its stream",
            fields: [.required("uri", "Address, with or without the login")], failures: [404: "There is none"]),
        Operation(
            path: "push/startup", summary: "Send a stream to an RTMP server; answered when that has accepted, or is being tried again and again",
            fields: [
                .required("streamName", "Name of the stream"),
                .required("rtmpUrl", "rtmp://host:1935/app: the stream is called rtmp_<name> there. rtmps:// is possible"),
                .optional("rtmpTransponderFullUrl", "true: the address ends in the stream's name there", type: "boolean"),
                .optional("rtmpFlashVersion", "What the other server is told about us"),
                .optional("options", "Given back as they are", type: "object"),
            ], result: "RTMPPush",
            failures: [
                400: "A field is missing, or the address is none", 404: "There is no such stream", 409: "It is being sent there already",
                500: "The other server refused, or its certificate isn't trusted; the reason says which. One that can't be reached is tried again: status RECONNECTING",
            ]),
        Operation(
            path: "push/find", summary: "The pushes to RTMP servers that match all fields given",
            fields: [
                .optional("mediaSessionId", "One push"), .optional("streamName", "Name of the stream, here or there"), .optional("rtmpUrl", "The address"),
            ], result: "RTMPPush", isList: true, failures: [404: "No push matches"]),
        Operation(
            path: "push/find_all", summary: "All pushes to RTMP servers", allowsGET: true, result: "RTMPPush", isList: true,
            failures: [404: "There are none"]),
        Operation(
            path: "push/terminate", summary: "End a push", fields: [.required("mediaSessionId", "The push")], failures: [404: "There is no such push"]),
        Operation(
            path: "pull/rtmp/pull", summary: "Fetch a stream from an RTMP server; answered when that has accepted",
            fields: [
                .required("uri", "rtmp://host:1935/app/stream"), .optional("localStreamName", "Name it gets here; the address when missing"),
                .optional("record", "Record it", type: "boolean"), .optional("hasAudio", "false: without sound", type: "boolean"),
                .optional("hasVideo", "false: without pictures", type: "boolean"),
            ],
            failures: [
                409: "It is being fetched already, or the name is taken",
                500: "The other server can't be reached, refused or did not accept in time; the reason says which",
            ]),
        Operation(
            path: "pull/rtmp/find_all", summary: "All streams that are fetched from RTMP servers", allowsGET: true, result: "RTMPPull", isList: true,
            failures: [404: "There are none"]),
        Operation(
            path: "pull/rtmp/terminate", summary: "End the fetching of a stream", fields: [.required("uri", "Its address")],
            failures: [404: "It is not being fetched"]),
        Operation(
            path: "stream/find", summary: "The streams that match all fields given", fields: streamFilter + [
                .optional("display", "\"metrics\" adds figures to each stream", type: "[string]")
            ], result: "Stream", isList: true, failures: [404: "No stream matches"]),
        Operation(
            path: "stream/find_all", summary: "All streams, published and played", allowsGET: true, result: "Stream", isList: true,
            failures: [404: "There are none"]),
        Operation(
            path: "stream/terminate", summary: "End the streams that match all fields given; an empty object ends all",
            fields: streamFilter, failures: [404: "No stream matches"]),
        Operation(
            path: "stream/snapshot", summary: "A picture of what a stream shows now", fields: [
                .required("streamName", "Name of the stream"), .optional("format", "png (default) or jpg"),
                .optional("width", "The picture is made to fit this width", type: "integer"),
                .optional("height", "The picture is made to fit this height", type: "integer"),
                .optional("quality", "Of a JPEG, 1 to 100", type: "integer"),
            ], result: "Snapshot",
            failures: [
                404: "There is no such stream", 429: "Too many were asked for from this address",
                500: "No picture could be taken in time; the reason says why",
                503: "Too many are being taken at the moment",
            ]),
        Operation(
            path: "recorder/startup", summary: "Record a published stream; a recording of it that runs is ended, and another begun",
            fields: recorderFields, failures: recorderFailures),
        Operation(
            path: "recorder/terminate", summary: "End a recording; answered when the file is complete",
            fields: [.required("mediaSessionId", "Media session that is recorded")], failures: [404: "It is not being recorded"]),
        Operation(
            path: "recorder/find_all", summary: "What is being recorded", allowsGET: true, result: "Recording", isList: true,
            failures: [404: "Nothing is"]),
        Operation(
            path: "stream/startRecording", summary: "Older name of recorder/startup", fields: recorderFields, failures: recorderFailures),
        Operation(
            path: "stream/stopRecording", summary: "Older name of recorder/terminate",
            fields: [.required("mediaSessionId", "Media session that is recorded")], failures: [404: "It is not being recorded"]),
        Operation(
            path: "multipleRecorder/startup", summary: "Begin a recording of several streams in one file",
            fields: [.required("uri", "multi-recorder://name")], failures: [409: "One of that address runs already", 503: "The server is stopping"]),
        Operation(
            path: "multipleRecorder/add", summary: "Add a published stream to a recording of several",
            fields: [.required("uri", "multi-recorder://name"), .required("mediaSessionId", "Media session of the publisher")],
            failures: [
                404: "There is no such recording or publisher", 409: "It is in it already", 500: "It can't be recorded; the reason says why",
                503: "As many recordings run as may",
            ]),
        Operation(
            path: "multipleRecorder/remove", summary: "Take a stream out of a recording of several; what there is of it stays in the file",
            fields: [.required("uri", "multi-recorder://name"), .required("mediaSessionId", "Media session of the publisher")],
            failures: [404: "There is no such recording, or the stream is not in it"]),
        Operation(
            path: "multipleRecorder/find_all", summary: "The recordings of several streams that run", allowsGET: true,
            result: "MultipleRecording", isList: true, failures: [404: "There are none"]),
        Operation(
            path: "multipleRecorder/terminate", summary: "End a recording of several streams; answered when the file is complete",
            fields: [.required("uri", "multi-recorder://name")], failures: [404: "There is no such recording"]),
        Operation(
            path: "record/find_all", summary: "The finished records, newest first; their files are below /client/records/", allowsGET: true,
            result: "Record", isList: true, failures: [404: "There are none"]),
        Operation(
            path: "connection/find", summary: "The WebSocket sessions that match all fields given", fields: connectionFilter,
            result: "Connection", isList: true, failures: [404: "No session matches"]),
        Operation(
            path: "connection/find_all", summary: "All WebSocket sessions", allowsGET: true, result: "Connection", isList: true,
            failures: [404: "There are none"]),
        Operation(
            path: "connection/terminate", summary: "Close the WebSocket sessions that match all fields given",
            fields: connectionFilter, failures: [404: "No session matches"]),
        Operation(
            path: "room/find", summary: "The rooms that match all fields given",
            fields: [.optional("name", "Name of the room"), .optional("login", "Login of a participant")],
            result: "Room", isList: true, failures: [404: "No room matches"]),
        Operation(
            path: "room/find_all", summary: "All rooms", allowsGET: true, result: "Room", isList: true,
            failures: [404: "There are none"]),
        Operation(
            path: "room/terminate", summary: "End a room: its streams fail, its participants are told by a warning",
            fields: [.required("name", "Name of the room")], failures: [404: "There is no such room"]),
        Operation(
            path: "room/send_message", summary: "Send a text to the participants of a room",
            fields: [
                .required("name", "Name of the room"), .required("text", "The text"),
                .optional("to", "Login of the only participant who gets it; everybody when missing"),
                .optional("from", "Who it is from; \"server\" when missing. Pages of the vendor show texts of participants only"),
            ], failures: [404: "There is no such room or participant, or nobody who could read it"]),
        Operation(
            path: "room/kick", summary: "Put a participant out of a room; the connection stays",
            fields: [.required("name", "Name of the room"), .required("login", "Login of the participant")],
            failures: [404: "There is no such room or participant"]),
        Operation(
            path: "server/info", summary: "Version and ports of this server", allowsGET: true, result: "ServerInfo"),
        Operation(
            path: "openapi.json", summary: "This document", allowsGET: true, result: "Document"),
    ]

    private static func linkFields(local: String, remote: String) -> [Field] {
        [
            .required("uri", "WebSocket address of the other server: ws://host:8080, wss://host:8443, with or without a path"),
            .required("localStreamName", local), .required("remoteStreamName", remote),
        ]
    }

    private static let recorderFields: [Field] = [
        .required("mediaSessionId", "Media session of the publisher"),
        .optional("config", "{\"fileTemplate\": …, \"rotation\": \"20M\"}: how the files are called, and the size or time of one", type: "object"),
    ]
    private static let recorderFailures = [
        404: "There is no such publisher", 500: "The recording can't be begun; the reason says why", 503: "As many recordings run as may",
    ]

    private static let streamFilter: [Field] = [
        .optional("name", "Stream name"), .optional("mediaSessionId", "One media session"),
        .optional("mediaSessionIds", "Any of these media sessions", type: "[string]"),
        .optional("sessionId", "WebSocket session"), .optional("published", "true: publishers, false: players", type: "boolean"),
        .optional("status", "PUBLISHING, PLAYING, …"), .optional("appKey", "Application key of the session"),
        .optional("mediaType", "publish or play"),
    ]

    private static let connectionFilter: [Field] = [
        .optional("sessionId", "One session"), .optional("appKey", "Application key the client gave"),
        .optional("login", "User name the client gave"), .optional("clientVersion", "Version the client gave"),
        .optional("remoteAddress", "Address and port of the client"), .optional("transport", "ws, wss, rtmp or rtmps"),
        .optional("status", "ESTABLISHED, or CONNECTED before the handshake"),
    ]
}
