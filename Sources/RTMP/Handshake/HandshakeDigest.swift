// SPDX-License-Identifier: Apache-2.0
// The digests of the "complex" handshake, which Flash and some encoders ask for: HMAC-SHA256 at a place that the packet itself
// names. It proves nothing, its keys are public; clients only want to see it. Used by both handshakes.
import COpenSSL

/// Where a packet keeps its digest.
enum DigestScheme: CaseIterable {
    /// The digest block comes behind the version, the key block last.
    case digestFirst
    /// The key block comes first.
    case digestLast

    /// Offset of the digest's 32 bytes in a packet of 1536.
    func offset(in packet: [UInt8]) -> Int {
        let base = self == .digestFirst ? 8 : 772
        let sum = packet[base..<base + 4].reduce(0) { $0 + Int($1) }
        return sum % 728 + base + 4
    }
}

enum HandshakeDigest {
    static let packetLength = 1536
    static let length = 32

    /// Keys of the two sides: a text, for the second packet followed by these bytes.
    static let clientText = Array("Genuine Adobe Flash Player 001".utf8)
    static let serverText = Array("Genuine Adobe Flash Media Server 001".utf8)
    static let crud: [UInt8] = [
        0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57,
        0x6e, 0xec, 0x5d, 0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
    ]

    static func hmac(key: [UInt8], _ data: some Sequence<UInt8>) -> [UInt8] {
        let data = Array(data)
        var digest = [UInt8](repeating: 0, count: length)
        var digestLength: UInt32 = 0
        _ = HMAC(EVP_sha256(), key, Int32(key.count), data, data.count, &digest, &digestLength)
        return digest
    }

    /// The digest of a first packet, when it has one by that key, and where it stands.
    static func find(in packet: [UInt8], key: [UInt8]) -> (scheme: DigestScheme, digest: [UInt8])? {
        for scheme in DigestScheme.allCases {
            let offset = scheme.offset(in: packet)
            let digest = Array(packet[offset..<offset + length])
            if hmac(key: key, packet[..<offset] + packet[(offset + length)...]) == digest { return (scheme, digest) }
        }
        return nil
    }

    /// Puts the digest into a first packet; gives it back.
    @discardableResult
    static func sign(_ packet: inout [UInt8], scheme: DigestScheme, key: [UInt8]) -> [UInt8] {
        let offset = scheme.offset(in: packet)
        let digest = hmac(key: key, packet[..<offset] + packet[(offset + length)...])
        packet.replaceSubrange(offset..<offset + length, with: digest)
        return digest
    }

    /// Puts the answer to the other side's digest at the end of a second packet.
    static func answer(_ digest: [UInt8], text: [UInt8], in packet: inout [UInt8]) {
        let key = hmac(key: text + crud, digest)
        let body = packetLength - length
        packet.replaceSubrange(body..., with: hmac(key: key, packet[..<body]))
    }
}
