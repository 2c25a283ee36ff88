// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import RTP

/// A sender in virtual time whose reports are as browsers make them, behind a network; all times in ms.
private struct Sender {
    /// From being made to being sent: a packet of sound, once it is full, and a picture.
    var soundWay = 2.0, pictureWay = 4.0
    /// Sound is sent when it begins, as programs do that make it up.
    var isAhead = false
    /// A sound report is late by so much, and by that much more at most.
    var reportLateness = 0.0, reportSpread = 0.0
    /// The timestamps of pictures are too small by so much.
    var pictureBias = 0.0
    var soundDrift = 0.0
    var loss = 0.0, jitter = 2.0
    var firstSoundReport = 1200.0, soundReportGap = 5000.0
    /// From these times on so much sound has been lost since the one before: it is not in the timestamps.
    var losses: [(at: Double, length: Double)] = []
    /// Between these times sound waits before it is sent, so long.
    var soundWaits: (from: Double, to: Double, delay: Double) = (0, 0, 0)
    /// Between these times a picture takes so much longer.
    var slowPictures: (from: Double, to: Double, delay: Double) = (0, 0, 0)
    /// From here on a packet of sound holds 60 ms.
    var longPackets = Double.infinity
    /// The line takes so much longer between these times.
    var queue: (from: Double, to: Double, delay: Double) = (0, 0, 0)

    /// By how much the timeline puts sound later than pictures that were made with it, each second from the first after `from` on.
    func errors(seed: UInt64, seconds: Double = 8, from: Double = 1500, weighs: Bool = true) -> [Double] {
        places(seed: seed, seconds: seconds, from: from, weighs: weighs).map { $0.sound - $0.picture }
    }

    /// By how much the timeline puts sound and pictures later than they would arrive if they were sent at once.
    func places(seed: UInt64, seconds: Double = 8, from: Double = 1500, weighs: Bool = true) -> [(sound: Double, picture: Double)] {
        var timeline = StreamTimeline(clockRates: [48_000, 90_000], weighsArrivals: weighs), random = RandomSource.seeded(seed)
        enum Kind { case sound, picture, soundReport, pictureReport }
        var sent: [(at: Double, made: Double, kind: Kind)] = []
        func number(_ range: ClosedRange<Double>) -> Double { Double.random(in: range, using: &random) }
        var next = 0.0
        while next < seconds * 1000 {
            let made = next, length = made >= longPackets ? 60.0 : 20
            let waited = made >= soundWaits.from && made < soundWaits.to ? soundWaits.delay : 0
            sent.append((made + (isAhead ? 0 : length) + waited + soundWay + number(0...8), made, .sound))
            next += length
        }
        for made in stride(from: 7, to: seconds * 1000, by: 50) {
            let waited = made >= slowPictures.from && made < slowPictures.to ? slowPictures.delay : 0
            sent.append((made + pictureWay + waited + number(0...12), made, .picture))
        }
        for made in stride(from: firstSoundReport + number(0...1000), to: seconds * 1000, by: soundReportGap) { sent.append((made, made, .soundReport)) }
        for made in stride(from: 500, to: seconds * 1000, by: 1100) { sent.append((made, made, .pictureReport)) }
        func soundTimestamp(_ time: Double) -> UInt32 {
            let lost = losses.reduce(0) { $0 + ($1.at <= time ? $1.length : 0) }
            return 7 &+ UInt32(truncatingIfNeeded: Int64((time - lost) * 48 * (1 + soundDrift)))
        }
        func pictureTimestamp(_ time: Double) -> UInt32 { 4_294_900_000 &+ UInt32(truncatingIfNeeded: Int64((time - pictureBias) * 90)) }
        var arrivals: [(at: Double, made: Double, kind: Kind)] = []
        for one in sent where number(0...1) >= loss {
            let waited = one.at >= queue.from && one.at < queue.to ? queue.delay : 0
            arrivals.append((one.at + 20 + waited + number(0...jitter), one.made, one.kind))
        }
        arrivals.sort { $0.at < $1.at }
        var result: [(sound: Double, picture: Double)] = []
        next = from
        for (at, made, kind) in arrivals {
            let arrival = Instant(nanoseconds: 77_000_000_000 + Int64(at * 1e6))
            if at >= next {
                if next == from { timeline.settle() }
                next += 1000
                let sound = timeline.time(timeline.media(soundTimestamp(made), track: 0), track: 0)
                let picture = timeline.time(timeline.media(pictureTimestamp(made), track: 1), track: 1)
                func late(_ time: Instant) -> Double { Double(time.nanoseconds - 77_000_000_000) / 1e6 - made - 20 }
                if let sound, let picture { result.append((late(sound), late(picture))) }
            }
            let wall = Int64(made * 1e6) + 3_900_000_000_000_000_000
            let ntp = UInt64(wall / 1_000_000_000) << 32 | (UInt64(wall % 1_000_000_000) << 32) / 1_000_000_000
            switch kind {
            case .sound: timeline.note(soundTimestamp(made), track: 0, arrival: arrival)
            case .picture: timeline.note(pictureTimestamp(made), track: 1, arrival: arrival)
            case .soundReport:
                let late = reportLateness + number(0...max(0.001, reportSpread))
                timeline.report(ntp: ntp, timestamp: soundTimestamp(made - late), track: 0, arrival: arrival)
            // As of its packets: what is wrong about pictures can't be seen by their reports.
            case .pictureReport: timeline.report(ntp: ntp, timestamp: pictureTimestamp(made) &+ UInt32(pictureBias * 90), track: 1, arrival: arrival)
            }
        }
        return result
    }

