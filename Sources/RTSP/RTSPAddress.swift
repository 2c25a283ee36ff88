// SPDX-License-Identifier: Apache-2.0
// rtsp:// addresses: whom to call, as whom, and what for. Used by both roles.

public struct RTSPAddress: Equatable, Sendable, CustomStringConvertible {
    public var isSecure: Bool
    public var host: String
    public var port: Int
    public var user: String?
    public var password: String?
    /// Path and query, with the slash in front; as they were written.
    public var path: String

    /// `nil` for what is not an rtsp:// address with a host.
    public init?(_ text: String) {
        let lower = text.lowercased()
        let scheme: Substring
        if lower.hasPrefix("rtsp://") {
            isSecure = false
            scheme = text.prefix(7)
        } else if lower.hasPrefix("rtsps://") {
            isSecure = true
            scheme = text.prefix(8)
        } else {
            return nil
        }
        guard text.utf8.count <= 2048, !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f }) else { return nil }
        let rest = text[scheme.endIndex...]
        let slash = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        var authority = rest[..<slash]
        path = String(rest[slash...])
        if !path.hasPrefix("/") { path = "/" + path }
        if let at = authority.lastIndex(of: "@") {
            let login = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            user = Self.decode(String(login.first ?? ""))
            password = login.count > 1 ? Self.decode(String(login[1])) : ""
            authority = authority[authority.index(after: at)...]
        }
        var portText: Substring = ""
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            host = String(authority[authority.index(after: authority.startIndex)..<end])
            let tail = authority[authority.index(after: end)...]
            guard tail.isEmpty || tail.hasPrefix(":") else { return nil }
            portText = tail.dropFirst()
        } else {
            let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            host = String(parts.first ?? "")
            if parts.count > 1 { portText = parts[1] }
        }
        if portText.isEmpty {
            port = isSecure ? 322 : 554
        } else {
            guard let number = Int(portText), (1...65535).contains(number) else { return nil }
            port = number
        }
        guard !host.isEmpty else { return nil }
    }

    /// What requests name: without the login.
    public var description: String {
        "\(isSecure ? "rtsps" : "rtsp")://\(host.contains(":") ? "[\(host)]" : host)\(port == (isSecure ? 322 : 554) ? "" : ":\(port)")\(path)"
    }

    /// Percent-decodes; text that isn't valid stays as it is.
    public static func decode(_ text: String) -> String {
        var bytes: [UInt8] = [], rest = Substring(text)
        while let character = rest.utf8.first {
            if character == UInt8(ascii: "%"), rest.utf8.count >= 3, let byte = UInt8(rest.dropFirst().prefix(2), radix: 16) {
                bytes.append(byte)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(character)
                rest = Substring(rest.utf8.dropFirst())
            }
        }
        return String(validating: bytes, as: UTF8.self) ?? text
    }
}
