// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import Testing

@Suite struct NACKGeneratorTests {
    private let rtt = TimeSpan.milliseconds(50)
    private func at(_ ms: Int64) -> Instant { Instant(milliseconds: 1000 + ms) }

    @Test("a packet that is only reordered is never asked for")
    func reordering() {
        var generator = NACKGenerator()
        generator.receive(10, isRetransmission: false, at: at(0))
        generator.receive(12, isRetransmission: false, at: at(1))
        #expect(generator.pending(at: at(2), rtt: rtt).isEmpty)
        generator.receive(11, isRetransmission: false, at: at(3))
        #expect(generator.pending(at: at(100), rtt: rtt).isEmpty)
        #expect(generator.count == 0)
        #expect(!generator.needsKeyFrame)
    }

    @Test("a lost packet is asked for when three newer ones have come")
    func afterThree() {
        var generator = NACKGenerator()
        for sequence in [65_535, 1, 2] as [UInt16] { generator.receive(sequence, isRetransmission: false, at: at(0)) }
        #expect(generator.pending(at: at(0), rtt: rtt).isEmpty)
        generator.receive(3, isRetransmission: false, at: at(0))
        #expect(generator.pending(at: at(0), rtt: rtt) == [0])
    }

    @Test("a lost packet is asked for after 10 ms when nothing newer comes")
    func afterTime() {
        var generator = NACKGenerator()
        generator.receive(1, isRetransmission: false, at: at(0))
        generator.receive(3, isRetransmission: false, at: at(0))
        #expect(generator.pending(at: at(9), rtt: rtt).isEmpty)
        #expect(generator.pending(at: at(10), rtt: rtt) == [2])
    }

    @Test("a packet is asked for again once a round trip has passed, and no more once it is there")
    func repeats() {
        var generator = NACKGenerator()
        generator.receive(1, isRetransmission: false, at: at(0))
        generator.receive(3, isRetransmission: false, at: at(0))
        #expect(generator.pending(at: at(10), rtt: rtt) == [2])
        #expect(generator.pending(at: at(59), rtt: rtt).isEmpty)
        #expect(generator.pending(at: at(60), rtt: rtt) == [2])
        generator.receive(2, isRetransmission: true, at: at(70))
        #expect(generator.pending(at: at(500), rtt: rtt).isEmpty)
        #expect(generator.recovered == 1)
        #expect(!generator.needsKeyFrame)
    }

    @Test("repetitions are at least 20 ms apart, however short the round trip")
    func minimumInterval() {
        var generator = NACKGenerator()
        generator.receive(1, isRetransmission: false, at: at(0))
        generator.receive(3, isRetransmission: false, at: at(0))
        let asked = (0..<60).filter { !generator.pending(at: at(Int64($0)), rtt: .milliseconds(1)).isEmpty }
        #expect(asked == [10, 30, 50])
    }

    @Test("after ten tries the packet is given up and a key frame is called for")
    func givesUp() {
        var generator = NACKGenerator()
        generator.receive(1, isRetransmission: false, at: at(0))
        generator.receive(3, isRetransmission: false, at: at(0))
        var requests = 0
        for ms in 0..<1500 { requests += generator.pending(at: at(Int64(ms)), rtt: rtt).count }
        #expect(requests == 10)
        #expect(generator.needsKeyFrame)
        #expect(generator.count == 0)
    }

    @Test("a packet missing for over two seconds is given up")
    func ages() {
        var generator = NACKGenerator()
        generator.receive(1, isRetransmission: false, at: at(0))
        generator.receive(3, isRetransmission: false, at: at(0))
        #expect(generator.pending(at: at(2001), rtt: rtt).isEmpty)
        #expect(generator.needsKeyFrame)
    }

    @Test("a gap too long to repair calls for a key frame at once")
    func longGap() {
        var generator = NACKGenerator()
        generator.receive(1, isRetransmission: false, at: at(0))
        generator.receive(1000, isRetransmission: false, at: at(0))
        #expect(generator.needsKeyFrame)
        #expect(generator.pending(at: at(20), rtt: rtt).isEmpty)
    }

