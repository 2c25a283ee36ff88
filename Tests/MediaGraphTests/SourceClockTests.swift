// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import MediaGraph

/// A track whose packets go through a clock, in virtual time.
private struct ClockedTrack {
    var clock: SourceClock
    let rate: Int
    var now = Instant(milliseconds: 5000)
    /// The track's own time, counted on over wraps, ticks.
    var total: Int64 = 0
    var rebases: [TimeSpan] = []
    private var frames: UInt64 = 0
    private var newest: UInt32?
    private let id: ObjectIdentifier
    let group: SourceClockGroup

    init(rate: Int = 90_000, id: AnyObject, group: SourceClockGroup = SourceClockGroup()) {
        self.rate = rate
        clock = SourceClock(clockRate: rate)
        self.id = ObjectIdentifier(id)
        self.group = group
    }

    /// Steps back that were taken out.
    var setBacks = 0

    /// One packet in order. Returns by how much the track went on, ticks.
    @discardableResult
    mutating func packet(_ timestamp: UInt32, after milliseconds: Int64 = 0, endsFrame: Bool = true) -> Int64 {
        defer { if endsFrame { frames += 1 } }
        now += .milliseconds(milliseconds)
        if !clock.hasBegun { clock.begin(timestamp, at: now) }
        if !clock.isInStep(timestamp, at: now) {
            let verdict = clock.look(
                timestamp, at: now, frames: frames, shared: group.sharedJump(for: id, at: now), sharedSetBack: group.sharedSetBack(for: id, at: now))
            switch verdict {
            case .inStep: break
            case .rebased(let jump, let isShared):
                rebases.append(jump)
                group.note(jump: jump, isShared: isShared, track: id, at: now)
            case .smoothed(let amount):
                setBacks += 1
                group.note(setBack: amount, track: id, at: now)
            }
        }
        let out = timestamp &+ clock.shift
        let step = newest.map { Int64(Int32(bitPattern: out &- $0)) } ?? 0
        newest = out
        total += step
        return step
    }
}

@Suite("The clock of a source") struct SourceClockTests {
    final class Name {}
    private let name = Name(), other = Name()

    @Test("a clock that runs as clocks do is left alone for ten hours, over wraps, with drift and jitter", arguments: [0.0, 0.0005, -0.0005], [8000, 90_000])
    func steady(drift: Double, rate: Int) {
        var track = ClockedTrack(rate: rate, id: name), random = RandomSource.seeded(11)
        let first = UInt32.max - 90_000
        for step in 0..<360_000 {
            let elapsed = Double(step) / 10 * (1 + drift)
            track.now = Instant(nanoseconds: 5_000_000_000 + Int64(step) * 100_000_000 + Int64.random(in: 0...400_000_000, using: &random))
            track.packet(first &+ UInt32(truncatingIfNeeded: Int64(elapsed * Double(rate))))
        }
        #expect(track.rebases.isEmpty && track.clock.shift == 0)
    }

    @Test("pauses, stalled lines, cached groups of pictures and the order of decoding are left alone")
    func usual() {
        var track = ClockedTrack(id: name)
        var timestamp: UInt32 = 4_294_000_000
        func frames(_ count: Int, every milliseconds: Int64) {
            for _ in 0..<count {
                timestamp &+= 3600
                track.packet(timestamp, after: milliseconds)
            }
        }
        // Twelve seconds of the past at once, as servers send them in front of a live stream.
        frames(300, every: 0)
        frames(250, every: 40)
        // A pause of a minute in which timestamps count on, and one of eight seconds in which they don't.
        timestamp &+= 60 * 90_000
        frames(1, every: 60_040)
        frames(250, every: 40)
        frames(1, every: 8_000)
        frames(500, every: 40)
        // The line stands for eight seconds, then brings all of it.
        track.now += .seconds(8)
        frames(200, every: 0)
        frames(500, every: 40)
        // I P B B in decoding order.
        for _ in 0..<100 {
            for place in [0, 3, 1, 2] as [UInt32] { track.packet(timestamp &+ (place + 1) * 3600, after: 40) }
            timestamp &+= 4 * 3600
        }
        #expect(track.rebases.isEmpty && track.clock.shift == 0)
    }

