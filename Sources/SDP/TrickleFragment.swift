// SPDX-License-Identifier: Apache-2.0
// The body of a PATCH: ICE credentials and candidates as an SDP fragment (RFC 8840 §9, application/trickle-ice-sdpfrag).

/// Why a text could not be read as a fragment, in a sentence.
public struct SDPFragmentError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// What a fragment of a session description says about ICE.
public struct TrickleFragment: Sendable, Equatable {
    public static let mediaType = "application/trickle-ice-sdpfrag"
    /// Bytes.
    public static let maximumSize = 64 * 1024
    public static let maximumCandidates = 256

    public private(set) var ufrag: String?
    public private(set) var password: String?
    public private(set) var candidates: [Candidate] = []

    /// Throws a sentence about what can't be read.
    public init(parsing text: String) throws(SDPFragmentError) {
        var understood = false
        for line in text.split(whereSeparator: \.isNewline) {
            guard line.hasPrefix("a=") || line.hasPrefix("m=") else { throw SDPFragmentError("\"\(line.prefix(80))\" is no line of an SDP fragment") }
            guard line.hasPrefix("a=") else { continue }
            let attribute = line.dropFirst(2)
            let value = attribute.firstIndex(of: ":").map { attribute[attribute.index(after: $0)...] } ?? ""
            switch attribute.prefix(while: { $0 != ":" }) {
            case "ice-ufrag":
                try take(value, into: \.ufrag, 4...256)
                understood = true
            case "ice-pwd":
                try take(value, into: \.password, 22...256)
                understood = true
            case "candidate":
                guard let candidate = Candidate(attribute: attribute) else { throw SDPFragmentError("\"\(line.prefix(120))\" is no candidate") }
                guard candidates.count < Self.maximumCandidates else { throw SDPFragmentError("more than \(Self.maximumCandidates) candidates") }
                candidates.append(candidate)
                understood = true
            case "end-of-candidates":
                understood = true
            default:
                continue
            }
        }
        guard understood else { throw SDPFragmentError("the SDP fragment says nothing about ICE") }
        guard (ufrag == nil) == (password == nil) else { throw SDPFragmentError("a=ice-ufrag and a=ice-pwd belong together") }
    }

    /// Session-level and media-level lines repeat each other; what they say must agree.
    private mutating func take(
        _ value: Substring, into field: WritableKeyPath<TrickleFragment, String?>, _ length: ClosedRange<Int>
    ) throws(SDPFragmentError) {
        let allowed = value.utf8.allSatisfy { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7a || $0 >= 0x30 && $0 <= 0x39 || $0 == 0x2b || $0 == 0x2f }
        guard allowed, length.contains(value.utf8.count) else { throw SDPFragmentError("a=ice-ufrag or a=ice-pwd is malformed") }
        guard self[keyPath: field] == nil || self[keyPath: field] == String(value) else {
            throw SDPFragmentError("the SDP fragment has two different ICE sessions")
        }
        self[keyPath: field] = String(value)
    }
}
