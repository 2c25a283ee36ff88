// SPDX-License-Identifier: Apache-2.0
// Why a connection to or from somebody failed, in words for the log and for REST: NIO's own texts name calls and structures.
import Glibc
import NIOCore
import NIOPosix

enum ConnectionReason {
    /// A few words, without the address: "connection refused".
    static func words(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if error.connectionErrors.isEmpty { return error.dnsAError != nil || error.dnsAAAAError != nil ? "the host name is unknown" : "no address of it answers" }
            return words(error.connectionErrors[0].error)
        case let error as IOError: return words(code: error.errnoCode)
        case ChannelError.connectTimeout: return "no connection in time"
        case let error as ChannelError where error == .ioOnClosedChannel || error == .eof || error == .alreadyClosed || error == .outputClosed || error == .inputClosed:
            return "it closed the connection"
        // Texts of several lines are of libraries that describe themselves.
        default: return String("\(error)".prefix { !$0.isNewline }.prefix(200))
        }
    }

    private static func words(code: Int32) -> String {
        switch code {
        case ECONNREFUSED: "connection refused"
        case ECONNRESET, EPIPE: "it cut the connection"
        case EHOSTUNREACH, ENETUNREACH: "there is no way to it"
        case ETIMEDOUT: "it does not answer"
        default: strerror(code).map { String(cString: $0) } ?? "error \(code)"
        }
    }
}
