// SPDX-License-Identifier: Apache-2.0
// Requests and responses of RTSP 1.0 (RFC 2326), and how they are written. Read by RTSPParser.

/// Header fields in order; names are compared without case.
public struct RTSPHeaders: Equatable, Sendable, ExpressibleByDictionaryLiteral {
    public private(set) var fields: [(name: String, value: String)] = []

    public init() {}
    public init(dictionaryLiteral elements: (String, String)...) { for (name, value) in elements { append(name, value) } }

    public static func == (one: Self, other: Self) -> Bool { one.fields.elementsEqual(other.fields) { $0 == $1 } }

    /// The first field of that name; setting replaces all of them.
    public subscript(name: String) -> String? {
        get { fields.first { $0.name.lowercased() == name.lowercased() }?.value }
        set {
            fields.removeAll { $0.name.lowercased() == name.lowercased() }
            if let newValue { fields.append((name, newValue)) }
        }
    }

    /// All fields of that name.
    public func all(_ name: String) -> [String] { fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value) }

    mutating func append(_ name: String, _ value: String) { fields.append((name, value)) }

    /// A field's value goes on in the next line (RFC 2326 §4.2).
    mutating func extendLast(_ text: String) {
        guard !fields.isEmpty, !text.isEmpty else { return }
        fields[fields.count - 1].value += " " + text
    }

    /// Values never end a line, whatever they were made of.
    var text: String {
        fields.map { "\($0.name): \($0.value.filter { !$0.isNewline && $0 != "\0" })\r\n" }.joined()
    }
}

/// What a client asks for.
public struct RTSPRequest: Equatable, Sendable {
    public var method: String
    public var uri: String
    public var headers: RTSPHeaders
    public var body: [UInt8]

    public init(_ method: String, _ uri: String, headers: RTSPHeaders = [:], body: [UInt8] = []) {
        self.method = method
        self.uri = uri
        self.headers = headers
        self.body = body
    }

    /// The sequence number; `nil` when missing or not a number.
    public var sequence: Int? { headers["CSeq"].flatMap { Int($0.filter { $0 != " " }) } }

    public var bytes: [UInt8] {
        let uri = uri.filter { !$0.isNewline && $0 != " " && $0 != "\0" }
        return Array("\(method) \(uri) RTSP/1.0\r\n\(headers.text)\(body.isEmpty ? "" : "Content-Length: \(body.count)\r\n")\r\n".utf8) + body
    }
}

/// What a server answers.
public struct RTSPResponse: Equatable, Sendable {
    public var status: Int
    public var reason: String
    public var headers: RTSPHeaders
    public var body: [UInt8]

    /// As in requests.
    public var sequence: Int? { headers["CSeq"].flatMap { Int($0.filter { $0 != " " }) } }

    public init(_ status: Int, reason: String? = nil, headers: RTSPHeaders = [:], body: [UInt8] = []) {
        self.status = status
        self.reason = reason ?? Self.reasons[status] ?? "Unknown"
        self.headers = headers
        self.body = body
    }

    public var bytes: [UInt8] {
        Array("RTSP/1.0 \(status) \(reason)\r\n\(headers.text)\(body.isEmpty ? "" : "Content-Length: \(body.count)\r\n")\r\n".utf8) + body
    }

    private static let reasons = [
        200: "OK", 301: "Moved Permanently", 302: "Moved Temporarily", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
        405: "Method Not Allowed", 408: "Request Time-out", 413: "Request Entity Too Large", 415: "Unsupported Media Type", 453: "Not Enough Bandwidth",
        454: "Session Not Found", 455: "Method Not Valid in This State", 459: "Aggregate Operation Not Allowed", 461: "Unsupported Transport",
        500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable", 505: "RTSP Version Not Supported",
    ]
}
