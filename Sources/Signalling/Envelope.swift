// SPDX-License-Identifier: Apache-2.0
// The frame around every signalling message, in both directions: {"message": name, "data": [argument, …]}.
// Read and written by the server's sessions and by the client.

/// One WebSocket text frame of the protocol.
public struct Envelope: Sendable, Hashable {
    public var message: String
    /// The arguments; one in nearly every message. Always written, because clients throw without it.
    public var data: [JSONValue]

    public init(_ message: String, _ data: [JSONValue] = []) {
        self.message = message
        self.data = data
    }

    /// Reads a frame. Missing `data` counts as no argument; an argument that is not wrapped into an array is accepted.
    public init(parsing text: String) throws(EnvelopeError) {
        let document: JSONValue
        do {
            document = try JSONValue(parsing: text)
        } catch {
            throw .notJSON(error)
        }
        guard document.objectValue != nil else { throw .notAnObject }
        guard let name = document["message"]?.stringValue, !name.isEmpty else { throw .noMessageName }
        message = name
        switch document["data"] {
        case .array(let arguments)?: data = arguments
        case .null?, nil: data = []
        case let argument?: data = [argument]
        }
    }

    /// The first argument, `.null` when there is none.
    public var argument: JSONValue { data.first ?? .null }

    public func serialized() -> String {
        // Written by hand so that the name comes first, as people expect to see it in a log.
        "{\"message\":\(JSONValue.string(message).serialized()),\"data\":\(JSONValue.array(data).serialized())}"
    }
}

/// Why a text frame is no envelope.
public enum EnvelopeError: Error, Sendable, Equatable, CustomStringConvertible {
    case notJSON(JSONError)
    case notAnObject
    case noMessageName

    public var description: String {
        switch self {
        case .notJSON(let error): "the frame is no JSON: \(error)"
        case .notAnObject: "the frame is no JSON object"
        case .noMessageName: "the frame has no \"message\""
        }
    }
}
