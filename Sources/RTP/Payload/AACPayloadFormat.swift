// SPDX-License-Identifier: Apache-2.0
// How AAC lies in RTP payloads, as a description says it (RFC 3640 §4.1). Used by packetiser, depacketiser and PacketSplitter.

/// The widths of the fields in an AU header, bits. Only what AAC uses: no time stamps, no random access flag.
public struct AACPayloadFormat: Equatable, Sendable {
    public var sizeLength = 13
    public var indexLength = 3
    public var indexDeltaLength = 3
    /// Ticks from one frame to the next in one packet.
    public var frameDuration = 1024

    /// The four numbers, as orders to workers carry them.
    public var fields: [UInt16] {
        get { [sizeLength, indexLength, indexDeltaLength, frameDuration].map { UInt16(clamping: $0) } }
        set {
            guard newValue.count == 4 else { return }
            (sizeLength, indexLength, indexDeltaLength, frameDuration) = (Int(newValue[0]), Int(newValue[1]), Int(newValue[2]), Int(newValue[3]))
        }
    }

    /// AAC-hbr: what everybody sends.
    public init() {}

    /// Reads the parameters of an `a=fmtp` line; `nil` for a form that is not handled (interleaving, extra header fields).
    public init?(parameter: (String) -> String?) {
        func number(_ key: String, _ fallback: Int) -> Int { parameter(key).flatMap { Int($0) } ?? fallback }
        for key in ["ctsdeltalength", "dtsdeltalength", "randomaccessindication", "streamstateindication", "auxiliarydatasizelength"]
        where number(key, 0) != 0 { return nil }
        sizeLength = number("sizelength", 0)
        indexLength = number("indexlength", 0)
        indexDeltaLength = number("indexdeltalength", indexLength)
        frameDuration = number("constantduration", 1024)
        guard (6...16).contains(sizeLength), (0...8).contains(indexLength), (0...8).contains(indexDeltaLength), (64...8192).contains(frameDuration)
        else { return nil }
    }

    /// Frames of one payload at most.
    static let maximumFrames = 64

    /// How many frames the headers of a payload tell of; `nil` when it is malformed.
    public func frameCount(in payload: UnsafeRawBufferPointer) -> Int? { frames(in: payload)?.sizes.count }

    /// How long the frames in a payload are, as its headers say, and where they lie; `nil` when it is malformed.
    func frames(in payload: UnsafeRawBufferPointer) -> (sizes: [Int], data: UnsafeRawBufferPointer)? {
        guard payload.count > 2 else { return nil }
        let headerBits = Int(payload[0]) << 8 | Int(payload[1])
        let headerBytes = (headerBits + 7) / 8
        guard headerBits > 0, 2 + headerBytes < payload.count else { return nil }
        var bits = BitReader(UnsafeRawBufferPointer(rebasing: payload[2..<2 + headerBytes]))
        var left = headerBits, sizes: [Int] = []
        while sizes.count < Self.maximumFrames {
            let index = sizes.isEmpty ? indexLength : indexDeltaLength
            guard left >= sizeLength + index else { break }
            sizes.append(Int(bits.read(sizeLength)))
            bits.skip(index)
            left -= sizeLength + index
        }
        return (sizes, UnsafeRawBufferPointer(rebasing: payload[(2 + headerBytes)...]))
    }
}
