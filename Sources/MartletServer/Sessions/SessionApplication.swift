// SPDX-License-Identifier: Apache-2.0
// What stands behind `sendData` of a session and says which streams it may have. Sessions know nothing of the payload; the
// application does. Rooms are one.
import Signalling

/// The receiver of application data. Called by sessions, in the order of each connection.
protocol SessionApplication: Sendable {
    /// `sendData` of a client. The outcome goes back as `DataStatusEvent`; what is sent by the link follows it.
    func receive(_ data: DataRequest, from session: SessionLink) async -> DataOutcome
    /// Asked before a client publishes or plays.
    func admission(of request: StreamRequest, from session: SessionLink) async -> MediaAdmission
    /// A client has been told PUBLISHING or PLAYING. false: it may not have the stream (any more), which is ended then.
    func mediaStarted(_ record: StreamRecord, of session: SessionLink) async -> Bool
    /// A client has been told the end of a stream. Not called for those that end with the session.
    func mediaEnded(_ record: StreamRecord, _ reason: StreamEnd, of session: SessionLink) async
    /// The session's socket is gone, and its streams with it.
    func sessionEnded(_ session: SessionLink) async
}

enum DataOutcome: Sendable, Equatable {
    case accepted
    case refused(info: String)
}

enum MediaAdmission: Sendable, Equatable {
    case allowed
    /// The info for the client and a sentence for the log.
    case refused(StreamStatusInfo, String)
}

extension SessionApplication {
    func admission(of request: StreamRequest, from session: SessionLink) async -> MediaAdmission { .allowed }
    func mediaStarted(_ record: StreamRecord, of session: SessionLink) async -> Bool { true }
    func mediaEnded(_ record: StreamRecord, _ reason: StreamEnd, of session: SessionLink) async {}
    func sessionEnded(_ session: SessionLink) async {}
}

/// Takes any data and does nothing with it; enough for every page without rooms.
struct AcceptingApplication: SessionApplication {
    func receive(_ data: DataRequest, from session: SessionLink) async -> DataOutcome { .accepted }
}
