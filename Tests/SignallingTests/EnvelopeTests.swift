// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Signalling

@Suite("The envelope")
struct EnvelopeTests {
    @Test("every server message carries a data array, or clients throw")
    func dataIsAlwaysThere() throws {
        let messages: [ServerMessage] = [
            .ping, .pong, .userData(["authToken": "x"]), .version("1"), .setRemoteSDP(mediaSessionID: "a", sdp: "v=0"),
            .streamStatus(StreamStatusMessage(mediaSessionID: "a", status: .publishing, name: "n", published: true)),
            .streamEvent(StreamEventMessage(mediaSessionID: "a", type: .audioMuted)), .available(Availability(id: "a", isAvailable: true)),
            .inboundVideoRate(VideoRate(mediaSessionID: "a", videoRate: 1)), .dataStatus(DataStatus(operationID: "o", isAccepted: true)),
            .data(DataEvent(payload: [:])), .fail(FailMessage(info: "no")), .sessionDebugEvent([:]),
        ]
        for message in messages {
            let document = try JSONValue(parsing: message.envelope.serialized())
            #expect(document["data"]?.arrayValue != nil, "\(message)")
            #expect(document["message"]?.stringValue?.isEmpty == false)
        }
        #expect(ServerMessage.ping.envelope.serialized() == #"{"message":"ping","data":[]}"#)
    }

    @Test("an answer goes out as [id, sdp, true], and is read with two or three elements")
    func remoteSDP() throws {
        let message = ServerMessage.setRemoteSDP(mediaSessionID: "id", sdp: "v=0\r\n")
        #expect(message.envelope.data == ["id", "v=0\r\n", true])
        #expect(ServerMessage(message.envelope) == message)
        #expect(ServerMessage(Envelope("setRemoteSDP", ["id", "v=0\r\n"])) == message)
        #expect(ServerMessage(Envelope("setRemoteSDP", ["id"])) == .unknown("setRemoteSDP"))
    }

    @Test("frames without data, with null, or with a bare argument are read")
    func tolerantData() throws {
        #expect(try Envelope(parsing: #"{"message":"ping"}"#).data == [])
        #expect(try Envelope(parsing: #"{"message":"pong","data":null}"#).data == [])
        #expect(try Envelope(parsing: #"{"message":"pong","data":[null]}"#).data == [.null])
        #expect(try Envelope(parsing: #"{"message":"x","data":{"a":1}}"#).argument["a"] == 1)
    }

    @Test(
        "what is no envelope is an error, not a crash",
        arguments: ["", "[]", "1", "{}", #"{"message":1}"#, #"{"message":""}"#, "{\"message\":", "\u{0}"])
    func hostile(text: String) {
        #expect(throws: EnvelopeError.self) { try Envelope(parsing: text) }
    }

    @Test(
        "client messages with nothing or nonsense in them are still messages",
        arguments: [
            "connection", "publishStream", "playStream", "unPublishStream", "stopStream", "snapshot", "availableStream",
            "sendStreamEvent", "sendData", "DataStatusEvent", "submitBugReport", "sessionDebug", "pushLogs", "call", "nonsense",
        ])
    func nonsense(name: String) {
        for argument: JSONValue in [.null, 1, "x", [1, 2], [:], ["mediaSessionId": 5, "name": ["x"], "sdp": 1, "bitrate": "1e999"]] {
            _ = ClientMessage(Envelope(name, [argument]))
            _ = ServerMessage(Envelope(name, [argument]))
        }
        _ = ClientMessage(Envelope(name))
    }
}
