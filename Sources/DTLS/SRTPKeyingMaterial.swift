// SPDX-License-Identifier: Apache-2.0
// The keys that a DTLS handshake exports for SRTP (RFC 5764 §4.2), handed by DTLSSession to whoever makes SRTP contexts.

/// Master keys and salts of both directions.
public struct SRTPKeyingMaterial: Sendable, Equatable {
    /// The negotiated protection profile, by its IANA identifier.
    public enum Profile: UInt16, Sendable, CaseIterable {
        case aes128CMSHA1_80 = 0x0001
        case aeadAES128GCM = 0x0007
        case aeadAES256GCM = 0x0008

        /// The name in the IANA registry "DTLS-SRTP Protection Profiles".
        public var name: String {
            switch self {
            case .aes128CMSHA1_80: "SRTP_AES128_CM_HMAC_SHA1_80"
            case .aeadAES128GCM: "SRTP_AEAD_AES_128_GCM"
            case .aeadAES256GCM: "SRTP_AEAD_AES_256_GCM"
            }
        }
        /// Bytes of a master key.
        public var keyLength: Int { self == .aeadAES256GCM ? 32 : 16 }
        /// Bytes of a master salt.
        public var saltLength: Int { self == .aes128CMSHA1_80 ? 14 : 12 }
    }

    public let profile: Profile
    /// Protects what we send.
    public let localKey: [UInt8]
    public let localSalt: [UInt8]
    /// Protects what the peer sends.
    public let remoteKey: [UInt8]
    public let remoteSalt: [UInt8]

    public init(profile: Profile, localKey: [UInt8], localSalt: [UInt8], remoteKey: [UInt8], remoteSalt: [UInt8]) {
        self.profile = profile
        self.localKey = localKey
        self.localSalt = localSalt
        self.remoteKey = remoteKey
        self.remoteSalt = remoteSalt
    }
}
