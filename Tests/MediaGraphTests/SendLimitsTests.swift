// SPDX-License-Identifier: Apache-2.0
import DTLS
import Foundation
import Primitives
import SDP
import Testing
import WebRTC

@testable import MediaGraph

@Suite struct SendLimitsTests {
    private func answer(_ options: EndpointOptions) throws -> (text: String, codec: Codec?) {
        var video = Codec(payloadType: 96, name: "VP8", clockRate: 90_000)
        video.feedback = ["nack"]
        let configuration = PeerConnection.Configuration(
            certificate: try .selfSigned(commonName: "a"), candidates: [SocketAddress(ipv4: 0x7f00_0001, port: 5000)], codecs: .init(),
            connectTimeout: .seconds(15), consentTimeout: .seconds(30))
        let offer = try PeerConnection.offerSending(
            tracks: [
                TrackFormat(kind: .audio, codec: Codec(payloadType: 111, name: "opus", clockRate: 48_000, channels: 2)),
                TrackFormat(kind: .video, codec: video),
            ], streamID: "s", configuration: configuration, random: .seeded(1))
        let made = try PeerConnection.answerPublisher(
            offer: offer.localDescription, limits: options.sendLimits, configuration: configuration, random: .seeded(2), at: .zero)
        return (made.connection.localDescription, made.connection.media.first { $0.kind == .video }?.codec)
    }

    @Test("what a request asks for is written where browsers look, into the video section only, and not into the stream's format")
    func writes() throws {
        var options = EndpointOptions()
        options.minimumBitrate = 200_000
        options.bitrate = 500_000
        options.maximumBitrate = 900_000
        options.highestREMB = 10_000_000
        let (text, codec) = try answer(options)
        let sections = text.components(separatedBy: "m=video")
        #expect(!sections[0].contains("b=") && !sections[0].contains("x-google"))
        #expect(sections[1].contains("b=AS:900\r\n") && sections[1].contains("b=TIAS:900000\r\n"))
        for parameter in ["x-google-min-bitrate=200", "x-google-start-bitrate=500", "x-google-max-bitrate=900"] {
            #expect(sections[1].contains(parameter))
        }
        #expect(codec?.parameters["x-google-max-bitrate"] == nil)
    }

    @Test("without a wish the answer says nothing, and REMB says the server's limit")
    func saysNothing() throws {
        var options = EndpointOptions()
        options.lowestREMB = 30_000
        options.highestREMB = 4_000_000
        let text = try answer(options).text
        #expect(!text.contains("b=AS") && !text.contains("x-google"))
        #expect(options.publisherLimit == 4_000_000)
        options.bitrate = 800_000
        #expect(options.publisherLimit == 800_000)
        options.maximumBitrate = 9_000_000
        #expect(options.publisherLimit == 4_000_000, "the server's limit goes before the request's")
        options.maximumBitrate = 5_000
        #expect(options.publisherLimit == 30_000)
        #expect(EndpointOptions().publisherLimit == nil)
    }
}
