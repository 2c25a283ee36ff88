// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import Testing

@Suite struct SequenceUnwrapperTests {
    @Test("numbers go on growing over the wrap, also when packets around it are out of order")
    func wraps() {
        var unwrapper = SequenceUnwrapper()
        #expect(unwrapper.unwrap(65_534) == 131_070)
        #expect(unwrapper.unwrap(0) == 131_072)
        #expect(unwrapper.unwrap(65_535) == 131_071)
        #expect(unwrapper.unwrap(1) == 131_073)
    }

    @Test("packets older than the first stay positive")
    func older() {
        var unwrapper = SequenceUnwrapper()
        _ = unwrapper.unwrap(0)
        #expect(unwrapper.unwrap(65_535) == 65_535)
        #expect(unwrapper.unwrap(32_768) > 0)
    }

    @Test("random walks of less than half the number space are followed exactly", arguments: [1, 2, 3] as [UInt64])
    func randomWalk(seed: UInt64) {
        var random = RandomSource.seeded(seed)
        var unwrapper = SequenceUnwrapper()
        var newest: Int64 = 65_536 + 1000
        _ = unwrapper.unwrap(1000)
        for _ in 0..<20_000 {
            let number = newest + Int64.random(in: -1000...2000, using: &random)
            guard number > 0 else { continue }
            #expect(unwrapper.unwrap(UInt16(truncatingIfNeeded: number)) == number)
            newest = max(newest, number)
        }
    }
}
