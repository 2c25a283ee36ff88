// SPDX-License-Identifier: Apache-2.0
// One track's media clock held against its sender reports: from RTP ticks to the publisher's wall clock. Owned by StreamTimeline.
import Primitives

/// RTP timestamps of one source to wall-clock time, by a robust line through its newest sender reports (RFC 3550 §6.4.1). What is wrong
/// about a report is nearly always that it was made late: the timestamp is that of a packet that had waited. So the line lies low.
struct TrackClock: Sendable {
    /// Reports looked at. Browsers send one every 1 to 5 seconds.
    static let maximumReports = 16
    /// A slope is believed from this span on.
    static let slopeSpan = TimeSpan.seconds(10)
    /// No oscillator is worse; anything beyond is jitter of the reports.
    static let maximumSlope = 0.002

    private var ticks: MediaTicks
    private struct Report: Sendable {
        var media: MediaTime
        /// The wall clock (since 1970) less `media`.
        var offset: TimeSpan
    }
    private var reports: [Report] = []
    private var slope = 0.0
    private var offset = TimeSpan.zero
    private var reference = MediaTime.zero
    /// What arrivals say against the reports; see `StreamTimeline.weigh`.
    var correction = TimeSpan.zero
    /// Wall clock less media time for as long as there are no reports.
    var assumedOffset: TimeSpan?

    /// - Parameter clockRate: Hz, of the codec.
    init(clockRate: Int) { ticks = MediaTicks(clockRate: clockRate) }

    var hasReports: Bool { !reports.isEmpty }
    var reportCount: Int { reports.count }

    /// Media time of a timestamp, counted on over wraps. Timestamps may come out of order.
    mutating func media(_ timestamp: UInt32) -> MediaTime { ticks.time(ticks.count(timestamp)) }

    /// Takes a sender report. A repetition changes nothing.
    mutating func report(_ wall: WallTime, timestamp: UInt32) {
        let media = media(timestamp)
        guard reports.last?.media != media else { return }
        reports.append(Report(media: media, offset: wall - WallTime(nanoseconds: media.nanoseconds)))
        if reports.count > Self.maximumReports { reports.removeFirst() }
        fit()
    }

    /// From now on media time lies by this much further behind the wall clock. Reports that say so already stay as they are.
    mutating func lose(_ span: TimeSpan) {
        guard hasReports else { return }
        for (index, report) in reports.enumerated() {
            let drift = TimeSpan(roundedNanoseconds: slope * Double((report.media - reference).nanoseconds))
            if (report.offset - offset - drift - span).magnitude > span.magnitude / 2 { reports[index].offset = report.offset + span }
        }
        fit()
    }

    /// The publisher's wall clock at a media time; `nil` when nothing is known of it.
    func wall(_ media: MediaTime) -> WallTime? {
        let asWall = WallTime(nanoseconds: media.nanoseconds)
        guard hasReports else { return assumedOffset.map { asWall + $0 } }
        let drift = TimeSpan(roundedNanoseconds: slope * Double((media - reference).nanoseconds))
        return asWall + offset + correction + drift
    }

    /// Wall clock less media time at the newest report; `nil` when nothing is known of it.
    var wallOffset: TimeSpan? { hasReports ? offset + correction : assumedOffset }
    /// Wall clock less media time by the reports alone, at the newest of them.
    var reportedOffset: TimeSpan? { hasReports ? offset : nil }

    mutating func reset() {
        reports = []
        slope = 0
        correction = .zero
        assumedOffset = nil
    }

    /// Theil–Sen: the median of the slopes of all pairs, then the lower quartile of the offsets. One report that is off by any amount
    /// changes little.
    private mutating func fit() {
        reference = reports[reports.count - 1].media
        let span = reference - reports[0].media
        slope = 0
        if span >= Self.slopeSpan {
            var slopes: [Double] = []
            for (index, one) in reports.enumerated() {
                for other in reports[(index + 1)...] where other.media - one.media >= Self.slopeSpan / 4 {
                    slopes.append(Double((other.offset - one.offset).nanoseconds) / Double((other.media - one.media).nanoseconds))
                }
            }
            slope = min(Self.maximumSlope, max(-Self.maximumSlope, Self.median(slopes) ?? 0))
        }
        let offsets = reports
            .map { Double(($0.offset - reports[0].offset).nanoseconds) - slope * Double(($0.media - reference).nanoseconds) }
            .sorted()
        offset = reports[0].offset + TimeSpan(roundedNanoseconds: offsets[offsets.count / 4])
    }

    private static func median(_ values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
