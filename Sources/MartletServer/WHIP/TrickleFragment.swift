// The body of a PATCH: ICE credentials and candidates as an SDP fragment (RFC 8840 §9, application/trickle-ice-sdpfrag).
import MediaIO
import SDP

/// What a fragment of a session description says about ICE.
struct TrickleFragment: Sendable, Equatable {
    static let mediaType = "application/trickle-ice-sdpfrag"
    /// Bytes.
    static let maximumSize = 64 * 1024
    static let maximumCandidates = 256

    private(set) var ufrag: String?
    private(set) var password: String?
    private(set) var candidates: [Candidate] = []

    /// Throws a sentence about what can't be read.
    init(parsing text: String) throws(WHIPFailure) {
        var understood = false
        for line in text.split(whereSeparator: \.isNewline) {
            guard line.hasPrefix("a=") || line.hasPrefix("m=") else { throw .badRequest("\"\(line.prefix(80))\" is no line of an SDP fragment") }
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
                guard let candidate = Candidate(attribute: attribute) else { throw .badRequest("\"\(line.prefix(120))\" is no candidate") }
                guard candidates.count < Self.maximumCandidates else { throw .badRequest("more than \(Self.maximumCandidates) candidates") }
                candidates.append(candidate)
                understood = true
            case "end-of-candidates":
                understood = true
            default:
                continue
            }
        }
        guard understood else { throw .badRequest("the SDP fragment says nothing about ICE") }
        guard (ufrag == nil) == (password == nil) else { throw .badRequest("a=ice-ufrag and a=ice-pwd belong together") }
    }

    /// Session-level and media-level lines repeat each other; what they say must agree.
    private mutating func take(
        _ value: Substring, into field: WritableKeyPath<TrickleFragment, String?>, _ length: ClosedRange<Int>
    ) throws(WHIPFailure) {
        let allowed = value.utf8.allSatisfy { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7a || $0 >= 0x30 && $0 <= 0x39 || $0 == 0x2b || $0 == 0x2f }
        guard allowed, length.contains(value.utf8.count) else { throw .badRequest("a=ice-ufrag or a=ice-pwd is malformed") }
        guard self[keyPath: field] == nil || self[keyPath: field] == String(value) else {
            throw .badRequest("the SDP fragment has two different ICE sessions")
        }
        self[keyPath: field] = String(value)
    }

    /// Our half of a restart, for the first m-line of the BUNDLE group.
    static func answer(_ restart: ICERestart, kind: String, mid: String) -> String {
        var lines = [
            "a=ice-lite", "a=ice-ufrag:\(restart.ufrag)", "a=ice-pwd:\(restart.password)", "m=\(kind) 9 UDP/TLS/RTP/SAVPF 0", "a=mid:\(mid)",
        ]
        lines += restart.candidates.map { "a=candidate:" + $0.attributeValue }
        lines.append("a=end-of-candidates")
        return lines.joined(separator: "\r\n") + "\r\n"
    }
}
