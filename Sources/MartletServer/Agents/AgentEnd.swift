// SPDX-License-Identifier: Apache-2.0
// Why an agent, or an attempt of one, came to its end; and what REST says about it.
import Signalling

enum AgentEnd: Error, Sendable, Equatable {
    /// The local stream to push is not there, or the local name for a pull is taken.
    case local(StreamRefusal)
    /// The local stream ended.
    case localStreamEnded
    /// REST asked for the end.
    case terminated
    case link(WCSClientError)
    /// The local half of the peer connection broke.
    case media(StreamStatusInfo)
    case timeout(String)

    /// What another attempt could mend. Otherwise the far side has ended the stream on purpose, or there is nothing to send any more.
    var isWorthRetrying: Bool {
        switch self {
        case .local(.alreadyEnded), .localStreamEnded, .terminated: false
        case .local(.refused(let info, _)): info != .sessionDoesNotExist
        case .media, .timeout: true
        case .link(.stream(let status, let info)): status == StreamStatus.failed.rawValue && !Self.deliberate.contains(info)
        case .link(.badAddress), .link(.cancelled): false
        case .link: true
        }
    }

    /// Words with which a server ends a stream that is running.
    private static let deliberate: Set<String> = [
        StreamStatusInfo.restTerminate.rawValue, StreamStatusInfo.user.rawValue, StreamStatusInfo.publisherStop.rawValue,
    ]

    /// The REST answer when the first attempt failed.
    func failure(for request: AgentRequest) -> RESTFailure {
        let far = request.address.text
        switch self {
        case .local(.refused(.nameInUse, let reason)): return .conflict(reason)
        case .local(.refused(.sessionDoesNotExist, let reason)), .local(.refused(.publishNotReady, let reason)): return .notFound(reason)
        case .local(.refused(_, let reason)): return .internalError(reason)
        case .local(.alreadyEnded), .localStreamEnded:
            return .notFound("local stream \"\(request.localStreamName)\" ended meanwhile")
        case .terminated: return .internalError("terminated before \(far) accepted")
        case .link(.stream(let status, let info)):
            switch (request.direction, StreamStatusInfo(rawValue: info)) {
            case (.push, .nameInUse?):
                return .conflict("stream name \"\(request.remoteStreamName)\" is already in use on \(far)")
            case (.pull, .sessionDoesNotExist?), (.pull, .streamNotFound?), (.pull, .publishNotReady?), (.pull, .publisherStop?):
                return .notFound("\(far) has no stream \"\(request.remoteStreamName)\" (\(info))")
            default:
                return .internalError("\(far) refused stream \"\(request.remoteStreamName)\": \(status)\(info.isEmpty ? "" : " (\(info))")")
            }
        case .link(let error): return .internalError(error.description.contains(far) ? error.description : "\(far): \(error)")
        case .media(let info): return .internalError("no media connection with \(far): \(info.rawValue)")
        case .timeout(let reason): return .internalError(reason)
        }
    }
}
