// SPDX-License-Identifier: Apache-2.0
// The user name fragment and password one side of an ICE session puts into its session description.
public import Primitives

/// ICE credentials (RFC 8445 §5.3): the ufrag says which agent a check is for, the password proves that its sender
/// has seen the session description.
public struct ICECredentials: Hashable, Sendable {
    /// Longest ufrag or password that RFC 8839 §5.4 allows.
    public static let maximumLength = 256

    /// 4…256 characters.
    public let ufrag: String
    /// 22…256 characters.
    public let password: String

    public init(ufrag: String, password: String) {
        self.ufrag = ufrag
        self.password = password
    }

    /// Fresh credentials: 8 characters (48 bits) of ufrag, 24 (144 bits) of password; at least 24 and 128 are wanted.
    public static func random(using random: inout RandomSource) -> ICECredentials {
        ICECredentials(ufrag: random.iceCharacters(8), password: random.iceCharacters(24))
    }

    /// What a demultiplexer finds the agent by: the ufrag itself when it has eight characters, as ours have, else a number made of it.
    public var routingKey: UInt64 {
        var ufrag = ufrag
        return ufrag.withUTF8 { Self.routingKey(UnsafeRawBufferPointer($0)) }
    }

    static func routingKey(_ ufrag: UnsafeRawBufferPointer) -> UInt64 {
        if ufrag.count == 8 { return ufrag.loadUnaligned(as: UInt64.self) }
        return ufrag.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    var key: [UInt8] { Array(password.utf8) }
}
