// SPDX-License-Identifier: Apache-2.0
// What one player's line carries, from the feedback its receiver sends: Google Congestion Control for a sender that
// forwards. Sans-IO; owned by PlayerEndpoint, one per transport, told of feedback, asked for the estimate.
import Primitives

/// Send-side bandwidth estimation (draft-ietf-rmcat-gcc-02): a delay-based estimate that grows and backs off (AIMD), bounded
/// by losses and by what the receiver itself says (REMB).
///
/// A server that forwards can't choose its rate, which changes two things: what arrives without a growing queue is known to
/// fit (the estimate follows at once, without waiting for growth), and a quiet stream proves nothing (the estimate neither
/// falls with it nor grows beyond 1.5 times what arrived). Fixed memory, no allocation per feedback. Rates in bit/s.
public struct CongestionController: Sendable {
    public struct Configuration: Sendable {
        /// Until the first feedback.
        public var initial = 2_000_000
        public var minimum = 30_000
        public var maximum = 200_000_000
        public init() {}
    }

    /// What the line carries, bit/s.
    public private(set) var estimate: Int
    /// Smoothed; zero = not known.
    public private(set) var roundTrip = TimeSpan.zero
    /// How long packets stand in queues on the way: the delay above the smallest of the last 10–20 s.
    public private(set) var queueDelay = TimeSpan.zero
    /// What arrived over the last half second of packets; 0 = not known.
    public private(set) var delivered = 0
    /// Feedback has arrived, or the receiver has said its own estimate: `estimate` means something.
    public private(set) var isInformed = false
    /// A queue grew, packets were lost beyond what is tolerable, or the receiver said so: the estimate is a limit found, not
    /// just what has been tried. Until `forgetLimit`.
    public private(set) var hasBackedOff = false
    public var lossFraction: Double { loss.fraction }
    public var isOverused: Bool { trend.usage == .overuse }

    private let configuration: Configuration
    private var groups = PacketGroups()
    private var trend = DelayTrend()
    private var rate = DeliveredRate()
    private var loss = LossBound()

    private enum State: Sendable { case hold, increase }
    private var state = State.increase
    private var delayBound: Double
    private var receiverLimit = Double.infinity
    private var lastUpdate: Instant?
    private var lastDecrease = Instant.distantPast
    private var lastFeedback: Instant?
    /// Mean and relative variance of what arrived when the line was full; 0 = not known.
    private var capacity = 0.0
    private var capacityVariance = 0.4

    // The two halves of the time in which the smallest delay is looked for.
    private static let delayWindow = TimeSpan.seconds(10)
    private var smallestDelay = (older: TimeSpan.max, newer: TimeSpan.max)
    private var delayWindowEnd = Instant.zero

    /// Units of 64 ms.
    private var lastReference: Int64?

    // Of the feedback being taken.
    private var smallestHere = TimeSpan.max
    private var lastSent: Instant?

