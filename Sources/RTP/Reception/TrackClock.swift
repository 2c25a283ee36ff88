// One track's media clock held against its sender reports: from RTP ticks to the publisher's wall clock. Owned by StreamTimeline.

/// RTP timestamps of one source to wall-clock time, by a robust line through its newest sender reports (RFC 3550 §6.4.1). What is wrong
/// about a report is nearly always that it was made late: the timestamp is that of a packet that had waited. So the line lies low.
struct TrackClock: Sendable {
    /// Reports looked at. Browsers send one every 1 to 5 seconds.
    static let maximumReports = 16
    /// A slope is believed from this span on, ns.
    static let slopeSpan: Int64 = 10_000_000_000
    /// No oscillator is worse; anything beyond is jitter of the reports.
    static let maximumSlope = 0.002

    private var ticks: MediaTicks
    private struct Report: Sendable {
        /// ns of media time, and the wall clock (ns since 1900) less that.
        var media: Int64, offset: Int64
    }
    private var reports: [Report] = []
    private var slope = 0.0
    private var offset: Int64 = 0
    private var reference: Int64 = 0
    /// What arrivals say against the reports, ns; see `StreamTimeline.weigh`.
    var correction: Int64 = 0
    /// Wall clock less media time for as long as there are no reports, ns.
    var assumedOffset: Int64?

    init(clockRate: Int) { ticks = MediaTicks(clockRate: clockRate) }

    var hasReports: Bool { !reports.isEmpty }
    var reportCount: Int { reports.count }

    /// Nanoseconds of media time of a timestamp, counted on over wraps. Timestamps may come out of order.
    mutating func media(_ timestamp: UInt32) -> Int64 { ticks.nanoseconds(ticks.count(timestamp)) }

    /// Takes a sender report. A repetition changes nothing.
    mutating func report(ntp: UInt64, timestamp: UInt32) {
        let wall = NTPTime.nanoseconds(ntp), media = media(timestamp)
        guard reports.last?.media != media else { return }
        reports.append(Report(media: media, offset: wall - media))
        if reports.count > Self.maximumReports { reports.removeFirst() }
        fit()
    }

    /// The publisher's wall clock, ns since 1900, at a media time; `nil` when nothing is known of it.
    func wall(_ media: Int64) -> Int64? {
        guard hasReports else { return assumedOffset.map { media + $0 } }
        return media + offset + correction + Int64(slope * Double(media - reference))
    }

    /// Wall clock less media time by the reports alone, at the newest of them, ns.
    var reportedOffset: Int64? { hasReports ? offset : nil }

    mutating func reset() {
        reports = []
        slope = 0
        correction = 0
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
                    slopes.append(Double(other.offset - one.offset) / Double(other.media - one.media))
                }
            }
            slope = min(Self.maximumSlope, max(-Self.maximumSlope, Self.median(slopes) ?? 0))
        }
        let offsets = reports.map { Double($0.offset - reports[0].offset) - slope * Double($0.media - reference) }.sorted()
        offset = reports[0].offset + Int64(offsets[offsets.count / 4])
    }

    private static func median(_ values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
