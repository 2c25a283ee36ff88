// SPDX-License-Identifier: Apache-2.0
import NetworkEmulator
import Primitives
import RTP
import Testing

@testable import MediaGraph

/// A sender with the controller at one end of a link and a receiver that reports every 100 ms at the other.
private final class Rehearsal {
    var forward: Link
    var back: Link
    var controller: CongestionController
    var history = SendHistory(remembers: true)
    var recorder = TransportFeedbackRecorder()
    var now = Instant(milliseconds: 1000)
    var credit = 0.0
    var received = 0
    /// What the application has to send, bit/s; nil: as much as the controller paces.
    var demand: Int?
    /// Estimates of each 100 ms.
    var estimates: [Int] = []
    /// Largest queueing delay of the emulated link seen by the controller, ns.
    var longestQueue = TimeSpan.zero

    init(_ profile: LinkProfile, demand: Int? = nil, seed: UInt64 = 1) {
        forward = Link(profile: profile, seed: seed)
        back = Link(profile: LinkProfile(delay: profile.delay), seed: seed &+ 1)
        controller = CongestionController()
        self.demand = demand
    }

    deinit { history.destroy() }

    func run(milliseconds: Int) {
        for i in 0..<milliseconds {
            now += .milliseconds(1)
            let rate = demand ?? controller.pacingRate(at: now)
            credit += Double(rate) / 8000
            // As video does: what has gathered in 40 ms leaves in one go.
            if demand == nil || i % 40 == 0 {
                while credit >= 1200 {
                    credit -= 1200
                    var packet = [UInt8](repeating: 0, count: 1200)
                    packet[0] = UInt8(truncatingIfNeeded: history.next >> 8)
                    packet[1] = UInt8(truncatingIfNeeded: history.next)
                    history.note(1200, isNumbered: true, at: now)
                    forward.send(packet, at: now)
                }
            }
            for packet in forward.deliver(at: now) {
                received += packet.count
                recorder.record(sequence: UInt16(packet[0]) << 8 | UInt16(packet[1]), at: now + .seconds(77))
            }
            if i % 100 == 99 {
                while let feedback = recorder.makeFeedback(senderSSRC: 1, mediaSSRC: 2, at: now) {
                    back.send(RTCP.serialize([.transportFeedback(feedback)]), at: now)
                }
                estimates.append(controller.estimate)
                longestQueue = max(longestQueue, controller.queueDelay)
            }
            for feedback in back.deliver(at: now) {
                feedback.withUnsafeBytes { bytes in
                    RTCP.forEachTransportFeedback(in: bytes) { controller.receive($0, history: &history, at: now) }
                }
            }
            controller.advance(to: now, unansweredSince: .zero)
        }
    }

    /// Mean estimate of the last `seconds`.
    func mean(seconds: Int) -> Double {
        let last = estimates.suffix(seconds * 10)
        return Double(last.reduce(0, +)) / Double(last.count)
    }
}

@Suite("EmulatedNetwork: CongestionController") struct CongestionControllerTests {
    @Test("comes within 15 % of what a line carries, whatever that is", arguments: [500_000, 1_200_000, 3_000_000, 8_000_000])
    func converges(rate: Int) {
        let rehearsal = Rehearsal(LinkProfile(delay: .milliseconds(25), rate: rate, queueLimit: rate / 8))
        rehearsal.run(milliseconds: 40_000)
        let mean = rehearsal.mean(seconds: 20)
        #expect(abs(mean / Double(rate) - 1) < 0.15, "\(mean) of \(rate)")
    }

    @Test("backs off within a second when the line gets narrow, and comes back when it gets wide again", arguments: 1...4 as ClosedRange<UInt64>)
    func followsChanges(seed: UInt64) {
        let rehearsal = Rehearsal(LinkProfile(delay: .milliseconds(30), rate: 3_000_000), seed: seed)
        rehearsal.run(milliseconds: 20_000)
        rehearsal.forward.profile.rate = 800_000
        rehearsal.run(milliseconds: 1000)
        #expect(rehearsal.controller.estimate < 1_600_000, "\(rehearsal.controller.estimate) after a second")
        rehearsal.run(milliseconds: 4000)
        #expect(rehearsal.controller.estimate < 1_000_000)
        rehearsal.forward.profile.rate = 3_000_000
        rehearsal.run(milliseconds: 10_000)
        #expect(rehearsal.controller.estimate > 2_400_000, "\(rehearsal.controller.estimate) ten seconds later")
    }

