// SPDX-License-Identifier: Apache-2.0
// The protection profiles that DTLS-SRTP can negotiate, with the sizes that follow from each.
// Used by SRTPSender and SRTPReceiver, and by whoever sizes packets.

/// A DTLS-SRTP protection profile; the raw value is its IANA identifier (RFC 5764 §4.1.2, RFC 7714 §14.2).
public enum SRTPProfile: UInt16, Sendable, CaseIterable {
    /// AES-128 counter mode with an 80-bit HMAC-SHA1 tag (RFC 3711), the mandatory one.
    case aes128CMSHA1_80 = 0x0001
    /// AES-128 in Galois/Counter mode (RFC 7714), the cheapest on current processors.
    case aeadAES128GCM = 0x0007
    /// AES-256 in Galois/Counter mode (RFC 7714).
    case aeadAES256GCM = 0x0008

    /// Bytes of the master key; the session encryption keys have the same length.
    public var keyLength: Int { self == .aeadAES256GCM ? 32 : 16 }
    /// Bytes of the master salt.
    public var saltLength: Int { self == .aes128CMSHA1_80 ? 14 : 12 }
    /// Bytes that protection adds to an RTP packet.
    public var rtpTagLength: Int { self == .aes128CMSHA1_80 ? 10 : 16 }
    /// Bytes that protection adds to an RTCP packet: the tag and the 32-bit word of E flag and SRTCP index.
    public var rtcpOverhead: Int { rtpTagLength + 4 }

    var isAEAD: Bool { self != .aes128CMSHA1_80 }
}
