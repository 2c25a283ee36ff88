// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import Testing

@Suite struct ReceiverStatisticsTests {
    private func at(_ ms: Int64) -> Instant { Instant(milliseconds: 50_000 + ms) }

    @Test("a stream without loss reports none, and its highest sequence number with cycles")
    func clean() {
        var statistics = ReceiverStatistics(clockRate: 90_000)
        for i in 0..<100 as Range<Int64> {
            statistics.receive(
                sequence: UInt16(truncatingIfNeeded: 65_500 + i), timestamp: UInt32(i * 3000), at: at(i * 1000 / 30))
        }
        let block = statistics.makeReportBlock(ssrc: 5, at: at(4000))
        #expect(block.ssrc == 5)
        #expect(block.fractionLost == 0)
        #expect(block.cumulativeLost == 0)
        #expect(block.highestSequence == 65_599)
        #expect(block.jitter < 90)
        #expect(block.lastSR == 0 && block.delaySinceLastSR == 0)
    }

    @Test("the fraction lost is of the interval, the total of the whole")
    func loss() {
        var statistics = ReceiverStatistics(clockRate: 48_000)
        for i in 0..<100 as Range<UInt16> where i % 4 != 1 { statistics.receive(sequence: i, timestamp: UInt32(i) * 960, at: at(Int64(i) * 20)) }
        let first = statistics.makeReportBlock(ssrc: 1, at: at(2000))
        #expect(first.fractionLost == 64)
        #expect(first.cumulativeLost == 25)
        for i in 100..<200 as Range<UInt16> { statistics.receive(sequence: i, timestamp: UInt32(i) * 960, at: at(Int64(i) * 20)) }
        let second = statistics.makeReportBlock(ssrc: 1, at: at(4000))
        #expect(second.fractionLost == 0)
        #expect(second.cumulativeLost == 25)
        let idle = statistics.makeReportBlock(ssrc: 1, at: at(5000))
        #expect(idle.fractionLost == 0)
    }

    @Test("a late packet takes its loss back")
    func late() {
        var statistics = ReceiverStatistics(clockRate: 48_000)
        for sequence in [1, 2, 4] as [UInt16] { statistics.receive(sequence: sequence, timestamp: 0, at: at(0)) }
        #expect(statistics.cumulativeLost == 1)
        statistics.receive(sequence: 3, timestamp: 0, at: at(1))
        #expect(statistics.cumulativeLost == 0)
    }

    @Test("jitter settles at the mean deviation (RFC 3550 A.8)")
    func jitter() {
        var statistics = ReceiverStatistics(clockRate: 48_000)
        // Every other packet 5 ms late: successive transit times differ by 240 ticks.
        for i in 0..<400 as Range<Int64> {
            statistics.receive(sequence: UInt16(i), timestamp: UInt32(i * 960), at: at(i * 20 + (i % 2) * 5))
        }
        #expect((230...240).contains(statistics.jitter))
    }

    @Test("the last sender report is echoed with the time since")
    func senderReport() {
        var statistics = ReceiverStatistics(clockRate: 48_000)
        statistics.receive(sequence: 1, timestamp: 0, at: at(0))
        statistics.receiveSenderReport(ntpTimestamp: 0x1111_2222_3333_4444, at: at(100))
        let block = statistics.makeReportBlock(ssrc: 1, at: at(1600))
        #expect(block.lastSR == 0x2222_3333)
        #expect(block.delaySinceLastSR == 65_536 * 3 / 2)
    }

    @Test("nothing received makes a report of zeros")
    func empty() {
        var statistics = ReceiverStatistics(clockRate: 48_000)
        #expect(statistics.makeReportBlock(ssrc: 9, at: at(0)) == ReportBlock(ssrc: 9))
    }
}
