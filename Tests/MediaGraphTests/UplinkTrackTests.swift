// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import SDP
import Testing

@testable import MediaGraph

@Suite("UplinkTrack") struct UplinkTrackTests {
    @Test("a playout delay is told with key frames and when it changes, and never in place of the publisher's own")
    func playoutDelay() throws {
        let format = TrackFormat(kind: .video, codec: Codec(payloadType: 96, name: "VP8", clockRate: 90_000))
        let track = UplinkTrack(format: format, codec: .vp8)
        track.playoutDelay = PlayoutDelay(least: .milliseconds(60))
        let arena = SendArena(capacity: 64 * 1024, maximumRuns: 16) { _ in }
        var extensions = UplinkExtensions()
        extensions.playoutDelay = 5
        let keyFrame: [UInt8] = [0x10, 0x10, 2, 0, 0x9d, 0x01, 0x2a, 64, 0, 48, 0], other: [UInt8] = [0x10, 0x11, 2, 0]
        /// One-byte form, with 20 ms at least and at most.
        let own: [UInt8] = [0xbe, 0xde, 0, 1, 0x52, 0x00, 0x20, 0x02]
        for (number, payload, header) in [(1, keyFrame, []), (2, other, []), (3, other, []), (4, other, []), (5, keyFrame, own)] {
            if number == 3 { track.playoutDelay = PlayoutDelay(least: .milliseconds(95)) }
            let packet = [header.isEmpty ? 0x80 : 0x90, 0x80 | 96, 0, UInt8(number), 0, 0, 0, UInt8(number), 0, 0, 0, 1] + header + payload
            packet.withUnsafeBytes { bytes in
                guard let view = RTPView(bytes) else { return }
                track.receive(view, bytes: bytes, isRetransmission: false, extensions: extensions, arena: arena, at: Instant(milliseconds: Int64(number)))
            }
        }
        let slots = (0..<5).map { track.ring.slot(track.ring.newest - 4 + $0)?.pointee.playoutDelay }
        #expect(slots == [6 << 12 | 1000, .max, 9 << 12 | 1000, .max, 0x2002] as [UInt32?])
    }
}
