// SPDX-License-Identifier: Apache-2.0
// Collects what the burnt-in clocks of received pictures say: latency figures, and when each picture arrived.
// Owned by a play pipeline.
import Codecs
import Primitives

/// Reads clocks and keeps bounded figures about them.
public struct ClockReader: Sendable {
    /// Most recent samples kept, for latencies and for arrivals.
    public static let capacity = 4096

    /// Pictures whose clock could be read.
    public private(set) var readable = 0
    /// Pictures without a clock, or with a damaged one.
    public private(set) var unreadable = 0
    /// The newest value read.
    public private(set) var lastValue: UInt32?
    private var latencies: [Double] = []
    private var oldestLatency = 0
    private var arrivals: [UInt32: WallTime] = [:]
    private var arrivalOrder: [UInt32] = []
    private var oldestArrival = 0

    public init() {}

    /// Takes a decoded picture.
    /// - Parameters:
    ///   - arrival: wall clock at which the last packet of the picture came in.
    ///   - shownAt: wall clock at which the picture was ready to be shown.
    /// - Returns: the clock value, or `nil` when it could not be read.
    @discardableResult
    public mutating func add(_ frame: VideoFrame, arrival: WallTime, shownAt: WallTime) -> UInt32? {
        guard let value = BurntInClock.read(from: frame) else {
            unreadable += 1
            return nil
        }
        readable += 1
        lastValue = value
        note(latency: Self.milliseconds(from: value, to: shownAt))
        note(value, arrival: arrival)
        return value
    }

    /// Milliseconds from a clock value to a wall-clock time; right as long as they lie within ±24 days.
    public static func milliseconds(from value: UInt32, to time: WallTime) -> Double {
        let whole = Int32(bitPattern: UInt32(truncatingIfNeeded: time.milliseconds) &- value)
        return Double(whole) + Double(time.nanoseconds % 1_000_000) / 1_000_000
    }

    /// When the picture with a clock value arrived: compare two pipelines' maps to get a hop's latency, picture by picture.
    public var arrivalByClock: [UInt32: WallTime] { arrivals }

    /// The latency (ms) that `fraction` of the recent pictures stay under (0.5: median); `nil` without pictures.
    public func latency(percentile fraction: Double) -> Double? { Percentile.of(latencies, fraction) }

    /// Recent latencies, ms, in no particular order.
    public var latencySamples: [Double] { latencies }

    /// Milliseconds that pictures arrived later at `self` than at `earlier`, for the pictures both have seen.
    public func hopLatencies(since earlier: ClockReader) -> [Double] {
        arrivals.compactMap { value, arrival in
            earlier.arrivals[value].map { (arrival - $0).fractionalMilliseconds }
        }
    }

    private mutating func note(latency: Double) {
        if latencies.count < Self.capacity {
            latencies.append(latency)
        } else {
            latencies[oldestLatency] = latency
            oldestLatency = (oldestLatency + 1) % Self.capacity
        }
    }

    private mutating func note(_ value: UInt32, arrival: WallTime) {
        // The first picture with a value counts: a repeated one says nothing about the way.
        guard arrivals[value] == nil else { return }
        if arrivalOrder.count < Self.capacity {
            arrivalOrder.append(value)
        } else {
            arrivals[arrivalOrder[oldestArrival]] = nil
            arrivalOrder[oldestArrival] = value
            oldestArrival = (oldestArrival + 1) % Self.capacity
        }
        arrivals[value] = arrival
    }
}
