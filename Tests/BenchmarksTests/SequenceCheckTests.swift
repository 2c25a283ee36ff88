// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Benchmarks

@Suite("Check of sequence numbers")
struct SequenceCheckTests {
    private func run(_ sequences: [UInt16]) -> (expected: UInt64, received: Int, doubled: Int) {
        var check = SequenceCheck()
        var (expected, received, doubled): (UInt64, Int, Int) = (0, 0, 0)
        for sequence in sequences {
            let result = check.receive(sequence)
            expected += result.passed
            if result.isNew { received += 1 } else { doubled += 1 }
        }
        return (expected, received, doubled)
    }

    @Test("all in order, over the end of the numbers: nothing is missing")
    func inOrder() {
        let result = run((0..<70_000).map { UInt16(truncatingIfNeeded: 60_000 + $0) })
        #expect(result == (70_000, 70_000, 0))
    }

    @Test("a gap is missing, and is not when its packets come late")
    func gap() {
        #expect(run([1, 2, 5, 6]) == (6, 4, 0))
        #expect(run([1, 2, 5, 6, 4, 3]) == (6, 6, 0))
    }

    @Test("a gap longer than the memory is counted in full")
    func longGap() { #expect(run([1, 5001, 5002]) == (5002, 3, 0)) }

    @Test("a packet that comes twice is doubled, once")
    func doubled() { #expect(run([65_534, 65_535, 0, 65_535, 1]) == (4, 4, 1)) }
}
