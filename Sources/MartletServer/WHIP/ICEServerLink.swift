// SPDX-License-Identifier: Apache-2.0
// An entry of the setting ice_servers, as clients of WHIP and WHEP are told it.

/// A STUN or TURN server as a `Link` header (RFC 9725 §4.6).
struct ICEServerLink: Sendable, Equatable {
    let url: String
    let username: String?
    let credential: String?

    /// `stun:host:port`, `turn:host:port?transport=tcp|user|password`; `nil` for anything else.
    init?(_ text: String) {
        let parts = text.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        guard let url = parts.first, parts.count == 1 || parts.count == 3,
            let scheme = ["stun:", "stuns:", "turn:", "turns:"].first(where: url.hasPrefix), url.utf8.count > scheme.utf8.count,
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x3c && $0 != 0x3e && $0 != 0x5c })
        else { return nil }
        // TURN without credentials exists in theory only.
        guard scheme.hasPrefix("turn") == (parts.count == 3) else { return nil }
        self.url = url
        username = parts.count == 3 ? parts[1] : nil
        credential = parts.count == 3 ? parts[2] : nil
    }

    var headerValue: String {
        var value = "<\(url)>; rel=\"ice-server\""
        if let username, let credential { value += "; username=\"\(username)\"; credential=\"\(credential)\"; credential-type=\"password\"" }
        return value
    }
}
