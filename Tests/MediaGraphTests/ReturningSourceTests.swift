// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import SDP
import SRTP
import Testing

@testable import MediaGraph

@Suite("UplinkTrack with a source that starts anew") struct ReturningSourceTests {
    private func packet(_ sequence: UInt16, ssrc: UInt8, timestamp: UInt8) -> [UInt8] {
        [0x80, 0x80 | 96, UInt8(sequence >> 8), UInt8(sequence & 255), 0, 0, timestamp, 0, 0, 0, 0, ssrc]
            + [0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01] + [UInt8](repeating: 7, count: 100)
    }

    @Test("players see sequence numbers and timestamps go on when the publisher comes back with a new SSRC")
    func goesOn() throws {
        let track = UplinkTrack(
            format: TrackFormat(kind: .video, codec: Codec(payloadType: 96, name: "VP8", clockRate: 90_000)), codec: .vp8)
        var seen: [(sequence: UInt16, timestamp: UInt32)] = []
        let arena = SendArena { arena in
            for run in arena.runs {
                var offset = run.offset
                while offset < run.offset + run.length {
                    let length = min(run.segmentLength, run.offset + run.length - offset)
                    if let view = RTPView(UnsafeRawBufferPointer(start: arena.memory + offset, count: length)) {
                        seen.append((view.sequenceNumber, view.timestamp))
                    }
                    offset += length
                }
            }
        }
        let sender = try SRTPSender(profile: .aeadAES128GCM, key: .init(repeating: 1, count: 16), salt: .init(repeating: 2, count: 12))
        defer { sender.destroy() }
        var random = RandomSource.seeded(3)
        let path = PlayerPath(hasFeedback: false)
        let sink = track.addSink(
            DownlinkTrack.Parameters(ssrc: 5, payloadType: 100), sender: sender,
            destination: Destination(address: SocketAddress(ipv4: 1, port: 2), socket: 3), history: path.history,
            random: &random)
        _ = track.open(sink, arena: arena, at: .zero)
        var now = Instant.zero
        func send(_ sequences: ClosedRange<UInt16>, ssrc: UInt8, timestamp: UInt8) {
            for sequence in sequences {
                now += .milliseconds(1)
                packet(sequence, ssrc: ssrc, timestamp: timestamp).withUnsafeBytes { raw in
                    _ = track.receive(
                        RTPView(raw)!, bytes: raw, isRetransmission: false, extensions: UplinkExtensions(), arena: arena, at: now)
                }
                track.flush(into: arena, at: Instant(nanoseconds: 1))
            }
        }
        send(100...110, ssrc: 9, timestamp: 50)
        send(40_000...40_010, ssrc: 10, timestamp: 1)
        send(5...15, ssrc: 10, timestamp: 2)
        arena.flush()
        #expect(seen.count == 33)
        #expect(zip(seen, seen.dropFirst()).allSatisfy { $1.sequence == $0.sequence &+ 1 })
        #expect(zip(seen, seen.dropFirst()).allSatisfy { $1.timestamp >= $0.timestamp && $1.timestamp - $0.timestamp < 10_000 })
    }
}
