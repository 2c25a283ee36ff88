// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

@testable import MediaGraph

@Suite("Key frame requests to a source")
struct KeyFrameLimiterTests {
    private static let gap = TimeSpan.seconds(1), again = TimeSpan.milliseconds(300)

    /// Asks each millisecond; each request is answered `answer` ms later, or never. Returns the milliseconds of the requests.
    private func requests(for milliseconds: Int64, answer: Int64?) -> [Int64] {
        var limiter = KeyFrameLimiter(), keyFrame = Instant.zero, found: [Int64] = []
        for time in 1...milliseconds {
            if limiter.mayRequest(gap: Self.gap, repeatAfter: Self.again, lastKeyFrame: keyFrame, at: Instant(milliseconds: time)) { found.append(time) }
            if let answer, let last = found.last, time - last == answer { keyFrame = Instant(milliseconds: time) }
        }
        return found
    }

    @Test("the first few go out as they come, then there is one for each gap")
    func burstAndRate() {
        #expect(requests(for: 4500, answer: 20) == [1, 22, 43, 1001, 2001, 3001, 4001])
    }

    @Test("one that is not answered is repeated, and takes nothing from those that come later")
    func repeats() {
        #expect(requests(for: 1000, answer: nil) == [1, 301, 601, 901])
        // The last one is answered, and so are those that follow.
        var limiter = KeyFrameLimiter()
        let allowed = [(0, -1), (300, -1), (600, -1), (620, 619), (640, 639)].map { (time: Int64, keyFrame: Int64) -> Bool in
            limiter.mayRequest(gap: Self.gap, repeatAfter: Self.again, lastKeyFrame: Instant(milliseconds: keyFrame), at: Instant(milliseconds: time))
        }
        #expect(allowed == [true, true, true, true, true])
    }

    @Test("after a pause all of the few are there again")
    func refills() {
        var limiter = KeyFrameLimiter()
        for start in [0, 3000] as [Int64] {
            let allowed = (0..<5).map { (number: Int64) -> Bool in
                let now = Instant(milliseconds: start + 10 * number)
                return limiter.mayRequest(gap: Self.gap, repeatAfter: Self.again, lastKeyFrame: now, at: now)
            }
            #expect(allowed == [true, true, true, false, false])
        }
    }
}
