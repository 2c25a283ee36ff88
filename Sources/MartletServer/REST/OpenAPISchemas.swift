// SPDX-License-Identifier: Apache-2.0
// The shapes of REST answers, for the OpenAPI document.
import Signalling

enum OpenAPISchemas {
    static let all: [String: JSONValue] = [
        "Error": object([
            "status": integer("HTTP status"), "error": string("Its name"), "reason": string("What is wrong, and with what"),
            "path": string("The path asked for"), "timestamp": integer("Milliseconds since 1970"),
        ], required: ["status", "error", "reason", "path", "timestamp"]),
        "Agent": object([
            "uri": string("WebSocket address of the other server"),
            "localMediaSessionId": string("Media session on this server"),
            "remoteMediaSessionId": nullable(string("Media session on the other server; null while not known")),
            "localStreamName": string("Name on this server"), "remoteStreamName": string("Name on the other server"),
            "status": string("NEW, PENDING, PUBLISHING, PLAYING, RECONNECTING, …"),
        ], required: ["uri", "localMediaSessionId", "remoteMediaSessionId", "localStreamName", "remoteStreamName", "status"]),
        "RTMPPush": object([
            "mediaSessionId": string("The push"), "streamName": string("Name on the other server"), "rtmpUrl": string("Address of the other server"),
            "localStreamName": string("Name on this server"),
            "status": string("NEW, PUBLISHING, RECONNECTING (the other server is away; tried again and again), FAILED (it refuses)"),
            "reason": string("Why nothing is sent; missing while all is well"),
            "width": integer("Pixels; 0 = not known"), "height": integer("Pixels; 0 = not known"), "muted": boolean("Always false"),
            "soundEnabled": boolean("Always false: nothing is mixed in"),
            "options": ["type": "object", "description": "As they were given", "additionalProperties": true],
        ], required: ["mediaSessionId", "streamName", "rtmpUrl"]),
        "RTMPPull": object([
            "uri": string("Address of the stream"), "localMediaSessionId": string("Media session on this server"),
            "remoteMediaSessionId": nullable(string("Always null")), "localStreamName": string("Name on this server"),
            "remoteStreamName": string("Name on the other server"), "status": string("NEW, PROCESSED_REMOTE, RECONNECTING"),
        ], required: ["uri", "localMediaSessionId", "localStreamName", "status"]),
        "Stream": object([
            "appKey": string("Application key of the session"), "sessionId": string("WebSocket session"),
            "mediaSessionId": string("Media session"), "name": string("Stream name"),
            "published": boolean("true: publisher, false: player"), "hasAudio": boolean("Carries sound"), "hasVideo": boolean("Carries pictures"),
            "status": string("PENDING, PUBLISHING, PLAYING, …"), "audioCodec": string("Name of the audio codec"),
            "videoCodec": string("Name of the video codec"), "width": integer("Pixels; 0 = not known"), "height": integer("Pixels; 0 = not known"),
            "createDate": integer("Milliseconds since 1970"), "mediaType": string("publish or play"),
            "mediaProvider": string("WebRTC, RTSP or Flash (RTMP)"), "transport": string("UDP or TCP"),
            "bFrames": boolean("true: its pictures come in another order than they are shown in, and are encoded anew for players; missing otherwise"),
            "metrics": ["type": "object", "description": "Figures, with display: [\"metrics\"]", "additionalProperties": true],
        ], required: ["mediaSessionId", "name", "published", "status"]),
        "Snapshot": object(["data": string("The picture, in base64")], required: ["data"]),
        "Recording": object([
            "mediaSessionId": string("Media session of the publisher"),
            "fileName": string("Name of the file, as far as it is known; {endTime} and the like stay as they are written"),
        ], required: ["mediaSessionId", "fileName"]),
        "MultipleRecording": object([
            "uri": string("Its address"), "fileName": string("Name its file will have, or that with a number"),
            "mediaSessionsId": ["type": "array", "description": "Media sessions in it now", "items": ["type": "string"]],
        ], required: ["uri", "fileName", "mediaSessionsId"]),
        "Record": object([
            "fileName": string("Name of the file"), "startTime": integer("Milliseconds since 1970"), "endTime": integer("Milliseconds since 1970"),
            "duration": integer("Milliseconds"), "size": integer("Bytes"), "width": integer("Pixels; 0 = no video"),
            "height": integer("Pixels; 0 = no video"), "videoCodec": string("Name of the video codec"),
            "audioCodec": string("Name of the audio codec"), "streamName": string("Stream it was made of"),
            "mediaSessionId": string("Media session it was made of"), "room": string("Room of the stream"),
            "participants": ["type": "array", "description": "Logins of who is in it", "items": ["type": "string"]],
            "mixedFrom": string("The record that it was mixed from, if it was"),
        ], required: ["fileName", "startTime", "endTime", "duration", "size"]),
        "Connection": object([
            "sessionId": string("Session"), "appKey": string("Application key the client gave"),
            "clientVersion": string("Version the client gave"), "remoteAddress": string("The client's address and port"),
            "transport": string("ws, wss, rtmp or rtmps"), "status": string("ESTABLISHED, or CONNECTED before the handshake"),
            "createDate": integer("Milliseconds since 1970"), "login": string("User name the client gave"),
        ], required: ["sessionId"]),
        "Room": object([
            "name": string("Name of the room"), "createDate": integer("Milliseconds since 1970"),
            "record": boolean("A participant asked for a recording of the room"),
            "status": string("ACTIVE, or IDLE: empty, and kept for a while because its last participant was lost"),
            "participants": list("RoomParticipant", "In the order in which they came"),
        ], required: ["name", "createDate", "record", "status", "participants"]),
        "RoomParticipant": object([
            "login": string("Login"), "sessionId": string("WebSocket session"), "joinDate": integer("Milliseconds since 1970"),
            "streams": list("Stream", "What it publishes in the room"),
        ], required: ["login", "sessionId", "joinDate", "streams"]),
        "RTSPPull": object([
            "uri": string("Address of the camera, without the login"), "status": string("NEW, PLAYING or RECONNECTING"),
            "toStream": string("Name of the stream on this server"),
        ], required: ["uri", "status", "toStream"]),
        "ServerInfo": object([
            "version": string("Version of the server"),
            "ws": port("WebSocket"), "wss": port("WebSocket over TLS"), "http": port("HTTP"), "https": port("HTTPS"), "rtsp": port("RTSP"),
            "rtmp": port("RTMP"), "rtmps": port("RTMP over TLS"),
        ], required: ["version", "ws", "wss", "http", "https", "rtsp", "rtmp", "rtmps"]),
        "Problem": object([
            "type": string("about:blank"), "title": string("Name of the status"), "status": integer("HTTP status"),
            "detail": string("What is wrong, and with what"), "instance": string("The path asked for"),
        ], required: ["type", "title", "status", "detail"]),
        "Document": ["type": "object", "additionalProperties": true],
    ]

    private static func object(_ properties: [String: JSONValue], required: [String]) -> JSONValue {
        ["type": "object", "properties": .object(properties), "required": .array(required.map(JSONValue.string))]
    }
    private static func string(_ description: String) -> JSONValue { ["type": "string", "description": .string(description)] }
    private static func integer(_ description: String) -> JSONValue { ["type": "integer", "description": .string(description)] }
    private static func boolean(_ description: String) -> JSONValue { ["type": "boolean", "description": .string(description)] }
    private static func port(_ name: String) -> JSONValue { nullable(integer("Port of \(name); null = off")) }
    private static func list(_ schema: String, _ description: String) -> JSONValue {
        ["type": "array", "description": .string(description), "items": ["$ref": .string("#/components/schemas/" + schema)]]
    }
    private static func nullable(_ schema: JSONValue) -> JSONValue {
        var schema = schema
        schema["nullable"] = true
        return schema
    }
}
