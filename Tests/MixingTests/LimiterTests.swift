// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Mixing

struct LimiterTests {
    private func limited(_ samples: [Float], pieces: Int) -> [Float] {
        var limiter = Limiter(), output: [Float] = []
        for start in stride(from: 0, to: samples.count, by: pieces * 2) {
            output += limiter.process(Array(samples[start..<min(samples.count, start + pieces * 2)]))
        }
        return output + limiter.finish()
    }

    private func tone(_ amplitude: Float, _ count: Int) -> [Float] {
        (0..<count).flatMap { index -> [Float] in
            let value = amplitude * sin(Float(index) * 0.06)
            return [value, value]
        }
    }

    @Test("what is not loud passes unchanged, however it is cut", arguments: [1, 7, 240, 24_000])
    func quiet(pieces: Int) {
        let sound = tone(0.8, 24_000)
        #expect(limited(sound, pieces: pieces) == sound)
    }

    @Test("three voices at full scale come out below it, as long as they went in and without a click")
    func loud() {
        let sound = (0..<52_800).flatMap { index -> [Float] in
            let value: Float = ((4_800..<28_800).contains(index) ? 3 : 0.3) * sin(Float(index) * 2 * .pi / 96)
            return [value, value]
        }
        let output = limited(sound, pieces: 960)
        #expect(output.count == sound.count)
        #expect(output.allSatisfy { abs($0) <= Limiter.ceiling + 0.001 })
        // Full as far as it may be, and back to normal half a second later.
        #expect((output[30_000..<40_000].map { abs($0) }.max() ?? 0) > 0.8)
        #expect(abs((output.suffix(4_000).map { abs($0) }.max() ?? 0) - 0.3) < 0.02)
        // No sample is further from the last than the loud tone itself could be.
        let steps = zip(stride(from: 0, to: output.count - 2, by: 2), stride(from: 2, to: output.count, by: 2)).map { abs(output[$1] - output[$0]) }
        #expect((steps.max() ?? 1) < 0.2)
    }

    @Test("a single peak is turned down before it comes")
    func peak() {
        var sound = tone(0.1, 4_800)
        sound[4_800] = 20
        let output = limited(sound, pieces: 480)
        #expect(output.allSatisfy { abs($0) <= Limiter.ceiling + 0.001 } && output[4_800] > 0.8)
    }

    @Test("however it is cut, the result is the same")
    func cuts() {
        let sound = tone(0.3, 3_000) + tone(2, 9_000) + tone(0.2, 3_000)
        let whole = limited(sound, pieces: 100_000)
        for pieces in [1, 33, 500] { #expect(zip(limited(sound, pieces: pieces), whole).allSatisfy { abs($0 - $1) < 0.0001 }) }
    }
}
