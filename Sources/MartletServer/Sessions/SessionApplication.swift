// What stands behind `sendData` of a session. Sessions know nothing of the payload; the application does.
import Signalling

/// The receiver of application data. Called by sessions, in the order of each connection.
protocol SessionApplication: Sendable {
    /// `sendData` of a client. The outcome goes back as `DataStatusEvent`; `reply` sends the same client other messages, before it.
    func receive(
        _ data: DataRequest, from session: SessionInfo, reply: @escaping @Sendable (ServerMessage) -> Void
    ) async -> DataOutcome
    /// The session's socket is gone.
    func sessionEnded(_ session: SessionInfo) async
}

enum DataOutcome: Sendable, Equatable {
    case accepted
    case refused(info: String)
}

/// Takes any data and does nothing with it; enough for every page without rooms.
struct AcceptingApplication: SessionApplication {
    func receive(
        _ data: DataRequest, from session: SessionInfo, reply: @escaping @Sendable (ServerMessage) -> Void
    ) async -> DataOutcome { .accepted }
    func sessionEnded(_ session: SessionInfo) async {}
}
