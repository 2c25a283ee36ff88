// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import Testing

@Suite struct TransportFeedbackRecorderTests {
    private func feedback(_ recorder: inout TransportFeedbackRecorder, at now: Instant = .zero) -> TransportFeedback? {
        recorder.makeFeedback(senderSSRC: 1, mediaSSRC: 2, at: now)
    }

    @Test("nothing arrived, nothing to report")
    func empty() {
        var recorder = TransportFeedbackRecorder()
        #expect(feedback(&recorder) == nil)
        recorder.record(sequence: 1, at: Instant(milliseconds: 5))
        #expect(feedback(&recorder) != nil)
        #expect(feedback(&recorder) == nil)
    }

    @Test("gaps are told, what is missing at the end is left for the next feedback")
    func gaps() throws {
        var recorder = TransportFeedbackRecorder()
        for sequence in [65_534, 65_535, 2] as [UInt16] { recorder.record(sequence: sequence, at: Instant(milliseconds: 640)) }
        let first = try #require(feedback(&recorder))
        #expect(first.packets.map(\.sequenceNumber) == [65_534, 65_535, 0, 1, 2])
        #expect(first.packets.map { $0.arrivalTicks != nil } == [true, true, false, false, true])
        #expect(first.referenceTime == 10)
        // One that was reported missing comes late: told again from there.
        recorder.record(sequence: 1, at: Instant(milliseconds: 700))
        let second = try #require(feedback(&recorder))
        #expect(second.packets.map(\.sequenceNumber) == [1, 2])
        #expect(second.feedbackCount == first.feedbackCount + 1)
    }

    @Test("a sender reads the arrival times back to a quarter of a millisecond, over any clock value",
          arguments: [0, 5_000, 1_000_000_000, 9_000_000_000_000] as [Int64])
    func arrivalTimes(startMilliseconds: Int64) throws {
        var random = RandomSource.seeded(UInt64(startMilliseconds))
        var recorder = TransportFeedbackRecorder()
        var nanoseconds = startMilliseconds * 1_000_000 + 123_456
        var arrivals: [UInt16: Int64] = [:]
        var told: [UInt16: Int64] = [:]
        var order: [UInt16] = []
        for i in 0..<3000 {
            nanoseconds += Int64.random(in: 0...4_000_000, using: &random)
            let sequence = UInt16(truncatingIfNeeded: 64_000 + i)
            if Int.random(in: 0..<20, using: &random) > 0 {
                recorder.record(sequence: sequence, at: Instant(nanoseconds: nanoseconds))
                arrivals[sequence] = nanoseconds
                order.append(sequence)
            }
            if i % 50 == 49 {
                while let feedback = feedback(&recorder) {
                    let bytes = RTCP.serialize([.transportFeedback(feedback)])
                    #expect(bytes.count < 1200)
                    #expect(try bytes.view { try RTCP.parse($0) } == [.transportFeedback(feedback)])
                    for packet in feedback.packets { if let arrival = packet.arrivalTicks { told[packet.sequenceNumber] = arrival } }
                }
            }
        }
        #expect(Set(told.keys) == Set(arrivals.keys))
        // Differences count, the origin is the receiver's own.
        for (a, b) in zip(order, order.dropFirst()) {
            let real = (arrivals[b] ?? 0) / 250_000 - (arrivals[a] ?? 0) / 250_000
            let said = (told[b] ?? 0) - (told[a] ?? 0)
            #expect(said == real || abs(said - real) == 1 << 32)
        }
    }

    @Test("a long silence or a jump starts a new feedback instead of a wrong time")
    func silence() throws {
        var recorder = TransportFeedbackRecorder()
        recorder.record(sequence: 1, at: Instant(milliseconds: 0))
        recorder.record(sequence: 2, at: Instant(milliseconds: 20_000))
        #expect(try #require(feedback(&recorder)).packets.map(\.sequenceNumber) == [1])
        #expect(try #require(feedback(&recorder)).packets.map(\.sequenceNumber) == [2])
        recorder.record(sequence: 10_000, at: Instant(milliseconds: 20_001))
        #expect(try #require(feedback(&recorder)).packets.map(\.sequenceNumber) == [10_000])
    }

    @Test("a burst is told in several feedbacks that each fit a datagram")
    func burst() {
        var recorder = TransportFeedbackRecorder()
        for i in 0..<5000 { recorder.record(sequence: UInt16(i), at: Instant(nanoseconds: Int64(i) * 300_000_000)) }
        var told: [UInt16] = []
        while let feedback = feedback(&recorder) {
            #expect(RTCP.serialize([.transportFeedback(feedback)]).count < 1200)
            told += feedback.packets.map(\.sequenceNumber)
        }
        #expect(told == (2952..<5000).map { UInt16($0) })
    }
}