    func worst(seeds: ClosedRange<UInt64> = 1...40, seconds: Double = 8, weighs: Bool = true) -> Double {
        seeds.flatMap { errors(seed: $0, seconds: seconds, weighs: weighs) }.map(abs).max() ?? .infinity
    }
}

struct StreamTimelineTests {
    @Test("late sound reports of which there are one or two put nothing out of step by more than 25 ms", arguments: [0.0, 0.03, 0.2])
    func lateReports(loss: Double) {
        let sender = Sender(reportLateness: 10, reportSpread: 40, loss: loss)
        #expect(sender.worst() <= 25)
        #expect(sender.worst(weighs: false) > 40)
    }

    @Test("pictures whose timestamps are off by 40 ms are put half right, and with late reports of sound still in step")
    func displacedPictures() {
        let sender = Sender(reportLateness: 10, reportSpread: 10, pictureBias: 40, loss: 0.03)
        #expect(sender.worst() <= 40)
        #expect(sender.worst(weighs: false) > 50)
    }

    @Test("a sender whose reports are exact is harmed by little", arguments: [(4.0, false, 8.0), (4, true, 25), (40, false, 20), (400, false, 8), (1000, true, 25)])
    func exact(pictureWay: Double, isAhead: Bool, limit: Double) {
        #expect(Sender(pictureWay: pictureWay, isAhead: isAhead).worst() <= limit)
    }

    @Test("a network whose delay varies harms little, however few the reports", arguments: [10.0, 30])
    func jitter(_ jitter: Double) {
        #expect(Sender(loss: 0.03, jitter: jitter).worst() <= 12 + jitter / 2)
    }

    @Test("before the first report of a track it is placed by its arrivals, and the report changes little")
    func noReport() {
        let sender = Sender(reportLateness: 5, firstSoundReport: 4000)
        let errors = (1...40).map { sender.errors(seed: $0) }
        #expect(errors.allSatisfy { $0.count >= 6 && $0.allSatisfy { abs($0) <= 15 } }, "\(errors)")
    }

