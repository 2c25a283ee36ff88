// SPDX-License-Identifier: Apache-2.0
// Proving who one is to a server that asks (RFC 2617, RFC 7616): Basic and Digest. Used by who pulls.
import COpenSSL

/// A server's challenge, and the answers to it.
public struct RTSPAuthentication: Equatable, Sendable {
    enum Scheme: Equatable, Sendable {
        case basic
        case digest(realm: String, nonce: String, opaque: String?, algorithm: String?, usesQop: Bool)

        /// More is better: what the server offers beside is left.
        var strength: Int {
            switch self {
            case .basic: 0
            case .digest(_, _, _, let algorithm, _): algorithm?.uppercased().hasPrefix("SHA-") == true ? 2 : 1
            }
        }
    }
    let scheme: Scheme
    /// The login was right, only its nonce too old (RFC 7616 §3.3).
    public let isStale: Bool
    private var count: UInt32 = 0

    /// The strongest of the challenges in `WWW-Authenticate` fields that is understood; `nil` when none is.
    public init?(challenges: [String]) {
        var best: (scheme: Scheme, isStale: Bool)?
        for challenge in challenges.prefix(8) {
            let parts = challenge.split(separator: " ", maxSplits: 1)
            guard let name = parts.first?.lowercased() else { continue }
            if name == "basic", best == nil { best = (.basic, false) }
            guard name == "digest", parts.count > 1 else { continue }
            let fields = Self.fields(String(parts[1]))
            guard let realm = fields["realm"], let nonce = fields["nonce"] else { continue }
            let algorithm = fields["algorithm"]
            guard [nil, "MD5", "SHA-256", "SHA-512-256", "MD5-SESS", "SHA-256-SESS", "SHA-512-256-SESS"].contains(algorithm?.uppercased()) else { continue }
            let scheme = Scheme.digest(
                realm: realm, nonce: nonce, opaque: fields["opaque"], algorithm: algorithm,
                usesQop: fields["qop"]?.split(separator: ",").contains { $0.filter { $0 != " " } == "auth" } ?? false)
            if let best, best.scheme.strength > scheme.strength { continue }
            best = (scheme, fields["stale"]?.lowercased() == "true")
        }
        guard let best else { return nil }
        (scheme, isStale) = best
    }

    /// What the server made for this challenge; `nil` for Basic.
    public var nonce: String? { if case .digest(_, let nonce, _, _, _) = scheme { nonce } else { nil } }

    /// The value of `Authorization` for a request.
    public mutating func authorization(method: String, uri: String, user: String, password: String, clientNonce: String) -> String {
        switch scheme {
        case .basic: return "Basic " + Self.base64(Array("\(user):\(password)".utf8))
        case .digest(let realm, let nonce, let opaque, let algorithm, let usesQop):
            let hash = { (text: String) in Self.hash(text, algorithm?.uppercased() ?? "MD5") }
            let isSession = algorithm?.uppercased().hasSuffix("-SESS") == true
            let login = hash("\(user):\(realm):\(password)")
            let first = isSession ? hash("\(login):\(nonce):\(clientNonce)") : login, second = hash("\(method):\(uri)")
            var text = "Digest username=\"\(user)\", realm=\"\(realm)\", nonce=\"\(nonce)\", uri=\"\(uri)\""
            if usesQop {
                count &+= 1
                let digits = String(count, radix: 16)
                let number = String(repeating: "0", count: 8 - digits.count) + digits
                text += ", response=\"\(hash("\(first):\(nonce):\(number):\(clientNonce):auth:\(second)"))\", qop=auth, nc=\(number), cnonce=\"\(clientNonce)\""
            } else {
                text += ", response=\"\(hash("\(first):\(nonce):\(second)"))\""
                if isSession { text += ", cnonce=\"\(clientNonce)\"" }
            }
            if let algorithm { text += ", algorithm=\(algorithm)" }
            if let opaque { text += ", opaque=\"\(opaque)\"" }
            return text
        }
    }

    /// `key="value", key=value`
    static func fields(_ text: String) -> [String: String] {
        var fields: [String: String] = [:], rest = Substring(text)
        while !rest.isEmpty, fields.count < 32 {
            rest = rest.drop { $0 == " " || $0 == "," || $0 == "\t" }
            guard let equals = rest.firstIndex(of: "=") else { break }
            let key = rest[..<equals].lowercased()
            rest = rest[rest.index(after: equals)...]
            if rest.first == "\"" {
                rest = rest.dropFirst()
                let end = rest.firstIndex(of: "\"") ?? rest.endIndex
                fields[key] = String(rest[..<end])
                rest = rest[end...].dropFirst()
            } else {
                let end = rest.firstIndex(of: ",") ?? rest.endIndex
                fields[key] = rest[..<end].trimmingSpaces()
                rest = rest[end...]
            }
        }
        return fields
    }

    /// RFC 7616 §3.2: hexadecimal.
    private static func hash(_ text: String, _ algorithm: String) -> String {
        let kind = algorithm.hasPrefix("SHA-256") ? EVP_sha256() : algorithm.hasPrefix("SHA-512-256") ? EVP_sha512_256() : EVP_md5()
        var digest = [UInt8](repeating: 0, count: 64), length: UInt32 = 0
        let bytes = Array(text.utf8)
        EVP_Digest(bytes, bytes.count, &digest, &length, kind, nil)
        return digest.prefix(Int(length)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        var output = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
        let count = EVP_EncodeBlock(&output, bytes, Int32(bytes.count))
        return String(decoding: output.prefix(Int(max(0, count))), as: UTF8.self)
    }
}