    @Test("a jump of any size, either way, is taken out: the track goes on by its usual step", arguments: 1...20 as ClosedRange<UInt64>)
    func jumps(seed: UInt64) {
        var track = ClockedTrack(id: name), random = RandomSource.seeded(seed), timestamp = UInt32.random(in: 0...UInt32.max, using: &random)
        for round in 0..<8 {
            for _ in 0..<300 {
                timestamp &+= 3600
                track.packet(timestamp, after: 40)
            }
            let far = Int32.random(in: 300_000...Int32.max - 4000, using: &random)
            timestamp &+= UInt32(bitPattern: Bool.random(using: &random) ? far : -far)
            #expect(track.packet(timestamp, after: 40) == 3600)
            #expect(track.rebases.count == round + 1)
        }
        let expected: Int64 = (8 * 301 - 1) * 3600
        #expect(track.total == expected)
    }

    @Test("after a long pause with a jump the track goes on by the time that passed")
    func jumpAfterPause() {
        var track = ClockedTrack(id: name)
        for number in 0..<250 { track.packet(UInt32(number) * 3600, after: 40) }
        let step = track.packet(3_000_000_000, after: 20_000)
        let off: Int64 = abs(step - 1_800_000)
        #expect(off < 90)
    }

    @Test("tracks that jump together keep their places to each other, to the tick; it counts as one jump")
    func together() {
        let group = SourceClockGroup()
        var audio = ClockedTrack(rate: 48_000, id: name, group: group), video = ClockedTrack(id: other, group: group)
        var media: Int64 = 1000
        func second() {
            for step in 0..<50 {
                media += 20
                audio.now += .milliseconds(20)
                video.now = audio.now + .milliseconds(7)
                audio.packet(UInt32(truncatingIfNeeded: media * 48))
                if step % 2 == 0 { video.packet(UInt32(truncatingIfNeeded: media * 90)) }
            }
        }
        for _ in 0..<10 { second() }
        for jump in [3_600_000, -7_000_000, 5_000] as [Int64] {
            media += jump
            for _ in 0..<10 { second() }
        }
        #expect(audio.rebases.count == 3 && video.rebases.count == 3)
        #expect(group.rebases == 3)
        let heard = Double(audio.total) / 48, shown = Double(video.total) / 90
        let apart: Double = heard - shown - 20
        #expect(abs(apart) < 0.1)
    }

    @Test("a source that falls back for good is put to the present, one that is stopped for an hour at once")
    func lag() {
        var track = ClockedTrack(id: name)
        // Half the speed of time: behind by more than ten seconds after twenty, and again and again.
        for number in 0..<3000 { track.packet(UInt32(number) * 1800, after: 40) }
        #expect((4...6).contains(track.rebases.count))
        let before = track.rebases.count, step = track.packet(3000 * 1800, after: 3_600_000)
        #expect(track.rebases.count == before + 1)
        let off: Int64 = abs(step - 324_000_000)
        #expect(off < 1_350_000)
    }

    @Test("a clock that stands, or creeps back, counts by arrival from frame to frame, and from there when it moves again", arguments: [0, -1], [3600, 90_000, 900_000] as [UInt32])
    func stands(creep: Int32, then jump: UInt32) {
        var track = ClockedTrack(id: name)
        var timestamp: UInt32 = 4_294_000_000
        func frame(_ step: UInt32) {
            timestamp &+= step
            track.packet(timestamp, after: 40, endsFrame: false)
            #expect(track.packet(timestamp) == 0, "the packets of a frame have one timestamp")
        }
        for _ in 0..<250 { frame(3600) }
        for _ in 0..<500 { frame(UInt32(bitPattern: creep)) }
        #expect((track.total - 749 * 3600).magnitude <= 3600 && track.rebases.count == 1)
        frame(jump)
        for _ in 0..<249 { frame(3600) }
        #expect((track.total - 999 * 3600).magnitude <= 3600 && track.rebases.count == 2 && track.group.rebases == 1)
    }

    @Test("a clock that counts seconds is filled by the frames that come meanwhile, and ends nothing")
    func coarse() {
        var track = ClockedTrack(id: name)
        for frame in 0..<3000 { track.packet(UInt32(frame / 25) * 90_000, after: 40) }
        #expect((track.total - 2999 * 3600).magnitude <= 90_000 && track.group.rebases <= 2)
    }

    @Test("frames in decoding order are no clock that stands, however few come in a second", arguments: [5, 8, 15, 25], [3, 8])
    func reordered(rate: Int64, between: Int64) {
        var track = ClockedTrack(id: name), random = RandomSource.seeded(3)
        for group in 0..<100 as Range<Int64> {
            // The one that is shown behind the others comes first; these in two halves, the later one first.
            let order = [between + 1] + (1...between).filter { $0 % 2 == 0 } + (1...between).filter { $0 % 2 == 1 }
            for place in order {
                let jitter = Int64.random(in: -30...30, using: &random)
                track.packet(UInt32(truncatingIfNeeded: (group * (between + 1) + place) * 90_000 / rate), after: 1000 / rate + jitter)
            }
        }
        #expect(track.rebases.isEmpty && track.clock.shift == 0)
    }