    @Test("sound that a busy machine has lost leaves the rest in step within two seconds", arguments: [
        [(4000.0, 20.0)], [(4000, 60)], [(4000, 200)], [(4000, 20), (5000, 20), (6000, 20), (7000, 20)], [(2500, 60)],
    ], [0.0, 0.03])
    func lostSound(losses: [(Double, Double)], loss: Double) {
        let sender = Sender(reportLateness: 10, reportSpread: 20, loss: loss, losses: losses.map { (at: $0.0, length: $0.1) })
        for seed in 1...20 as ClosedRange<UInt64> {
            let errors = sender.errors(seed: seed, seconds: 20)
            let after = errors.dropFirst(Int((losses.last?.0 ?? 0) / 1000) + 2)
            #expect(after.count >= 8 && after.allSatisfy { abs($0) <= 30 }, "\(errors)")
        }
    }

    @Test("what changes for a while beside a loss moves nothing either way", arguments: [60.0, 120])
    func afterLoss(delay: Double) {
        var senders = [Sender](repeating: Sender(reportLateness: 10, reportSpread: 20, loss: 0.01, losses: [(at: 3000, length: 60)]), count: 4)
        senders[0].queue = (from: 8000, to: 21_000, delay: delay)
        senders[1].slowPictures = (from: 8000, to: 10_000, delay: delay)
        senders[2].slowPictures = (from: 1000, to: 10_000, delay: delay)
        senders[3].longPackets = 9000
        for (index, sender) in senders.enumerated() {
            for seed in 1...15 as ClosedRange<UInt64> {
                let errors = sender.errors(seed: seed, seconds: 40).dropFirst(5)
                // Half of what a slow picture takes is put down to its reports; what the line takes is known a second later.
                let limit = index == 1 || index == 2 ? 30 + min(delay / 2, 70) : index == 0 ? 50 : 30
                #expect(errors.allSatisfy { abs($0) <= limit }, "\(index): \(errors.map { Int($0) })")
            }
        }
    }

    @Test("sound that has only waited goes back to its place", arguments: [40.0, 80])
    func waitingSound(delay: Double) {
        let sender = Sender(reportLateness: 10, reportSpread: 20, soundWaits: (from: 4000, to: 8000, delay: delay))
        for seed in 1...15 as ClosedRange<UInt64> {
            let errors = sender.errors(seed: seed, seconds: 20)
            #expect(errors.dropFirst(8).allSatisfy { abs($0) <= 30 }, "\(errors)")
        }
    }

    @Test("streams lie where they were made to each other, whatever their first reports of sound say", arguments: [0.0, 0.03])
    func place(loss: Double) {
        let sender = Sender(reportLateness: 10, reportSpread: 40, loss: loss)
        let pictures = (1...40).flatMap { sender.places(seed: $0).map(\.picture) }
        #expect((pictures.max() ?? 0) - (pictures.min() ?? 0) <= 30, "\(pictures.min() ?? 0)...\(pictures.max() ?? 0)")
    }

    @Test("a queue that comes and goes moves nothing", arguments: [20.0, 80, 300])
    func queue(delay: Double) {
        #expect(Sender(reportLateness: 10, reportSpread: 20, loss: 0.03, queue: (from: 4000, to: 9000, delay: delay)).worst(seconds: 15) <= 25)
    }

    @Test("a sound card that runs wrong by 200 ppm stays in step over ten minutes", arguments: [0.0002, -0.0002])
    func drift(_ drift: Double) {
        let errors = Sender(reportLateness: 10, reportSpread: 10, soundDrift: drift, loss: 0.03).errors(seed: 5, seconds: 600)
        #expect(errors.count >= 590 && errors.allSatisfy { abs($0) <= 25 }, "\(errors.map(abs).max() ?? 0)")
    }
}

