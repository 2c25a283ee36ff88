// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MartletServer

@Suite("The loudest speaker of a room") struct LoudestSpeakerTests {
    /// A room looked at every 200 ms.
    private struct Bench {
        var speaker = LoudestSpeaker()
        var now = ContinuousClock.now
        /// Who was marked, one after the other.
        var marked: [String?] = []

        /// Lets time pass with these levels; streams are called a, b, c.
        mutating func pass(_ milliseconds: Int, _ levels: UInt8?...) {
            let streams = zip(["a", "b", "c"], levels).map { LoudestSpeaker.Level(stream: $0, level: $1) }
            for _ in 0..<milliseconds / 200 {
                now += .milliseconds(200)
                let isChanged = speaker.update(streams, at: now)
                if isChanged { marked.append(speaker.current) }
            }
        }
    }

    @Test("whoever speaks is marked at once, and for two seconds after the last word while nobody else speaks")
    func one() {
        var bench = Bench()
        bench.pass(1000, 127, 127)
        #expect(bench.marked.isEmpty)
        bench.pass(200, 127, 30)
        #expect(bench.marked == ["b"])
        bench.pass(1800, 127, 127)
        #expect(bench.speaker.current == "b")
        bench.pass(400, 127, 127)
        #expect(bench.marked == ["b", nil])
    }

    @Test("in a conversation the mark follows those who speak")
    func conversation() {
        var bench = Bench()
        bench.pass(2000, 25, 90)
        bench.pass(2000, 90, 28)
        bench.pass(600, 90, 90)
        bench.pass(2000, 27, 90)
        #expect(bench.marked == ["a", "b", "a"])
    }

    @Test("two who speak at once don't make the mark flicker, and a cough doesn't take it")
    func noFlicker() {
        var bench = Bench()
        bench.pass(1000, 30, 33)
        for _ in 0..<10 {
            bench.pass(200, 31, 28)
            bench.pass(200, 28, 32)
        }
        bench.pass(200, 40, 10)
        bench.pass(1000, 30, 90)
        #expect(bench.marked == ["a"])
        // Louder, and lastingly.
        bench.pass(800, 40, 20)
        #expect(bench.marked == ["a", "b"])
    }

    @Test("noise is not speech, and streams without levels can't be judged")
    func neither() {
        var bench = Bench()
        bench.pass(2000, 51, nil, 60)
        #expect(bench.marked.isEmpty)
        bench.pass(400, 51, nil, 45)
        #expect(bench.marked == ["c"])
    }

    @Test("a stream that ends loses the mark to whoever speaks, or to nobody")
    func ends() {
        var bench = Bench()
        bench.pass(400, 40, 20)
        bench.pass(200, 40)
        #expect(bench.marked == ["b", "a"])
        bench.now += .milliseconds(200)
        let isChanged = bench.speaker.update([], at: bench.now)
        #expect(isChanged)
        #expect(bench.speaker.current == nil)
    }
}
