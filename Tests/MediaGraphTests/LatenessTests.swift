// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import SDP
import Testing

@testable import MediaGraph

@Suite("Lateness") struct LatenessTests {
    /// Arrivals at `milliseconds` after their time, over and over.
    private func arrivals(_ milliseconds: [Int64], times: Int = 20) -> Lateness {
        var lateness = Lateness()
        for value in Array(repeating: milliseconds, count: times).joined() { lateness.note(.milliseconds(value)) }
        return lateness
    }

    @Test("pictures wait for sound that comes later, and for as long as it comes unevenly")
    func wait() {
        let pictures = arrivals([5, 25])
        let even = PlayoutDelay.untilKnown.following(sound: arrivals([5, 10]), pictures: pictures)
        #expect(even == .untilKnown)
        let late = even.following(sound: arrivals([45, 50]), pictures: pictures)
        #expect(late.least == even.least + .milliseconds(30))
        let uneven = late.following(sound: arrivals([45, 105]), pictures: pictures)
        #expect(uneven.least == .milliseconds(130), "the buffer that a browser has for even sound is enough for this")
        let burst = uneven.following(sound: arrivals([5, 100, 230]), pictures: pictures)
        #expect(burst.least == .milliseconds(250), "little more than the last of a burst")
        // B-frames: pictures come long before they are to be shown.
        #expect(even.following(sound: arrivals([5, 10]), pictures: arrivals([-155, 5])).least == .milliseconds(250))
    }

    @Test("a single straggler, and what lies long ago, moves nothing")
    func stragglers() {
        var sound = arrivals([5, 10]), pictures = arrivals([5])
        sound.note(.milliseconds(900))
        #expect(PlayoutDelay.untilKnown.following(sound: sound, pictures: pictures) == .untilKnown)
        var old = arrivals([800])
        for _ in 0..<64 { old.note(.milliseconds(5)) }
        pictures.note(.seconds(-3))
        for _ in 0..<64 { pictures.note(.milliseconds(5)) }
        #expect(PlayoutDelay.untilKnown.following(sound: old, pictures: pictures) == .untilKnown)
    }

    @Test("nothing is said before there is enough to go by, and never more than half a second or less than nothing")
    func bounds() {
        let few = arrivals([400], times: 15), pictures = arrivals([0])
        #expect(PlayoutDelay.untilKnown.following(sound: few, pictures: pictures) == .untilKnown)
        #expect(PlayoutDelay.untilKnown.following(sound: arrivals([4_000_000_000]), pictures: pictures).least == .milliseconds(500))
        #expect(PlayoutDelay.untilKnown.following(sound: arrivals([-4_000_000_000]), pictures: arrivals([4_000_000_000])).least == .zero)
    }

    @Test("a track notes when its media comes by the clock of its source's reports, pictures once they are whole")
    func noting() throws {
        let format = TrackFormat(kind: .video, codec: Codec(payloadType: 96, name: "VP8", clockRate: 90_000))
        let track = UplinkTrack(format: format, codec: .vp8)
        track.followSound()
        let arena = SendArena(capacity: 64 * 1024, maximumRuns: 16) { _ in }
        /// Two packets a picture, 10 ms apart, of which the second comes 30 ms after the picture's time.
        func receive(picture: Int) {
            for part in 0..<2 {
                let packet: [UInt8] =
                    [0x80, UInt8(part) << 7 | 96, 0, UInt8(2 * picture + part)] + (0..<4).map { UInt8(truncatingIfNeeded: (3600 * picture) >> (24 - 8 * $0)) }
                    + [0, 0, 0, 1, 0x10, 0x11, 2, 0]
                packet.withUnsafeBytes { bytes in
                    guard let view = RTPView(bytes) else { return }
                    track.receive(
                        view, bytes: bytes, isRetransmission: false, extensions: UplinkExtensions(), arena: arena,
                        at: Instant(milliseconds: Int64(40 * picture + 20 + 10 * part)))
                }
            }
        }
        // Before the first report nothing can be said.
        receive(picture: 1)
        track.receiveReport(ntp: WallTime(nanoseconds: 40_000_000).ntp, timestamp: 3600, at: Instant(milliseconds: 70))
        for picture in 2..<18 { receive(picture: picture) }
        let range = try #require(track.lateness?.range)
        #expect([range.least, range.most].map { ($0.nanoseconds + 500) / 1000 } == [30_000, 30_000])
    }
}