    @Test("a frame whose packets come for seconds is no clock that stands")
    func slowFrame() {
        var track = ClockedTrack(id: name)
        for frame in 0..<100 as Range<UInt32> {
            for packet in 0..<100 { track.packet(frame * 180_000, after: 20, endsFrame: packet == 99) }
        }
        #expect(track.rebases.isEmpty && track.total == 99 * 180_000)
    }

    @Test("a clock of twice the speed is held within its bound and found out within a minute")
    func fast() {
        var track = ClockedTrack(id: name)
        for number in 0..<2500 { track.packet(UInt32(truncatingIfNeeded: number * 7200), after: 40) }
        let bound: Int64 = 145 * 90_000
        #expect(track.total < bound)
        #expect(track.group.isBeyondReason(at: track.now))
    }

    @Test("twenty jumps in a minute are borne, more are not, and what is an hour old counts no more")
    func beyondReason() {
        let group = SourceClockGroup()
        func jump(_ second: Int64) { group.note(jump: .seconds(5), isShared: false, track: ObjectIdentifier(name), at: Instant(milliseconds: second * 1000)) }
        for second in Int64(0)..<20 { jump(second) }
        #expect(!group.isBeyondReason(at: Instant(milliseconds: 20_000)))
        jump(20)
        #expect(group.isBeyondReason(at: Instant(milliseconds: 21_000)))
        #expect(!group.isBeyondReason(at: Instant(milliseconds: 3_600_000)))
    }

