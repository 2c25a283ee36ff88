// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Signalling

@Suite("Messages")
struct MessageTests {
    @Test("availability is a string on the wire; a boolean would mean no")
    func availability() {
        #expect(Availability(id: "a", isAvailable: true).json["status"] == "true")
        #expect(Availability(id: "a", isAvailable: false, info: "Stream not found").json["status"] == "false")
        #expect(!Availability(["id": "a", "status": true]).isAvailable)
        #expect(Availability(["id": "a", "status": "true"]).isAvailable)
    }

    @Test("data status is ACCEPTED or FAILED and nothing else")
    func dataStatus() {
        #expect(DataStatus(operationID: "o", isAccepted: true).json == ["operationId": "o", "status": "ACCEPTED"])
        #expect(DataStatus(operationID: "o", isAccepted: false, info: "no").json == ["operationId": "o", "status": "FAILED", "info": "no"])
    }

    @Test("the user data echo has what came, what the server adds, and no password")
    func userData() {
        let request = ConnectionRequest([
            "appKey": "roomApp", "custom": ["login": "alice"], "sipPassword": "secret", "something": 1, "mediaProviders": ["WebRTC", "MSE"],
        ])
        #expect(request.login == "alice")
        let echo = request.userData(authToken: "t")
        #expect(echo["status"] == "ESTABLISHED")
        #expect(echo["authToken"] == "t")
        #expect(echo["something"] == 1)
        #expect(echo["mediaProviders"] == ["WebRTC", "MSE"])
        #expect(echo["useWsTunnel"] == false)
        #expect(echo["keepAlive"] == false)
        #expect(echo["sipPassword"] == nil)
        #expect(ConnectionRequest(.null).appKey == "defaultApp")
    }

    @Test("a rate's short way to text says what the long way says", arguments: [true, false])
    func rates(isInbound: Bool) throws {
        var rate = VideoRate(mediaSessionID: "a\"ü\n", videoRate: 2_500_000)
        (rate.framesPerSecond, rate.nack, rate.pli, rate.lostPackets, rate.width, rate.height) = (25, 1, .max, 3, 1280, 720)
        let message: ServerMessage = isInbound ? .inboundVideoRate(rate) : .outboundVideoRate(rate)
        rate.pli = UInt64(Int64.max)
        #expect(try Envelope(parsing: rate.serialized(isInbound: isInbound)) == message.envelope)
    }

    @Test("a player's size may come as text")
    func sizes() {
        let request = StreamRequest(["mediaSessionId": "m", "name": "n", "width": "640", "height": 360, "bitrate": "junk"], published: false)
        #expect(request.width == 640)
        #expect(request.height == 360)
        #expect(request.bitrate == 0)
        #expect(request.mediaProvider == "WebRTC")
    }

    @Test("a status frame has every field that clients and scripts look at")
    func statusFields() {
        var message = StreamStatusMessage(mediaSessionID: "m", status: .playing, name: "n", published: false)
        message.audioMuted = true
        let json = message.json
        for key in [
            "mediaSessionId", "name", "published", "hasVideo", "hasAudio", "status", "info", "record", "width", "height", "bitrate",
            "minBitrate", "maxBitrate", "quality", "history", "gop", "fps", "audioBitrate", "codecImpl", "transport", "cvoExtension",
            "createDate", "mediaType", "audioState", "videoState", "mediaProvider",
        ] {
            #expect(json[key] != nil, "\(key)")
        }
        #expect(json["audioState"] == ["muted": true])
        #expect(json["videoState"] == ["muted": false])
        #expect(json["mediaType"] == "play")
    }

    @Test("a stream that fails by a fail frame is named by id")
    func failFrame() {
        let frame = Envelope("fail", [["apiMethod": "StreamStatusEvent", "id": "m", "status": "FAILED", "info": "Failed by ICE error"]])
        guard case .fail(let failure) = ServerMessage(frame) else { Issue.record("no fail"); return }
        #expect(failure.streamStatus?.mediaSessionID == "m")
        #expect(failure.streamStatus?.known == .failed)
        guard case .fail(let plain) = ServerMessage(Envelope("fail", [["info": "text"]])) else { Issue.record("no fail"); return }
        #expect(plain.streamStatus == nil)
    }

    @Test("what a client encodes is what a server decodes")
    func clientRoundTrip() throws {
        let request = StreamRequest(mediaSessionID: "m", name: "ü", published: true, sdp: "v=0\r\n")
        let identity = StreamIdentity(mediaSessionID: "m", name: "ü", published: true, status: .publishing)
        for message: ClientMessage in [
            .publishStream(request), .unPublishStream(identity), .pong, .sendData(DataRequest(operationID: "o", payload: ["a": [1]])),
            .sendStreamEvent(StreamEventMessage(mediaSessionID: "m", type: .data, payload: ["count": 23])), .pushLogs("x\n"),
        ] {
            #expect(ClientMessage(try Envelope(parsing: message.envelope.serialized())) == message)
        }
    }

    @Test("terminal statuses are those after which a client forgets the stream")
    func terminal() {
        #expect(StreamStatus.allCases.filter(\.isTerminal) == [.unpublished, .stopped, .failed])
    }
}