    @Test("once packets are seen to come late, requests wait for them, and are quick again when that is over")
    func learnsReordering() {
        var generator = NACKGenerator()
        var requests: [Int64] = []
        func gap(_ sequence: UInt16, at ms: Int64, late: Int64?) {
            for i in 0..<10 as Range<UInt16> where i != 4 { generator.receive(sequence + i, isRetransmission: false, at: at(ms + Int64(i))) }
            for step in ms + 10..<ms + 200 {
                if step - ms - 5 == late { generator.receive(sequence + 4, isRetransmission: false, at: at(step)) }
                requests += generator.pending(at: at(step), rtt: rtt).map { _ in step - ms - 5 }
            }
            if late == nil { generator.receive(sequence + 4, isRetransmission: true, at: at(ms + 200)) }
        }
        gap(0, at: 0, late: 30)
        #expect(requests.count == 1 && generator.unneeded == 1)
        requests = []
        for i in 1..<20 { gap(UInt16(i * 10), at: Int64(i) * 300, late: 30) }
        #expect(requests.isEmpty, "\(requests)")
        #expect(generator.unneeded == 1)
        // Lost for good: asked for a little later than else.
        gap(200, at: 6000, late: nil)
        #expect((30...45).contains(requests.first ?? 0), "\(requests)")
        requests = []
        gap(210, at: 17_000, late: nil)
        #expect(requests.first == 5, "as soon as it is looked at")
    }

    @Test("repetitions follow the round trip that retransmissions show, whatever was believed before")
    func measuresRoundTrip() {
        var generator = NACKGenerator()
        var sequence: UInt16 = 1
        var now: Int64 = 0
        generator.receive(sequence, isRetransmission: false, at: at(now))
        for _ in 0..<20 {
            generator.receive(sequence + 2, isRetransmission: false, at: at(now))
            #expect(generator.pending(at: at(now + 10), rtt: rtt) == [sequence + 1])
            generator.receive(sequence + 1, isRetransmission: true, at: at(now + 10 + 40))
            sequence += 2
            now += 500
        }
        #expect(generator.roundTrip == .milliseconds(40))
        generator.receive(sequence + 2, isRetransmission: false, at: at(now))
        let asked = (0..<130).filter { !generator.pending(at: at(now + Int64($0)), rtt: .milliseconds(400)).isEmpty }
        #expect(asked == [10, 60, 110])
    }

    @Test("without RTX a retransmission is not taken for a late packet")
    func distrustsPlainRetransmissions() {
        var generator = NACKGenerator()
        generator.tellsRetransmissions = false
        generator.receive(1, isRetransmission: false, at: at(0))
        generator.receive(3, isRetransmission: false, at: at(0))
        #expect(generator.pending(at: at(10), rtt: rtt) == [2])
        generator.receive(2, isRetransmission: false, at: at(70))
        #expect(generator.unneeded == 0 && generator.roundTrip == .zero && generator.recovered == 1)
        generator.receive(5, isRetransmission: false, at: at(100))
        #expect(generator.pending(at: at(110), rtt: rtt) == [4])
    }

    @Test("what lies before a key frame is no longer missed")
    func keyFrame() {
        var generator = NACKGenerator()
        for sequence in [1, 3, 5] as [UInt16] { generator.receive(sequence, isRetransmission: false, at: at(0)) }
        generator.forget(before: 3)
        #expect(generator.pending(at: at(10), rtt: rtt) == [4])
    }

    @Test("under random loss exactly the lost packets are asked for, and never more than the bound is kept",
          arguments: 1...10 as ClosedRange<UInt64>)
    func randomLoss(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        var generator = NACKGenerator()
        var sequence = UInt16.random(in: 0...65_535, using: &random)
        var lost: Set<UInt16> = []
        var requested: Set<UInt16> = []
        generator.receive(sequence, isRetransmission: false, at: at(0))
        for ms in 1..<5000 as Range<Int64> {
            sequence &+= 1
            if Int.random(in: 0..<10, using: &random) == 0, ms < 4900 {
                lost.insert(sequence)
            } else {
                generator.receive(sequence, isRetransmission: false, at: at(ms))
            }
            for wanted in generator.pending(at: at(ms), rtt: rtt) {
                requested.insert(wanted)
                if Bool.random(using: &random) { generator.receive(wanted, isRetransmission: true, at: at(ms)) }
            }
            #expect(generator.count <= NACKGenerator.maximumMissing)
        }
        #expect(requested == lost)
    }
}