    public init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
        estimate = configuration.initial
        delayBound = Double(configuration.initial)
    }

    // MARK: feedback

    /// A packet has arrived. Call in the order of sequence numbers, then `finish`.
    ///
    /// - Parameters:
    ///   - arrival: from the zero of the receiver's clock, wherever that is.
    ///   - wasLost: an earlier feedback called it missing.
    public mutating func receive(sentAt: Instant, arrival: TimeSpan, length: Int, wasLost: Bool) {
        rate.note(length, arrival: arrival)
        loss.note(received: true, wasLost: wasLost)
        smallestHere = min(smallestHere, arrival - sentAt.span(since: .zero))
        lastSent = max(lastSent ?? sentAt, sentAt)
        if let delta = groups.note(sent: sentAt, arrival: arrival) { trend.note(delta) }
    }

    /// A packet has not arrived.
    public mutating func lose() { loss.note(received: false) }

    /// The feedback is read: updates the estimate.
    public mutating func finish(at now: Instant) {
        defer {
            smallestHere = .max
            lastSent = nil
        }
        isInformed = true
        lastFeedback = now
        if let lastSent {
            let sample = max(.zero, now.span(since: lastSent))
            roundTrip = roundTrip == .zero ? sample : (roundTrip * 7 + sample) / 8
            measureQueue(at: now)
        }
        let arrived = rate.rate(over: 10)
        if let arrived { delivered = Int(arrived) }
        loss.update(estimate: Double(estimate), delivered: arrived, at: now)
        update(arrived: arrived, at: now)
        combine()
    }

    /// The receiver's own estimate (REMB), an upper bound.
    ///
    /// - Parameter isAlone: there is no transport-wide feedback: it stands for the estimate.
    public mutating func limit(to bitrate: Int, isAlone: Bool) {
        if isAlone {
            delayBound = Double(configuration.maximum)
            isInformed = true
        }
        receiverLimit = Double(bitrate)
        combine()
    }

    /// The line carries what is wanted of it.
    public mutating func forgetLimit() { hasBackedOff = false }

    /// To be called now and then.
    /// - Parameter unansweredSince: since when packets are on the way of which nothing has been heard.
    public mutating func advance(to now: Instant, unansweredSince: Instant) {
        guard let lastFeedback else { return }
        let patience = max(.seconds(1), roundTrip * 3)
        guard now.span(since: max(unansweredSince, lastFeedback, lastDecrease)) > patience else { return }
        // Nothing comes back: the line is down, or full to the brim.
        decrease(to: delayBound * 0.5, at: now)
        combine()
    }

    private mutating func measureQueue(at now: Instant) {
        if now >= delayWindowEnd {
            delayWindowEnd = now + Self.delayWindow
            smallestDelay = (smallestDelay.newer, smallestHere)
        }
        smallestDelay.newer = min(smallestDelay.newer, smallestHere)
        queueDelay = smallestHere - min(smallestDelay.older, smallestDelay.newer)
    }

    /// The 24-bit reference time of a feedback on a line that doesn't wrap, units of 64 ms.
    mutating func unwrap(reference: Int32) -> Int64 {
        guard let known = lastReference else {
            lastReference = Int64(reference)
            return Int64(reference)
        }
        let delta = Int64(((reference &- Int32(truncatingIfNeeded: known)) << 8) >> 8)
        // A clock that has run for 69 years is a receiver that makes its times up: begin anew before anything overflows.
        let unwrapped = abs(known + delta) < 1 << 35 ? known + delta : Int64(reference)
        lastReference = unwrapped
        return unwrapped
    }

    // MARK: rate control (§5.5)

    private mutating func update(arrived: Double?, at now: Instant) {
        let elapsed = min(now.span(since: lastUpdate ?? now).seconds, 1)
        lastUpdate = now
        switch trend.usage {
        case .overuse:
            let interval = min(max(roundTrip, .milliseconds(10)), .milliseconds(200))
            guard let arrived, now.span(since: lastDecrease) >= interval else { return }
            noteCapacity(arrived)
            decrease(to: 0.85 * arrived, at: now)
            state = .hold
        case .underuse:
            // Queues run empty: wait until they are.
            state = .hold
        case .normal:
            guard state == .increase else {
                state = .increase
                return
            }
            increase(arrived: arrived, elapsed: elapsed)
        }
    }

    private mutating func decrease(to bitrate: Double, at now: Instant) {
        delayBound = max(Double(configuration.minimum), min(delayBound, bitrate))
        lastDecrease = now
        hasBackedOff = true
    }

    private mutating func increase(arrived: Double?, elapsed: Double) {
        guard let arrived else { return }
        if capacity > 0, arrived > capacity + 3 * deviation { capacity = 0 }
        var next = delayBound
        if capacity > 0 {
            // Near what the line is known to carry: about a packet per response time.
            let frame = delayBound / 30
            let packet = frame / (frame / 9600).rounded(.up)
            next += max(4000, packet / (roundTrip.seconds + 0.1)) * elapsed
        } else {
            next += max(1000, delayBound * 0.08) * elapsed
        }
        // Growth beyond what is being tried proves nothing.
        delayBound = max(delayBound, min(next, 1.5 * arrived + 10_000))
        // What arrives without a growing queue fits.
        if loss.fraction <= LossBound.tolerable, queueDelay < .milliseconds(50), let recent = rate.rate(over: 6), recent > delayBound {
            delayBound = recent
        }
        delayBound = min(delayBound, Double(configuration.maximum))
    }

    private var deviation: Double { (capacityVariance * capacity).squareRoot() * 31.6 }

    private mutating func noteCapacity(_ arrived: Double) {
        // Variance is kept relative to the mean, in kbit/s as the draft's constants are.
        if capacity == 0 || arrived < capacity - 3 * deviation { capacity = arrived } else { capacity += 0.05 * (arrived - capacity) }
        let error = (capacity - arrived) / 1000
        capacityVariance = min(max(0.95 * capacityVariance + 0.05 * error * error / max(capacity / 1000, 1), 0.4), 2.5)
    }

    private mutating func combine() {
        var bitrate = min(delayBound, receiverLimit)
        if receiverLimit < delayBound { hasBackedOff = true }
        if loss.bitrate < bitrate {
            bitrate = loss.bitrate
            hasBackedOff = true
        }
        estimate = Int(min(max(bitrate, Double(configuration.minimum)), Double(configuration.maximum)))
    }

    // MARK: pacing

    /// Rate to send at when more waits than the line is known to carry, bit/s: the estimate while a queue stands, more when
    /// it has been gone for a while, so that room that has come back is found.
    public func pacingRate(at now: Instant) -> Int {
        if trend.usage == .overuse || queueDelay > .milliseconds(50) || loss.fraction > LossBound.tolerable { return estimate }
        if now.span(since: lastDecrease) < .milliseconds(500) { return estimate }
        let bold = Double(estimate) * 1.5
        // Where the line was last found full only a little more is tried.
        return max(estimate, Int(capacity > 0 ? min(bold, capacity * 1.05) : bold))
    }
}