    @Test("random loss without a queue doesn't fool it", arguments: 1...4 as ClosedRange<UInt64>)
    func bearsRandomLoss(seed: UInt64) {
        let rehearsal = Rehearsal(LinkProfile(loss: 0.05, delay: .milliseconds(25)), demand: 2_500_000, seed: seed)
        rehearsal.run(milliseconds: 3000)
        let from = rehearsal.estimates.count
        rehearsal.run(milliseconds: 27_000)
        let least = rehearsal.estimates[from...].min() ?? 0
        #expect(least >= 2_375_000 * 9 / 10, "\(least) while 2375 kbit/s arrive")
    }

    @Test("jitter doesn't fool it", arguments: 1...4 as ClosedRange<UInt64>)
    func bearsJitter(seed: UInt64) {
        let rehearsal = Rehearsal(
            LinkProfile(delay: .milliseconds(25), jitter: .milliseconds(20)), demand: 2_500_000, seed: seed)
        rehearsal.run(milliseconds: 3000)
        let from = rehearsal.estimates.count
        rehearsal.run(milliseconds: 27_000)
        let sorted = rehearsal.estimates[from...].sorted()
        #expect(sorted[sorted.count / 50] >= 2_250_000, "\(sorted.prefix(20))")
    }

    @Test("a stream of 1 Mbit/s on a wide line neither lets the estimate fall nor grow without end, nor does its pause")
    func knowsApplicationLimits() {
        let rehearsal = Rehearsal(LinkProfile(delay: .milliseconds(25), rate: 20_000_000), demand: 1_000_000)
        rehearsal.run(milliseconds: 60_000)
        #expect((1_000_000...2_500_000).contains(rehearsal.controller.estimate), "\(rehearsal.controller.estimate)")
        rehearsal.demand = 40_000
        rehearsal.run(milliseconds: 30_000)
        #expect((1_000_000...2_500_000).contains(rehearsal.controller.estimate), "\(rehearsal.controller.estimate)")
    }

    @Test("a stream that is twice what the line carries is found out within a second and a half, through queue or loss",
          arguments: [20_000, 256_000])
    func findsTooThinLines(queue: Int) {
        let rehearsal = Rehearsal(LinkProfile(delay: .milliseconds(25)), demand: 2_500_000)
        rehearsal.run(milliseconds: 10_000)
        rehearsal.forward.profile.rate = 1_250_000
        rehearsal.forward.profile.queueLimit = queue
        rehearsal.run(milliseconds: 1500)
        #expect(rehearsal.controller.estimate < 2_000_000, "\(rehearsal.controller.estimate)")
        rehearsal.run(milliseconds: 3500)
        let mean = rehearsal.mean(seconds: 2)
        #expect(mean > 900_000 && mean < 1_500_000, "\(mean)")
    }

    @Test("when nothing comes back any more the estimate falls")
    func fallsInSilence() {
        let rehearsal = Rehearsal(LinkProfile(delay: .milliseconds(25)), demand: 2_500_000)
        rehearsal.run(milliseconds: 5000)
        rehearsal.forward.profile = .down
        rehearsal.run(milliseconds: 5000)
        #expect(rehearsal.controller.estimate < 600_000)
        rehearsal.forward.profile = LinkProfile(delay: .milliseconds(25))
        rehearsal.run(milliseconds: 5000)
        #expect(rehearsal.controller.estimate > 2_200_000, "\(rehearsal.controller.estimate)")
    }

