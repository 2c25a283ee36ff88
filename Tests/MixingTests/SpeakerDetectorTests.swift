// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Mixing

struct SpeakerDetectorTests {
    @Test("silence has no speaker; whoever is heard is it, a breath long beyond the last word")
    func one() {
        var detector = SpeakerDetector(threshold: -50)
        #expect(detector.next([0, 0]) == nil)
        #expect(detector.next([0, 0.1]) == 1)
        for _ in 0..<SpeakerDetector.patience { #expect(detector.next([0, 0.0001]) == 1) }
        #expect(detector.next([0, 0]) == nil)
    }

    @Test("a voice that is a little louder does not take the mark, a much louder one does, and so does the next one after a pause")
    func two() {
        var detector = SpeakerDetector(threshold: -50)
        #expect(detector.next([0.1, 0.05]) == 0)
        #expect(detector.next([0.1, 0.12]) == 0)
        #expect(detector.next([0.1, 0.3]) == 1)
        #expect(detector.next([0.1, 0.0]) == 0)
    }

    @Test("nobody at all is no error")
    func none() {
        var detector = SpeakerDetector(threshold: -50)
        #expect(detector.next([]) == nil)
    }
}
