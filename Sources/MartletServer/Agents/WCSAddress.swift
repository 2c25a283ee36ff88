// SPDX-License-Identifier: Apache-2.0
// The WebSocket URI of a WCS server: where to connect, and when two of them mean the same server.

/// `ws://host:port/path` or `wss://…`.
public struct WCSAddress: Sendable, Hashable, CustomStringConvertible {
    /// As it was given; this is what is shown.
    public let text: String
    public let isSecure: Bool
    /// Lower case; an IPv6 address without its brackets.
    public let host: String
    public let port: Int
    /// Path and query as given, "/" when there was none. Sent to the server unchanged.
    public let target: String

    /// Throws a sentence about what is wrong with the text.
    public init(_ text: String) throws(WCSClientError) {
        func bad(_ reason: String) -> WCSClientError { .badAddress("\"\(text.prefix(256))\" \(reason)") }
        guard text.utf8.count <= 2048, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
            throw bad("is too long or has spaces in it")
        }
        guard let separator = text.firstIndex(of: ":"), text[separator...].hasPrefix("://") else {
            throw bad("is no WebSocket URI; ws://host:port or wss://host:port is expected")
        }
        switch text[..<separator].lowercased() {
        case "ws": isSecure = false
        case "wss": isSecure = true
        default: throw bad("is neither ws:// nor wss://")
        }
        let rest = text[text.index(separator, offsetBy: 3)...]
        let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        let authority = rest[..<end]
        guard !authority.contains("@") else { throw bad("has a user name in it, which WebSocket URIs can't carry") }
        var hostText: Substring
        var portText: Substring?
        if authority.hasPrefix("[") {
            guard let bracket = authority.firstIndex(of: "]") else { throw bad("has no closing bracket") }
            hostText = authority[authority.index(after: authority.startIndex)..<bracket]
            let tail = authority[authority.index(after: bracket)...]
            guard tail.isEmpty || tail.hasPrefix(":") else { throw bad("has text after the bracket") }
            portText = tail.isEmpty ? nil : tail.dropFirst()
        } else if let colon = authority.firstIndex(of: ":") {
            hostText = authority[..<colon]
            portText = authority[authority.index(after: colon)...]
        } else {
            hostText = authority
        }
        guard !hostText.isEmpty else { throw bad("names no host") }
        host = hostText.lowercased()
        if let portText, !portText.isEmpty {
            guard portText.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = Int(portText), (1...65535).contains(number) else {
                throw bad("has a port outside 1…65535")
            }
            port = number
        } else {
            port = isSecure ? 443 : 80
        }
        let target = rest[end...].prefix { $0 != "#" }
        self.target = target.isEmpty ? "/" : (target.hasPrefix("/") ? String(target) : "/" + target)
        self.text = text
    }

    /// Equal for URIs that mean the same server: scheme and host in any case, default port or none, with or without a
    /// trailing `/websocket` or `/socket`. Other paths make a difference, since a proxy may tell servers apart by them.
    public var identity: String {
        var path = target[...]
        while path.hasSuffix("/") { path = path.dropLast() }
        for suffix in ["/websocket", "/socket"] where path.hasSuffix(suffix) { path = path.dropLast(suffix.count) }
        while path.hasSuffix("/") { path = path.dropLast() }
        return "\(isSecure ? "wss" : "ws")://\(host):\(port)\(path)"
    }

    public static func == (a: WCSAddress, b: WCSAddress) -> Bool { a.identity == b.identity }
    public func hash(into hasher: inout Hasher) { hasher.combine(identity) }
    public var description: String { text }

    /// For the HTTP `Host` header.
    var hostHeader: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }
}
