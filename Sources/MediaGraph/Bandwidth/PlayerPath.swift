// One transport of a player as a line with a bandwidth: what was sent over it, and what it carries.
// Owned by PlayerEndpoint, used on its reactor only.
import RTP

/// Send history and congestion control of one transport of a player; audio, video and retransmissions share it.
final class PlayerPath {
    let history: UnsafeMutablePointer<SendHistory>
    private(set) var controller = CongestionController()

    /// - Parameter hasFeedback: transport-cc was agreed on.
    init(hasFeedback: Bool) {
        history = .allocate(capacity: 1)
        history.initialize(to: SendHistory(remembers: hasFeedback))
    }

    deinit {
        history.pointee.destroy()
        history.deallocate()
    }

    func receive(_ feedback: TransportFeedbackView, at now: Int64) {
        controller.receive(feedback, history: &history.pointee, at: now)
    }
}
