// SPDX-License-Identifier: Apache-2.0
// The out-of-band header of AAC (ISO/IEC 14496-3 §1.6.2.1): what kind it is, how fast and how wide. Used by the doors and bridges.

/// The first fields of an AudioSpecificConfig.
public struct AudioSpecificConfig: Equatable, Sendable {
    /// 2 = AAC-LC, 5 = SBR (HE-AAC), 29 = PS (HE-AACv2).
    public var objectType: Int
    /// Hz; of the core, without what SBR doubles.
    public var sampleRate: Int
    /// 1…8; 0 = said elsewhere.
    public var channels: Int
    /// It is said by a program config element (ISO/IEC 14496-3 §4.4.1.1) behind these fields, which is the decoder's to read.
    public private(set) var hasProgram = false

    private static let rates = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350]

    /// Bytes of the shortest configuration with a program config element, of one channel.
    private static let shortestWithProgram = 8

    public init(objectType: Int = 2, sampleRate: Int, channels: Int) {
        self.objectType = objectType
        self.sampleRate = sampleRate
        self.channels = channels
    }

    /// `nil` when it is too short, or names a rate that does not exist.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count >= 2 else { return nil }
        let parsed: AudioSpecificConfig? = bytes.withUnsafeBytes { raw in
            var bits = BitReader(raw)
            var objectType = Int(bits.read(5))
            if objectType == 31 { objectType = 32 + Int(bits.read(6)) }
            let index = Int(bits.read(4))
            let rate = index == 15 ? Int(bits.read(24)) : (Self.rates.indices.contains(index) ? Self.rates[index] : 0)
            let channels = Int(bits.read(4))
            guard !bits.isOverrun, objectType > 0, (4_000...192_000).contains(rate) else { return nil }
            return AudioSpecificConfig(objectType: objectType, sampleRate: rate, channels: channels == 7 ? 8 : channels)
        }
        guard let parsed else { return nil }
        self = parsed
        hasProgram = channels == 0 && bytes.count >= Self.shortestWithProgram
    }

    /// How many channels the audio is described with: 2 where only its decoder knows. `nil`: it isn't said anywhere.
    public var describedChannels: Int? {
        (1...8).contains(channels) ? channels : hasProgram ? 2 : nil
    }

    /// The two bytes of an AAC-LC stream; `nil` for a rate that has no number.
    public var bytes: [UInt8]? {
        guard objectType < 31, let index = Self.rates.firstIndex(of: sampleRate), (1...7).contains(channels) else { return nil }
        let word = UInt16(objectType) << 11 | UInt16(index) << 7 | UInt16(channels) << 3
        return [UInt8(word >> 8), UInt8(word & 0xff)]
    }
}

extension AudioSpecificConfig {
    /// Characters of a configuration at most, in SDP.
    private static let longestText = 256

    /// The bytes of a `config` parameter (RFC 3640 §4.1), pairs of hexadecimal digits; `nil` for what is not made of those, or is longer than any
    /// configuration.
    public static func bytes(ofParameter text: String) -> [UInt8]? {
        guard text.utf8.count.isMultiple(of: 2), text.utf8.count <= longestText else { return nil }
        var bytes: [UInt8] = [], rest = Substring(text)
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}
