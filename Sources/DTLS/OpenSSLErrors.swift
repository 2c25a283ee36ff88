// SPDX-License-Identifier: Apache-2.0
// OpenSSL's per-thread error queue as Swift text and errors.
import COpenSSL

/// A certificate, key or context could not be made.
public struct DTLSSetupError: Error, Sendable, CustomStringConvertible {
    public let description: String
    init(_ what: String) { description = "\(what): \(OpenSSLErrors.takeReason())" }
}

enum OpenSSLErrors {
    /// The reason of the newest error, and empties the queue: a left-over would be taken for the next call's error.
    static func takeReason() -> String {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        guard code != 0, let text = ERR_reason_error_string(code) else { return "unknown reason" }
        return String(cString: text)
    }
}
