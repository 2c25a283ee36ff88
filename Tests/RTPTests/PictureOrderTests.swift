// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import RTP

@Suite("Order of pictures") struct PictureOrderTests {
    private func isReordered(_ times: [Int64]) -> Bool {
        var order = PictureOrder()
        for (time, next) in zip(times, times.dropFirst()) { order.take(step: .milliseconds(next) - .milliseconds(time)) }
        return order.isReordered
    }

    @Test("pictures that are decoded before those they are shown behind are found", arguments: [
        [0, 120, 40, 80, 240, 160, 200], [0, 160, 80, 40, 120, 320, 240], [0, 80, 40, 160, 120], [0, 40, 80, 5000, 4960, 5040, 5000],
    ] as [[Int64]])
    func reordered(times: [Int64]) { #expect(isReordered(times)) }

    @Test("clocks that stand, creep, jump or are set back are no order of pictures", arguments: [
        [0, 40, 80, 120, 160], [0, 0, 0, 40, 40], [400, 390, 380, 370, 360, 350], [0, 400, 200, 240, 280, 320],
        [5000, 5040, 0, 40, 80, 2000, 0, 40], [0, 40, .max, .min, 40, 80], [0, 2, 1, 40, 42, 41, 80, 82, 81],
    ] as [[Int64]])
    func inOrder(times: [Int64]) { #expect(!isReordered(times)) }

    @Test("a clock that is set back every few seconds is none either")
    func oftenSetBack() { #expect(!isReordered((0..<1000).map { $0 * 40 - $0 / 100 * 70 })) }
}
