// SPDX-License-Identifier: Apache-2.0
import NetworkEmulator
import Primitives
import Testing

@Suite("LinkProfile as text") struct LinkProfileTextTests {
    @Test("what is named is changed, the rest stays, and perfect takes it back")
    func reads() throws {
        var profile = LinkProfile()
        try profile.apply("loss=5,delay=25 rate=1200,queue=64")
        #expect(profile == LinkProfile(loss: 0.05, delay: .milliseconds(25), rate: 1_200_000, queueLimit: 65_536))
        try profile.apply("rate=0,burst=2,burst-length=5")
        #expect(profile.rate == nil)
        #expect(abs((profile.bursts?.meanLoss ?? 0) - 0.02) < 1e-9)
        #expect(profile.bursts?.leaveBad == 0.2)
        try profile.apply("perfect")
        #expect(profile == .perfect)
    }

    @Test("what can't be read is named", arguments: ["los=5", "loss=x", "loss=101", "delay", "rate=-1"])
    func refuses(text: String) {
        var profile = LinkProfile()
        #expect(throws: LinkProfile.TextError.self) { try profile.apply(text) }
    }
}

struct LinkTests {
    /// Sends `count` numbered datagrams, one per `spacing`, and gives back (number, arrival) in order of arrival.
    private func run(
        _ profile: LinkProfile, seed: UInt64 = 1, count: Int = 10_000, size: Int = 100,
        spacing: Duration = .milliseconds(1)
    ) -> (arrivals: [(number: Int, at: Instant)], counters: Link.Counters) {
        var link = Link(profile: profile, seed: seed)
        var arrivals: [(Int, Instant)] = []
        func collect(until now: Instant) {
            while let next = link.nextDeadline, next <= now {
                for bytes in link.deliver(at: next) {
                    arrivals.append((Int(bytes[0]) | Int(bytes[1]) << 8, next))
                }
            }
        }
        var now = Instant.zero
        for number in 0..<count {
            collect(until: now)
            var bytes = [UInt8](repeating: 0, count: size)
            (bytes[0], bytes[1]) = (UInt8(number & 255), UInt8(number >> 8))
            link.send(bytes, at: now)
            now = now + spacing
        }
        collect(until: .distantFuture)
        #expect(link.inFlight == 0)
        return (arrivals, link.counters)
    }

    @Test("a perfect link delivers everything at once and in order")
    func perfect() {
        let (arrivals, _) = run(.perfect, count: 100)
        #expect(arrivals.map(\.number) == Array(0..<100))
        #expect(arrivals.allSatisfy { $0.at == Instant(milliseconds: Int64($0.number)) })
    }

    @Test("nothing is handed out before its delay is over")
    func delay() {
        var link = Link(profile: LinkProfile(delay: .milliseconds(30)), seed: 1)
        link.send([1], at: .zero)
        #expect(link.nextDeadline == Instant(milliseconds: 30))
        #expect(link.deliver(at: Instant(milliseconds: 29)).isEmpty)
        #expect(link.deliver(at: Instant(milliseconds: 30)) == [[1]])
        #expect(link.nextDeadline == nil)
    }

    @Test("jitter spreads the arrivals and keeps the order")
    func jitter() {
        let (arrivals, _) = run(LinkProfile(delay: .milliseconds(10), jitter: .milliseconds(20)))
        #expect(arrivals.map(\.number) == Array(0..<10_000))
        let delays = arrivals.map { $0.at.milliseconds(since: Instant(milliseconds: Int64($0.number))) }
        #expect(delays.allSatisfy { (10...30).contains($0) })
        #expect(Set(delays).count > 10)
    }

    @Test("random loss is about what was asked for")
    func loss() {
        let (arrivals, counters) = run(LinkProfile(loss: 0.1))
        #expect((8_800...9_200).contains(arrivals.count))
        #expect(counters.lost + counters.delivered == counters.sent)
    }

    @Test("burst loss has the model's mean and comes in bursts")
    func bursts() {
        let model = GilbertElliott(enterBad: 0.01, leaveBad: 0.1)
        let (arrivals, _) = run(LinkProfile(bursts: model), count: 50_000)
        let lost = 50_000 - arrivals.count
        #expect(abs(Double(lost) / 50_000 - model.meanLoss) < 0.02)
        let gaps = zip(arrivals.dropFirst(), arrivals).map { $0.number - $1.number - 1 }.filter { $0 > 0 }
        let meanBurst = Double(lost) / Double(gaps.count)
        #expect((8.0...12.0).contains(meanBurst))
    }

    @Test("held-back datagrams are overtaken")
    func reorder() {
        let (arrivals, counters) = run(LinkProfile(reorder: 0.05, reorderDelay: .milliseconds(5)))
        let late = zip(arrivals.dropFirst(), arrivals).count { $0.number < $1.number }
        #expect(late > 100)
        #expect(counters.reordered >= late)
        #expect(Set(arrivals.map(\.number)).count == 10_000)
    }

    @Test("duplicates arrive twice")
    func duplicate() {
        let (arrivals, counters) = run(LinkProfile(duplicate: 0.2))
        #expect(arrivals.count == 10_000 + counters.duplicated)
        #expect((1_800...2_200).contains(counters.duplicated))
    }

    @Test("a rate limit spaces datagrams by their size and drops what its queue can't hold")
    func rate() {
        // 100 bytes each ms are 800 kbit/s, twice what the link takes; its queue holds 50 datagrams.
        let (arrivals, counters) = run(LinkProfile(rate: 400_000, queueLimit: 5_000))
        let gaps = zip(arrivals.dropFirst(), arrivals).map { $0.at.nanoseconds(since: $1.at) }
        #expect(gaps.allSatisfy { $0 == 2_000_000 })
        #expect((4_950...5_050).contains(arrivals.count))
        #expect(counters.overflowed == 10_000 - arrivals.count)
        let worst = arrivals.map { $0.at.milliseconds(since: Instant(milliseconds: Int64($0.number))) }.max() ?? 0
        #expect((95...102).contains(worst))
    }

    @Test("the same seed gives the same fate, another one another")
    func seeded() {
        let profile = LinkProfile(loss: 0.3, jitter: .milliseconds(9), reorder: 0.1, duplicate: 0.1)
        let numbers = [5, 5, 6].map { run(profile, seed: $0, count: 500).arrivals.map(\.number) }
        #expect(numbers[0] == numbers[1])
        #expect(numbers[0] != numbers[2])
    }

    @Test("a link can be taken down and put up again while it runs")
    func outage() {
        var link = Link(seed: 1)
        link.profile = .down
        link.send([1], at: .zero)
        link.profile = .perfect
        link.send([2], at: .zero)
        #expect(link.deliver(at: .zero) == [[2]])
    }
}
