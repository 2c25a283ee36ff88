// SPDX-License-Identifier: Apache-2.0
// One transport of a player as a line with a bandwidth: what was sent over it, what it carries, and what may be sent now.
// Owned by PlayerEndpoint, used on its reactor only.
import Primitives
import RTP

/// Send history, congestion control and budgets of one transport of a player; audio, video and retransmissions share it.
final class PlayerPath {
    let history: UnsafeMutablePointer<SendHistory>
    private(set) var controller = CongestionController()
    private let hasFeedback: Bool
    var alarm = BandwidthAlarm()

    /// A player that joins gets this much of the ring at once, bytes: a key frame, as a rule.
    static let firstBurst = 64 * 1024
    /// A line of which nothing bad is known is sent cached pictures at this rate at least, bit/s.
    static let unknownRate = 10_000_000
    /// And at this multiple of the estimate, or of the stream's rate.
    static let catchUpFactor = 2.5
    /// Retransmissions may take this share of the estimate; what gathers when they are few is enough for a lost burst.
    static let retransmissionShare = 0.3
    private static let smallestRetransmissionRate = 150_000.0
    private static let retransmissionDepth = 32 * 1024.0

    /// A thin line that begins anew is tried with more for a moment.
    private static let probeFactor = 2.0
    private static let probeTime = TimeSpan.milliseconds(400)

    private var probesUntil = Instant.distantPast
    // Bytes that may be sent now.
    private var paceRoom = 0.0
    private var pacedUntil = Instant.zero
    private var bytesPaced: UInt64 = 0
    private var retransmissionRoom = retransmissionDepth
    private var retransmissionsUntil: Instant?
    /// `history.next` when feedback last came.
    private var reported: Int64 = 1
    /// Since when there are packets that no feedback has come after; `nil`: there are none.
    private var unansweredSince: Instant?

    /// - Parameter hasFeedback: transport-cc was agreed on.
    init(hasFeedback: Bool) {
        self.hasFeedback = hasFeedback
        history = .allocate(capacity: 1)
        history.initialize(to: SendHistory(remembers: hasFeedback))
    }

    deinit {
        history.pointee.destroy()
        history.deallocate()
    }

    // MARK: what the line carries

    func receive(_ feedback: TransportFeedbackView, at now: Instant) {
        controller.receive(feedback, history: &history.pointee, at: now)
        reported = history.pointee.next
        unansweredSince = nil
    }

    func limit(to bitrate: UInt64) { controller.limit(to: Int(clamping: bitrate), isAlone: !hasFeedback) }

    func advance(to now: Instant) {
        guard history.pointee.next > reported else { return }
        let since = unansweredSince ?? now
        unansweredSince = since
        controller.advance(to: now, unansweredSince: since)
    }

    /// The line is known to carry less than `bitrate`, bit/s.
    func isTooThin(for bitrate: Int) -> Bool {
        guard controller.isInformed, controller.hasBackedOff, bitrate > 0 else { return false }
        if controller.estimate > bitrate { controller.forgetLimit() }
        return Double(controller.estimate) < Double(bitrate) * 0.95
    }

    /// What is sent doesn't get through as it is sent: it gathers on the way, or is lost there.
    var isClogged: Bool { controller.queueDelay > .milliseconds(150) || controller.lossFraction > LossBound.tolerable }

    // MARK: what may be sent now

    /// A player falls behind the live edge: from now on `room` counts.
    ///
    /// - Parameter probing: queues on the way are empty: try for a moment whether the line carries more than was thought.
    func beginPacing(burst: Int, probing: Bool = false, at now: Instant) {
        probesUntil = probing ? now + Self.probeTime : .distantPast
        paceRoom = Double(burst)
        pacedUntil = now
        bytesPaced = history.pointee.bytes
    }

    /// Bytes that may be sent to a player that is behind; what went out otherwise (audio, retransmissions) is taken off.
    ///
    /// - Parameter streamRate: bit/s of all that the player takes.
    func room(streamRate: Int, at now: Instant) -> Int {
        let rate: Double, depth: Double
        if isTooThin(for: streamRate) {
            rate = now < probesUntil && !controller.isOverused
                ? Double(controller.estimate) * Self.probeFactor : Double(controller.pacingRate(at: now))
            // Whoever wakes up late may make good for some of it.
            depth = max(3000, rate * 0.04 / 8)
        } else {
            let known = Double(max(controller.isInformed ? controller.estimate : 0, streamRate))
            rate = max(Double(Self.unknownRate), Self.catchUpFactor * known)
            depth = Double(Self.firstBurst)
        }
        paceRoom += rate * Double(now.span(since: pacedUntil).nanoseconds) / 8e9 - Double(history.pointee.bytes &- bytesPaced)
        paceRoom = min(paceRoom, depth)
        pacedUntil = now
        bytesPaced = history.pointee.bytes
        return Int(paceRoom)
    }

    /// Bytes of retransmissions that the line has room for.
    func retransmissionRoom(at now: Instant) -> Int {
        let rate = max(Self.smallestRetransmissionRate, Double(controller.estimate) * Self.retransmissionShare)
        if let until = retransmissionsUntil { retransmissionRoom += rate * Double(now.span(since: until).nanoseconds) / 8e9 }
        retransmissionRoom = min(retransmissionRoom, max(Self.retransmissionDepth, rate / 2 / 8))
        retransmissionsUntil = now
        return Int(retransmissionRoom)
    }

    func spendOnRetransmissions(_ bytes: Int) { retransmissionRoom -= Double(bytes) }
}