    @Test("made-up feedback changes no more than the estimate", arguments: 1...3 as ClosedRange<UInt64>)
    func bearsNonsense(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        var controller = CongestionController()
        var history = SendHistory(remembers: true)
        defer { history.destroy() }
        var now = Instant(milliseconds: 1000)
        for round in 0..<30_000 {
            now += .milliseconds(10)
            for _ in 0..<3 { history.note(1200, isNumbered: true, at: now) }
            // Times that jump as far as 24 bits let them, often in one direction; numbers near and far.
            let reference = seed == 1 ? Int32(round % 3 - 1) * 0x7f_ff00 : Int32.random(in: -0x80_0000...0x7f_ffff, using: &random)
            let first = seed == 3 ? UInt16.random(in: 0...65_535, using: &random) : UInt16(truncatingIfNeeded: history.next &- 3)
            let base = Int64(reference) << 8
            let packets = (0..<3 as Range<UInt16>).map {
                TransportFeedback.Packet(
                    sequenceNumber: first &+ $0, arrivalTicks: Bool.random(using: &random) ? base + Int64.random(in: -30_000...30_000, using: &random) : nil)
            }
            RTCP.serialize([.transportFeedback(.init(senderSSRC: 1, mediaSSRC: 2, feedbackCount: 0, referenceTime: reference, packets: packets))])
                .withUnsafeBytes { bytes in
                    RTCP.forEachTransportFeedback(in: bytes) { controller.receive($0, history: &history, at: now) }
                }
            controller.advance(to: now, unansweredSince: .zero)
            #expect(controller.estimate >= 30_000 && controller.pacingRate(at: now) >= controller.estimate)
        }
    }

    @Test("what the receiver says bounds it, and stands for it where there is no other feedback")
    func obeysREMB() {
        var controller = CongestionController()
        controller.limit(to: 750_000, isAlone: true)
        #expect(controller.estimate == 750_000)
        controller.limit(to: 5_000_000, isAlone: true)
        #expect(controller.estimate == 5_000_000)
        let rehearsal = Rehearsal(LinkProfile(delay: .milliseconds(25)), demand: 2_500_000)
        rehearsal.run(milliseconds: 3000)
        rehearsal.controller.limit(to: 700_000, isAlone: false)
        rehearsal.run(milliseconds: 3000)
        #expect(rehearsal.controller.estimate == 700_000)
    }
}

@Suite struct SendHistoryTests {
    @Test("each packet is settled once; one that was only late is taken back from the lost")
    func settlesOnce() {
        var history = SendHistory(remembers: true)
        defer { history.destroy() }
        for i in 0..<3 { history.note(1000 + i, isNumbered: true, at: Instant(nanoseconds: Int64(i) * 1_024_000)) }
        let now = Instant(nanoseconds: 50 * 1_024_000)
        guard case .received(let sentAt, let length, false) = history.settle(2, isReceived: true, at: now) else { return #expect(Bool(false)) }
        #expect(length == 1001)
        #expect(sentAt == Instant(nanoseconds: 1_024_000))
        guard case .known = history.settle(2, isReceived: true, at: now) else { return #expect(Bool(false)) }
        guard case .lost(1002) = history.settle(3, isReceived: false, at: now) else { return #expect(Bool(false)) }
        guard case .known = history.settle(3, isReceived: false, at: now) else { return #expect(Bool(false)) }
        guard case .received(_, _, true) = history.settle(3, isReceived: true, at: now) else { return #expect(Bool(false)) }
        // Never sent, or long forgotten.
        guard case .known = history.settle(4, isReceived: true, at: now) else { return #expect(Bool(false)) }
        for _ in 0..<600 { history.note(100, isNumbered: true, at: now) }
        guard case .known = history.settle(1, isReceived: true, at: now) else { return #expect(Bool(false)) }
    }

    @Test("numbers of the wire are unwrapped to the packets sent last")
    func unwraps() {
        var history = SendHistory(remembers: true)
        defer { history.destroy() }
        for _ in 0..<70_000 { history.note(100, isNumbered: true, at: Instant(nanoseconds: 5)) }
        #expect(history.number(of: UInt16(truncatingIfNeeded: 70_000)) == 70_000)
        #expect(history.number(of: UInt16(truncatingIfNeeded: 69_900)) == 69_900)
        #expect(history.number(of: UInt16(truncatingIfNeeded: 65_000)) == 65_000)
    }
}
