// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import RTP

@Suite("Markers of pictures") struct PictureMarkersTests {
    private struct Sent: Equatable { var timestamp: UInt32, marker: Bool, payload: [UInt8] }

    private static let first: [UInt8] = [0x41, 0x9a, 1], second: [UInt8] = [0x41, 0x44, 2]
    private static let beginning: [UInt8] = [0x5c, 0x81, 0x9a, 3], middle: [UInt8] = [0x5c, 0x01, 4], end: [UInt8] = [0x5c, 0x41, 5]

    /// What comes out of pictures whose packets have these payloads and markers; without the last, which is held.
    private func sent(
        pictures: Int, _ payloads: [[UInt8]], markers: [Bool], tick: UInt32 = 0, without lost: Set<Int> = []
    ) -> [Sent] {
        var markersOf = PictureMarkers(codec: .h264), out: [Sent] = [], number = 0
        for picture in 0..<pictures {
            for (part, payload) in payloads.enumerated() {
                number += 1
                if lost.contains(number) { continue }
                let packet = Samples.rtp(
                    sequence: UInt16(truncatingIfNeeded: 65_000 + number), timestamp: UInt32(picture) * 3600 &+ UInt32(part) * tick, marker: markers[part],
                    payload: payload)
                for bytes in markersOf.take(packet) {
                    bytes.withUnsafeBytes { raw in
                        guard let view = RTPView(raw) else { return }
                        out.append(Sent(timestamp: view.timestamp, marker: view.marker, payload: Array(view.payload)))
                    }
                }
            }
        }
        return out
    }

    @Test("right markers pass, and at once")
    func right() {
        let payloads = [Self.first, Self.second], out = sent(pictures: 60, payloads, markers: [false, true])
        #expect(out.count == 120 && out.enumerated().allSatisfy { $1.marker == ($0 % 2 == 1) })
    }

    @Test("a source that sets none has one at each picture's end from the fourth on", arguments: [[first, second], [beginning, middle, end], [first]])
    func none(payloads: [[UInt8]]) {
        let out = sent(pictures: 20, payloads, markers: payloads.map { _ in false })
        #expect(out.count == 20 * payloads.count - 1, "in order, and one is held")
        for (index, packet) in out.enumerated() where index >= 3 * payloads.count {
            #expect(packet.marker == (index % payloads.count == payloads.count - 1), "\(index)")
        }
        #expect(out.map(\.timestamp) == (0..<out.count).map { UInt32($0 / payloads.count) * 3600 })
    }

    @Test("of markers on each slice the last one stays")
    func eachSlice() {
        let out = sent(pictures: 20, [Self.first, Self.second, Self.second], markers: [true, true, true])
        for (index, packet) in out.enumerated() where index >= 1 { #expect(packet.marker == (index % 3 == 2), "\(index)") }
    }

    @Test("packets that come in another order, or twice, say nothing of markers")
    func reordered() {
        var markers = PictureMarkers(codec: .h264), given = 0
        for picture in 0..<40 as Range<UInt16> {
            for part in [0, 3, 1, 2, 2, 1] as [UInt16] {
                let packet = Samples.rtp(
                    sequence: picture * 4 + part, timestamp: UInt32(picture) * 3600, marker: part == 3,
                    payload: part == 0 ? Self.beginning : part == 3 ? Self.end : Self.middle)
                #expect(markers.take(packet) == [packet])
                given += 1
            }
        }
        #expect(!markers.isMending && given == 240)
    }

    @Test("pictures of a clock that stands are told apart by their markers")
    func standing() {
        var markers = PictureMarkers(codec: .h264)
        let payloads = [Self.beginning, Self.middle, Self.end]
        for number in 0..<90 as Range<UInt16> {
            let packet = Samples.rtp(sequence: number, timestamp: 7, marker: number % 3 == 2, payload: payloads[Int(number % 3)])
            #expect(markers.take(packet) == [packet] && !markers.isMending)
        }
    }

    @Test("the packets of a picture get one timestamp")
    func ticks() {
        let out = sent(pictures: 5, [Self.beginning, Self.middle, Self.end], markers: [false, false, true], tick: 1)
        #expect(out.map(\.timestamp) == (0..<15).map { UInt32($0 / 3) * 3600 })
        #expect(out.map(\.marker) == (0..<15).map { $0 % 3 == 2 })
    }

    @Test("loss is no sign of wrong markers, and a source that has come to its senses is trusted again")
    func loss() {
        let payloads = [Self.first, Self.second], lost = Set((1..<30).map { $0 * 2 })
        let out = sent(pictures: 60, payloads, markers: [false, true], without: lost)
        #expect(out.count == 120 - lost.count, "nothing is held back")
        var markers = PictureMarkers(codec: .h264), given = 0
        for picture in 0..<80 as Range<UInt16> {
            for part in 0..<2 as Range<UInt16> {
                given += markers.take(Samples.rtp(
                    sequence: picture * 2 + part, timestamp: UInt32(picture) * 3600, marker: part == 1 && picture > 5,
                    payload: part == 0 ? Self.first : Self.second)).count
            }
            if picture == 10 { #expect(markers.isMending) }
        }
        #expect(!markers.isMending && given == 160)
    }
}