    @Test("a million random and extreme steps never trap, and the track never parts from the time that passes", arguments: [1, 2, 3, 4] as [UInt64])
    func random(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        let rate = [8000, 44_100, 48_000, 90_000][Int(seed - 1)]
        var track = ClockedTrack(rate: rate, id: name)
        let start = track.now
        var timestamp: UInt32 = 0, furthest = (ahead: 0.0, behind: 0.0)
        for _ in 0..<250_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0: timestamp &+= UInt32.random(in: 0...UInt32.max, using: &random)
            case 1: timestamp &+= 0x7fff_ffff
            case 2: timestamp &+= 0x8000_0000
            case 3: timestamp &-= UInt32(rate) * 3
            case 4: timestamp &+= UInt32(rate) * 29 / 10
            default: timestamp &+= UInt32(rate / 50)
            }
            track.packet(timestamp, after: Int64.random(in: 0...20, using: &random) == 0 ? Int64.random(in: 0...5000, using: &random) : 20)
            let passed = track.now.span(since: start).seconds, lead = Double(track.total) / Double(rate) - passed
            // The anchor follows by 1 % of the time.
            furthest = (max(furthest.ahead, lead - passed / 100), min(furthest.behind, lead + passed / 100))
        }
        #expect(furthest.ahead < 45 && furthest.behind > -40, "\(furthest)")
        #expect(track.group.rebases > 1000)
    }

    @Test("arrivals at the ends of time trap nothing")
    func extremes() {
        for now in [Int64.min, -1, 0, 1, .max - 1, .max].map(Instant.init(nanoseconds:)) {
            var clock = SourceClock(clockRate: 90_000)
            clock.begin(5, at: now)
            for later in [Instant.distantPast, .zero, .distantFuture] {
                for timestamp in [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] as [UInt32] {
                    if !clock.isInStep(timestamp, at: later) { _ = clock.look(timestamp, at: later, frames: UInt64(timestamp), shared: .max) }
                    _ = clock.look(timestamp, at: later, frames: .max - UInt64(timestamp), shared: nil)
                    _ = (clock.isNear(timestamp), clock.isPlausible(timestamp, at: later))
                    clock.begin(timestamp, at: later)
                }
            }
        }
    }

    @Test("where frames come in the order in which they are shown, a clock that is set back a little goes on", arguments: [30, 100, 400, 1900])
    func setBack(milliseconds: Int64) {
        var track = ClockedTrack(id: name), timestamp: UInt32 = 4_294_900_000
        track.clock.mayGoBack = false
        for round in 0..<30 {
            for _ in 0..<100 {
                timestamp &+= 3600
                #expect(track.packet(timestamp, after: round == 0 ? 41 : 40) == (track.total == 0 ? 0 : 3600))
            }
            timestamp &-= UInt32(milliseconds * 90) + 3600
        }
        // No reason to refuse a source, nor to forget what its reports say.
        #expect(track.rebases.isEmpty && !track.group.isBeyondReason(at: track.now))
        // The same where they may be shown in another order is left alone.
        var other = ClockedTrack(id: name)
        for time in [0, 40, 80, 120, 60, 100] as [UInt32] { other.packet(time * 90, after: 40) }
        #expect(other.clock.shift == 0)
    }

    @Test("video that may be shown in another order goes on with its audio where their clock is set back", arguments: [200, 400, 1500])
    func setBackTogether(milliseconds: Int64) {
        let group = SourceClockGroup()
        var sound = ClockedTrack(rate: 48_000, id: name, group: group), pictures = ClockedTrack(id: other, group: group)
        sound.clock.mayGoBack = false
        var back: Int64 = 0
        for time in stride(from: Int64(0), to: 20_000, by: 20) {
            if time % 5000 == 2000 { back += milliseconds }
            (sound.now, pictures.now) = (Instant(milliseconds: 5000 + time), Instant(milliseconds: 5000 + time))
            if time % 40 == 0 { pictures.packet(UInt32(truncatingIfNeeded: (time - back) * 90)) }
            sound.packet(UInt32(truncatingIfNeeded: (time - back) * 48))
        }
        #expect(sound.setBacks == 4 && pictures.setBacks == 4 && sound.rebases.isEmpty && pictures.rebases.isEmpty)
        // Both are where time is, and so in step.
        let heard = sound.total / 48, seen = pictures.total / 90
        #expect(abs(heard - 19_980) <= 40 && abs(seen - 19_960) <= 160 * 4, "\(heard) \(seen)")
    }

    @Test("a wall clock that is set back with the timestamps stays on the line of the reports before")
    func wallSetBack() {
        let group = SourceClockGroup(), first = WallTime(nanoseconds: 1_700_000_000_000_000_000)
        func at(_ second: Int64) -> Instant { Instant(milliseconds: second * 1000) }
        for second in Int64(0)..<10 { #expect(group.hold(first + .seconds(second), at: at(second), line: first + .seconds(second)) == first + .seconds(second)) }
        for second in Int64(10)..<20 {
            let told = first + .seconds(second) - .milliseconds(1500)
            #expect(group.hold(told, at: at(second), line: first + .seconds(second), wasSetBack: second == 10) == first + .seconds(second))
            // The other track's reports follow.
            #expect(group.hold(told, at: at(second), line: first + .seconds(second)) == first + .seconds(second))
        }
        #expect(group.wallRebases == 0)
    }

    @Test("reports that have waited with their packets are handed on as they are")
    func lateReports() {
        let group = SourceClockGroup(), first = WallTime(nanoseconds: 1_700_000_000_000_000_000)
        func at(_ second: Int64) -> Instant { Instant(milliseconds: second * 1000) }
        for second in Int64(0)..<10 { _ = group.hold(first + .seconds(second), at: at(second)) }
        for second in Int64(10)..<18 {
            #expect(group.hold(first + .seconds(second), at: at(18), line: first + .seconds(second) + .milliseconds(100)) == first + .seconds(second))
        }
        #expect(group.hold(first + .seconds(18), at: at(18)) == first + .seconds(18) && group.wallRebases == 0)
    }

    @Test("the wall clock of reports is handed on as it is, and goes on by arrival when it is set or makes no sense")
    func wallClock() {
        let group = SourceClockGroup(), first = WallTime(nanoseconds: 1_700_000_000_000_000_000)
        func at(_ second: Int64) -> Instant { Instant(milliseconds: second * 1000) }
        for second in Int64(0)..<100 {
            let said = first + .seconds(second)
            #expect(group.hold(said, at: at(second)) == said)
        }
        // Set by an hour: both tracks' reports follow the same shift.
        for second in Int64(100)..<200 {
            let said = first + .seconds(second + 3600), expected = first + .seconds(second)
            #expect(group.hold(said, at: at(second)) == expected)
            let other = group.hold(said + .milliseconds(300), at: at(second))
            #expect(other - expected == .milliseconds(300))
        }
        #expect(group.wallRebases == 1)
        var random = RandomSource.seeded(3)
        for second in Int64(200)..<2000 {
            let wild = [0, 1, .max, .max / 2, UInt64.random(in: 0...UInt64.max, using: &random)].randomElement(using: &random) ?? 0
            let held = group.hold(WallTime(ntp: wild), at: at(second))
            let off = (held - first - .seconds(second)).magnitude
            #expect(off < .seconds(30))
        }
    }
}
