// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing
@testable import MartletServer

struct MediaClockTests {
    private func at(_ milliseconds: Int64) -> Instant { Instant(milliseconds: milliseconds) }

    @Test("the first timestamp is anywhere, and milliseconds go on where 32 bits end", arguments: [0, 5, 0x7fff_fff0, 0xffff_fff0] as [UInt32])
    func wrap(start: UInt32) {
        var clock = MediaClock()
        for step in 0..<1000 {
            let isVideo = step % 2 == 0
            #expect(clock.time(of: start &+ UInt32(step * 20), isVideo: isVideo, at: at(Int64(step) * 20)).milliseconds == Int64(step) * 20)
        }
        #expect(clock.rebases == 0)
    }

    @Test("a pause in which the sender's clock runs on is a pause; small steps back stay what they are")
    func pauses() {
        var clock = MediaClock()
        _ = clock.time(of: 0, isVideo: true, at: at(0))
        #expect(clock.time(of: 600_000, isVideo: true, at: at(600_000)).milliseconds == 600_000)
        #expect(clock.time(of: 599_960, isVideo: true, at: at(600_010)).milliseconds == 599_960)
        // A connection that stood still, then brings everything at once.
        for step in 0..<500 { #expect(clock.time(of: 600_000 + UInt32(step) * 40, isVideo: true, at: at(620_000)).milliseconds == 600_000 + Int64(step) * 40) }
        #expect(clock.rebases == 0)
    }

    @Test("a jump of both tracks is one new beginning, by arrival, and they stay in step", arguments: [5_000_000, 0x7fff_ffff, 0x9000_0000, 0xfff0_0000] as [UInt32])
    func jump(size: UInt32) {
        var clock = MediaClock()
        for step in 0..<50 {
            _ = clock.time(of: UInt32(step * 40), isVideo: true, at: at(Int64(step) * 40))
            _ = clock.time(of: UInt32(step * 40 + 7), isVideo: false, at: at(Int64(step) * 40 + 9))
        }
        // The video's first frame behind the jump is late by 15 ms, as arrivals are.
        let video = clock.time(of: size &+ 2000, isVideo: true, at: at(2015))
        let audio = clock.time(of: size &+ 2007, isVideo: false, at: at(2016))
        #expect(video.milliseconds == 2015 && (audio - video) == .milliseconds(7))
        #expect(clock.rebases == 1 && !clock.isRunaway)
    }

    @Test("a clock that is set back by seconds is a new beginning too: time never goes back so far", arguments: [1_100, 2_500, 2_999] as [UInt32])
    func setBack(by milliseconds: UInt32) {
        var clock = MediaClock()
        for step in 0..<250 {
            let back: UInt32 = step < 125 ? 0 : milliseconds
            #expect(clock.time(of: 600_000 + UInt32(step) * 40 - back, isVideo: true, at: at(Int64(step) * 40)).milliseconds == Int64(step) * 40)
            #expect(clock.time(of: 600_007 + UInt32(step) * 40 - back, isVideo: false, at: at(Int64(step) * 40 + 7)).milliseconds == Int64(step) * 40 + 7)
        }
        #expect(clock.rebases == 1)
    }

    @Test("while a sender's clock stands time goes on by arrival, and from there when it moves again, wherever to", arguments: [0, 40, 8_000, 3_600_000] as [UInt32])
    func stands(then jump: UInt32) {
        var clock = MediaClock(), video = MediaTime.zero, audio = MediaTime.zero
        for step in 0..<500 as Range<Int64> {
            let timestamp: UInt32 = step < 50 ? UInt32(step) * 40 : step < 300 ? 2_000 : 2_000 + jump + UInt32(step - 300) * 40
            let nextVideo = clock.time(of: timestamp, isVideo: true, at: at(step * 40)), nextAudio = clock.time(of: timestamp, isVideo: false, at: at(step * 40))
            #expect(nextVideo >= video && nextAudio >= audio && (nextVideo - nextAudio).magnitude <= .milliseconds(40))
            (video, audio) = (nextVideo, nextAudio)
            // Within what it takes to see it.
            #expect((video - MediaTime(milliseconds: step * 40)).magnitude <= MediaClock.longestStand + .milliseconds(40))
        }
        #expect(clock.rebases == 2)
    }

    @Test("while a sender's clock runs backwards time goes on by arrival, and from there when it gets beyond where it was", arguments: [0, 25, 100] as [Int])
    func backwards(turnsAfter: Int) {
        var clock = MediaClock(), highest = MediaTime.zero
        for step in 0..<1500 {
            let timestamp = UInt32(0x8000_0000 + (step < 750 ? 40 * min(step, turnsAfter) - 40 * max(0, step - turnsAfter) : 40 * (step - 400)))
            let video = clock.time(of: timestamp, isVideo: true, at: at(Int64(step) * 40))
            let audio = clock.time(of: timestamp + 3, isVideo: false, at: at(Int64(step) * 40 + 3))
            for (time, passed) in [(video, step * 40), (audio, step * 40 + 3)] {
                // Within what it takes to see it.
                #expect(abs(time.milliseconds - Int64(passed)) <= 450, "\(time.milliseconds) at \(passed)")
                #expect(time >= highest || highest - time <= .milliseconds(200))
                highest = max(highest, time)
            }
        }
        #expect(!clock.isRunaway && clock.rebases <= 6)
    }

    @Test("frames in decoding order with the times at which they are shown are no clock that runs backwards")
    func decodingOrder() {
        var clock = MediaClock()
        // Groups of eight with a pyramid of B-frames.
        for step in 0..<80 {
            let shown = UInt32(40 * (8 * (step / 8) + [8, 4, 2, 1, 3, 6, 5, 7][step % 8]))
            let time = clock.time(of: 1000 + shown, isVideo: true, at: at(Int64(step) * 40))
            #expect(time.milliseconds == Int64(shown) - 320)
        }
        #expect(clock.rebases == 0)
    }

    @Test("a line that stood still in the middle of a frame is no clock that stands")
    func slices() {
        var clock = MediaClock()
        for step in 0..<50 as Range<Int64> {
            // Eight messages a frame; after every tenth frame's third nothing comes for two seconds.
            for slice in 0..<8 as Range<Int64> {
                let late: Int64 = step % 10 == 0 && slice > 2 ? 2_000 : 0
                #expect(clock.time(of: UInt32(step) * 40, isVideo: true, at: at(step * 400 + late + slice)).milliseconds == step * 40)
            }
        }
        #expect(clock.rebases == 0)
    }

    @Test("a track that was away follows the jumps of the other, also where its own timestamps would do")
    func away() {
        var clock = MediaClock()
        for step in 0..<100 as Range<Int64> { _ = clock.time(of: UInt32(step * 20), isVideo: false, at: at(step * 20)) }
        // Pictures alone for two and a half seconds, on a clock that is set forth by 20 s and then to 0.7 s more than what sound knew.
        for step in 100..<225 as Range<Int64> { #expect(clock.time(of: UInt32(20_000 + step * 20), isVideo: true, at: at(step * 20)).milliseconds == step * 20) }
        for step in 225..<300 as Range<Int64> {
            let stamp = UInt32(700 + step * 20)
            #expect(clock.time(of: stamp, isVideo: true, at: at(step * 20)).milliseconds == step * 20)
            #expect(clock.time(of: stamp + 5, isVideo: false, at: at(step * 20 + 5)).milliseconds == step * 20 + 5)
        }
    }

    @Test("tracks with clocks of their own are placed by arrival")
    func clocksApart() {
        var clock = MediaClock()
        #expect(clock.time(of: 1000, isVideo: true, at: at(0)) == .zero)
        #expect(clock.time(of: 900_000_000, isVideo: false, at: at(30)).milliseconds == 30)
        #expect(clock.time(of: 1040, isVideo: true, at: at(40)).milliseconds == 40)
        #expect(clock.time(of: 900_000_023, isVideo: false, at: at(53)).milliseconds == 53)
        #expect(clock.rebases == 0)
    }

    @Test("a track whose clock is slow, or stands beside another that does, is moved by itself: the other stays where arrival is", arguments: [100, 0] as [UInt32])
    func slowTrack(ticksPerSecond: UInt32) {
        var clock = MediaClock(), last: (video: Int64, audio: Int64) = (0, 0)
        _ = clock.time(of: 0, isVideo: true, at: at(0))
        for second in 0...300 as ClosedRange<UInt32> {
            let arrival = at(Int64(second) * 1000)
            last.video = clock.time(of: ticksPerSecond == 0 ? 0 : second * 1000, isVideo: true, at: arrival).milliseconds
            last.audio = clock.time(of: second * ticksPerSecond, isVideo: false, at: arrival).milliseconds
            // That a clock stands shows after some messages.
            #expect(abs(last.video - Int64(second) * 1000) < (ticksPerSecond > 0 || second > 6 ? 500 : 7_000), "\(last)")
            #expect(abs(last.audio - Int64(second) * 1000) < 31_000, "\(last)")
        }
        #expect(clock.rebases < 15)
    }

    @Test("small steps don't add up: time and arrival never part by more than the bound", arguments: [9_000, -2_900] as [Int])
    func creep(step: Int) {
        var clock = MediaClock(), timestamp: UInt32 = 0, time = MediaTime.zero
        for message in 0..<400 {
            let next = clock.time(of: timestamp, isVideo: false, at: at(Int64(message)))
            #expect((next - time).magnitude <= MediaClock.widestDrift + MediaClock.longestJump)
            time = next
            timestamp = timestamp &+ UInt32(bitPattern: Int32(step))
        }
        #expect(clock.isRunaway)
    }

    @Test("twenty jumps in a minute are borne, more are no clock; in an hour they are")
    func runaway() {
        func runs(_ count: Int, every seconds: Int) -> Bool {
            var clock = MediaClock(), timestamp: UInt32 = 0
            _ = clock.time(of: 0, isVideo: false, at: at(0))
            for jump in 1...count {
                timestamp = timestamp &+ 0x7fff_ffff
                _ = clock.time(of: timestamp, isVideo: false, at: at(Int64(jump * seconds) * 1000))
            }
            #expect(clock.rebases == UInt64(count))
            return clock.isRunaway
        }
        #expect(!runs(20, every: 1))
        #expect(runs(21, every: 1))
        #expect(!runs(100, every: 10))
    }

    @Test("any order of any timestamps: time goes on with arrival and never runs away", arguments: 0..<20 as Range<UInt64>)
    func random(seed: UInt64) {
        var random = RandomSource.seeded(seed), clock = MediaClock(), arrival: Int64 = 0, timestamp: UInt32 = random.next32()
        for _ in 0..<5_000 {
            arrival += Int64.random(in: 0...200, using: &random)
            timestamp = switch Int.random(in: 0..<10, using: &random) {
            case 0: random.next32()
            case 1: timestamp &+ 0x7fff_ffff
            case 2: timestamp &- UInt32.random(in: 0...5_000, using: &random)
            default: timestamp &+ UInt32.random(in: 0...12_000, using: &random)
            }
            let time = clock.time(of: timestamp, isVideo: Bool.random(using: &random), at: at(arrival))
            // Ahead at most by what each new beginning may leave.
            let ahead = time - MediaTime(milliseconds: arrival)
            #expect(ahead >= -(MediaClock.widestDrift + MediaClock.longestJump))
            #expect(ahead <= (MediaClock.widestDrift + MediaClock.longestJump * 2) * Int64(clock.rebases + 2))
        }
    }
}

extension RandomSource {
    fileprivate mutating func next32() -> UInt32 { UInt32.random(in: 0...UInt32.max, using: &self) }
}
