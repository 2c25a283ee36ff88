// SPDX-License-Identifier: Apache-2.0
// Why a pull from an RTSP server, or one connection of it, ended, and what is told to whom. Used by RTSPPull and RTSPPulls.
import Primitives
import RTSP
import Signalling

enum RTSPPullEnd: Error, Sendable, Equatable {
    case unreachable(String)
    /// No media in time; with what came instead, when something did.
    case silent(String?)
    case client(RTSPClientFailure)
    case malformed(String)
    case local(StreamRefusal)
    case terminated, idle

    var info: StreamStatusInfo {
        switch self {
        case .unreachable, .silent, .client(.unauthorized), .client(.refused), .client(.redirected), .client(.ended): .rtspConnectFailed
        case .client(.notFound): .rtspNotFound
        case .client(.noUsableCodec), .client(.badDescription), .malformed: .rtspWrongFormat
        case .local(.refused(let info, _)): info
        case .local(.alreadyEnded), .terminated, .idle: .rtspAgentShutdown
        }
    }

    var reason: String {
        switch self {
        case .unreachable(let reason): "the server can't be reached: \(reason)"
        case .silent(let instead): instead.map { "the server sends no media that can be used: \($0)" } ?? "the server sends no media"
        case .client(let failure): "\(failure)"
        case .malformed(let reason): reason
        case .local(.refused(_, let reason)): reason
        case .local(.alreadyEnded), .terminated: "the stream has been ended"
        case .idle: "nobody plays it any more"
        }
    }

    /// For a camera that has played before: whatever it says while it starts anew, it may be right again later. What is decided on this side
    /// is final.
    var isWorthRetrying: Bool {
        switch self {
        case .unreachable, .silent, .client, .malformed: true
        case .local, .terminated, .idle: false
        }
    }

    /// The least pause before the next attempt: cameras lock out who comes with a wrong login too often.
    var leastPause: TimeSpan { self == .client(.unauthorized) ? .seconds(30) : .zero }
}
