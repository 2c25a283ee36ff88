// SPDX-License-Identifier: Apache-2.0
// Tells from the trend of the delay whether a queue is growing on the way. Part of CongestionController.
import Primitives

/// Trendline filter and over-use detector with adaptive threshold (GCC: draft-ietf-rmcat-gcc-02 §5.3–5.4, with the
/// least-squares trend of libwebrtc in place of the Kalman filter).
struct DelayTrend: Sendable {
    enum Usage: Sendable, Equatable { case normal, overuse, underuse }

    private static let window = 20
    private static let smoothing = 0.9
    private static let gain = 4.0
    private static let maximumDeltas = 60.0
    /// ms that the trend must be above the threshold.
    private static let patience = 10.0
    private static let thresholdRange = 6.0...600.0
    private static let thresholdUp = 0.0087, thresholdDown = 0.039

    private(set) var usage = Usage.normal
    private var points: [SIMD2<Double>] = []
    private var oldest = 0
    private var deltas = 0.0
    private var accumulated = 0.0
    private var smoothed = 0.0
    private var firstArrival: Double?
    private var threshold = 12.5
    private var lastThresholdUpdate: Double?
    private var overuseTime: Double?
    private var overuseCount = 0
    private var previousTrend = 0.0

    init() { points.reserveCapacity(Self.window) }

    mutating func note(_ delta: PacketGroups.Delta) {
        let arrival = delta.arrival.fractionalMilliseconds
        let sentGap = delta.sent.fractionalMilliseconds
        let start = firstArrival ?? arrival
        firstArrival = start
        deltas = min(deltas + 1, Self.maximumDeltas)
        accumulated += delta.arrived.fractionalMilliseconds - sentGap
        smoothed = Self.smoothing * smoothed + (1 - Self.smoothing) * accumulated
        let point = SIMD2(arrival - start, smoothed)
        if points.count < Self.window {
            points.append(point)
        } else {
            points[oldest] = point
            oldest = (oldest + 1) % Self.window
        }
        let trend = points.count == Self.window ? slope() ?? previousTrend : previousTrend
        detect(trend, sentGap: sentGap, at: arrival)
    }

    /// Least squares over the window: ms of delay per ms of time.
    private func slope() -> Double? {
        var sum = SIMD2<Double>.zero
        for point in points { sum += point }
        let mean = sum / Double(points.count)
        var numerator = 0.0, denominator = 0.0
        for point in points {
            let offset = point - mean
            numerator += offset.x * offset.y
            denominator += offset.x * offset.x
        }
        return denominator > 0 ? numerator / denominator : nil
    }

    private mutating func detect(_ trend: Double, sentGap: Double, at arrival: Double) {
        let modified = deltas * trend * Self.gain
        if modified > threshold {
            // As if it had begun half-way between the two groups.
            overuseTime = overuseTime.map { $0 + sentGap } ?? sentGap / 2
            overuseCount += 1
            if overuseTime ?? 0 > Self.patience, overuseCount > 1, trend >= previousTrend {
                overuseTime = 0
                overuseCount = 0
                usage = .overuse
            }
        } else {
            overuseTime = nil
            overuseCount = 0
            usage = modified < -threshold ? .underuse : .normal
        }
        previousTrend = trend
        adapt(to: abs(modified), at: arrival)
    }

    /// Follows the usual size of the trend, so that jitter and competing flows are told from a queue.
    private mutating func adapt(to size: Double, at arrival: Double) {
        defer { lastThresholdUpdate = arrival }
        // A single large jump of the delay says nothing about what is usual.
        guard let last = lastThresholdUpdate, size <= threshold + 15 else { return }
        let rate = size < threshold ? Self.thresholdDown : Self.thresholdUp
        threshold += rate * (size - threshold) * min(arrival - last, 100)
        threshold = min(max(threshold, Self.thresholdRange.lowerBound), Self.thresholdRange.upperBound)
    }
}
