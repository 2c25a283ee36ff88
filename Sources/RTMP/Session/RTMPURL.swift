// SPDX-License-Identifier: Apache-2.0
// An RTMP address in its parts: rtmp://user:password@host:1935/app?connectParam=…/stream?streamParam=…
// Used for what clients say in connect and for the addresses we connect to.
import Foundation

public struct RTMPURL: Sendable, Hashable, CustomStringConvertible {
    public var isSecure = false
    public var user: String?
    public var password: String?
    public var host: String
    public var port: Int
    /// The application, without its query.
    public var app: String
    /// `roomName=room-1&login=Camera2`; empty when there is none.
    public var connectQuery: String
    /// What is published or played; empty when the address names only the application.
    public var stream: String
    public var streamQuery: String

    /// - Parameter hasStream: the last part is a stream; otherwise all of the path is the application.
    /// - Returns: `nil` when it is no RTMP address.
    public init?(_ text: String, hasStream: Bool = true) {
        guard text.utf8.count <= 4096, let separator = text.range(of: "://") else { return nil }
        switch text[..<separator.lowerBound].lowercased() {
        case "rtmp": isSecure = false
        case "rtmps": isSecure = true
        default: return nil
        }
        let rest = text[separator.upperBound...]
        let authorityEnd = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        var authority = rest[..<authorityEnd]
        if let at = authority.lastIndex(of: "@") {
            let credentials = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            user = credentials.first.flatMap { String($0).removingPercentEncoding }
            password = credentials.count > 1 ? String(credentials[1]).removingPercentEncoding : nil
            authority = authority[authority.index(after: at)...]
        }
        guard let (host, port) = Self.hostAndPort(authority, isSecure ? 443 : 1935) else { return nil }
        self.host = host
        self.port = port
        let path = rest[authorityEnd...].drop { $0 == "/" }
        guard hasStream else {
            (app, connectQuery) = Self.split(path)
            (stream, streamQuery) = ("", "")
            return
        }
        // The stream begins at the last slash in front of its query. With one query only, that is the stream's when a slash stands
        // before it, the application's otherwise.
        let question = path.firstIndex(of: "?") ?? path.endIndex
        let second = question < path.endIndex ? path[path.index(after: question)...].firstIndex(of: "?") : nil
        let slash = second.flatMap { path[..<$0].lastIndex(of: "/") } ?? path[..<question].lastIndex(of: "/") ?? path.lastIndex(of: "/")
        guard let slash else {
            (app, connectQuery) = Self.split(path)
            (stream, streamQuery) = ("", "")
            return
        }
        (app, connectQuery) = Self.split(path[..<slash])
        (stream, streamQuery) = Self.split(path[path.index(after: slash)...])
    }

    private static func hostAndPort(_ text: Substring, _ defaultPort: Int) -> (String, Int)? {
        var host = text, portText: Substring?
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            let tail = text[text.index(after: end)...]
            if !tail.isEmpty {
                guard tail.first == ":" else { return nil }
                portText = tail.dropFirst()
            }
        } else if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            portText = text[text.index(after: colon)...]
        }
        guard !host.isEmpty, !host.contains(where: { $0.isWhitespace || $0 == "/" }) else { return nil }
        guard let portText else { return (String(host), defaultPort) }
        guard let port = Int(portText), (1...65_535).contains(port) else { return nil }
        return (String(host), port)
    }

    /// What stands before and behind the first question mark.
    public static func split(_ text: some StringProtocol) -> (name: String, query: String) {
        guard let question = text.firstIndex(of: "?") else { return (String(text), "") }
        return (String(text[..<question]), String(text[text.index(after: question)...]))
    }

    /// A name as HTTP and RTSP read it from an address: `a%20b` is "a b". What is no such encoding, or stands for a control character, is left as
    /// it is.
    static func decoded(_ name: String) -> String {
        guard name.contains("%"), let decoded = name.removingPercentEncoding, !decoded.utf8.contains(where: { $0 < 0x20 }) else { return name }
        return decoded
    }

    /// The parameters of a query, decoded. The first of a name counts; at most 64.
    public static func parameters(of query: String) -> [String: String] {
        var parameters: [String: String] = [:]
        for part in query.split(whereSeparator: { $0 == "&" || $0 == "?" }).prefix(64) {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = pair.first.flatMap({ String($0).removingPercentEncoding }), !name.isEmpty else { continue }
            let text = pair.count > 1 ? String(pair[1]).replacingOccurrences(of: "+", with: " ") : ""
            if parameters[name] == nil { parameters[name] = text.removingPercentEncoding ?? text }
        }
        return parameters
    }

    public var hostAndPort: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }
    private var scheme: String { isSecure ? "rtmps" : "rtmp" }
    /// The application with its query, as `connect` says it.
    public var fullApp: String { connectQuery.isEmpty ? app : "\(app)?\(connectQuery)" }
    /// The stream with its query, as `publish` and `play` say it.
    public var fullStream: String { streamQuery.isEmpty ? stream : "\(stream)?\(streamQuery)" }
    /// `tcUrl` of `connect`: without credentials and stream.
    public var tcURL: String { "\(scheme)://\(hostAndPort)/\(fullApp)" }
    /// Without the password.
    public var description: String { stream.isEmpty ? tcURL : "\(tcURL)/\(fullStream)" }
}