@Suite("Media that comes late") struct LateMediaTests {
    /// Where the timeline puts pictures that were made at each `step` ms and arrive when `arrival` says, ms, with reports each second.
    private func times(_ made: StrideTo<Int64>, arrival: (Int64) -> Int64, wall: (Int64) -> Int64 = { $0 }) -> [(made: Int64, time: Int64)] {
        var timeline = StreamTimeline(clockRates: [90_000]), found: [(made: Int64, time: Int64)] = []
        for made in made {
            let at = Instant(milliseconds: 50_000 + arrival(made)), timestamp = UInt32(truncatingIfNeeded: 4_294_000_000 + made * 90)
            if made % 1000 == 0 {
                let ntp = WallTime(nanoseconds: 1_700_000_000_000_000_000 + wall(made) * 1_000_000).ntp
                timeline.report(ntp: ntp, timestamp: timestamp, track: 0, arrival: at)
            }
            timeline.note(timestamp, track: 0, arrival: at)
            if made == 1000 { timeline.settle() }
            guard made > 1000, let time = timeline.time(timeline.media(timestamp, track: 0), track: 0) else { continue }
            found.append((made, time.nanoseconds / 1_000_000 - 50_000))
        }
        return found
    }

    @Test("a line that stands and then brings all at once, or catches up, moves nothing", arguments: [4000, 8000, 9500] as [Int64], [0.0, 0.5, 0.8] as [Double])
    func burst(length: Int64, pace: Double) {
        let start: Int64 = 10_000, end = start + length
        let found = times(stride(from: 0, to: 60_000, by: 40)) { made in
            guard made >= start else { return made }
            return max(made, end + Int64(Double(made - start) * pace))
        }
        #expect(found.allSatisfy { abs($0.made - $0.time) <= 5 }, "\(found.filter { abs($0.made - $0.time) > 5 }.prefix(5))")
    }

    @Test("a track that pauses beside another is where it comes at once")
    func pauseOfOne() {
        var timeline = StreamTimeline(clockRates: [48_000, 90_000]), off: [Int64] = []
        timeline.settle()
        for made in stride(from: Int64(0), to: 30_000, by: 20) {
            let at = Instant(milliseconds: 50_000 + made)
            timeline.note(UInt32(made * 90), track: 1, arrival: at)
            guard made < 10_000 || made >= 18_000 else { continue }
            // Its timestamps don't count the pause.
            let timestamp = UInt32((made < 10_000 ? made : made - 8000) * 48)
            timeline.note(timestamp, track: 0, arrival: at)
            guard made >= 18_400, let time = timeline.time(timeline.media(timestamp, track: 0), track: 0) else { continue }
            off.append(time.span(since: at).nanoseconds / 1_000_000)
        }
        #expect(off.count > 100 && off.allSatisfy { abs($0) <= 20 }, "\(off.prefix(5))")
    }

    @Test("a source that stays behind is followed, forwards only")
    func pause() {
        // It stops for eight seconds, its clock as well.
        let found = times(stride(from: 0, to: 60_000, by: 40), arrival: { $0 >= 10_000 ? $0 + 8000 : $0 }, wall: { $0 >= 10_000 ? $0 + 8000 : $0 })
        for (before, after) in zip(found, found.dropFirst()) { #expect(before.time < after.time) }
        #expect(found.suffix(100).allSatisfy { abs($0.time - $0.made - 8000) <= 50 })
    }
}

struct RecentLeastTests {
    @Test("the least of the newest 10 to 20 seconds counts, and nothing when nothing came")
    func forgetting() {
        var least = RecentLeast()
        func second(_ number: Int64) -> Instant { Instant(milliseconds: number * 1000) }
        #expect(least.value(at: second(0)) == nil)
        for number in Int64(0)..<60 { least.note(.nanoseconds(number < 5 ? 1 : 100 + number % 7), at: second(number)) }
        #expect(least.value(at: second(60)) == .nanoseconds(100))
        #expect(least.value(at: second(200)) == nil)
        least.note(.nanoseconds(500), at: second(200))
        #expect(least.value(at: second(201)) == .nanoseconds(500))
    }
}
