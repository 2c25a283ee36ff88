// SPDX-License-Identifier: Apache-2.0
// Bytes that several tests share. The codec headers are the first bytes of what libx264, libvpx and libaom made of
// ffmpeg's test pattern; everything else is built by hand.
import Primitives
import RTP

extension Array where Element == UInt8 {
    /// Bytes from hexadecimal text; blanks don't count.
    init(hex: String) {
        let digits = hex.filter { !$0.isWhitespace }
        self = stride(from: 0, to: digits.count, by: 2).map { i in
            let start = digits.index(digits.startIndex, offsetBy: i)
            return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16) ?? 0
        }
    }

    func view<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withUnsafeBytes(body)
    }
}

enum Samples {
    /// A plain RTP packet without extension.
    static func rtp(
        sequence: UInt16, timestamp: UInt32 = 0, marker: Bool = false, payloadType: UInt8 = 96, ssrc: UInt32 = 1,
        payload: [UInt8]
    ) -> [UInt8] {
        var packet = [UInt8](repeating: 0, count: 12)
        packet.withUnsafeMutableBytes { bytes in
            var writer = RTPHeaderWriter(into: bytes)
            writer.writeFixed(
                marker: marker, payloadType: payloadType, sequenceNumber: sequence, timestamp: timestamp, ssrc: ssrc)
        }
        return packet + payload
    }

    /// An Annex B access unit with units of the given header bytes and lengths, filled with random bytes that hold no zeros.
    static func accessUnit(_ units: [(header: UInt8, length: Int)], random: inout RandomSource) -> [UInt8] {
        var stream: [UInt8] = []
        for unit in units {
            stream += [0, 0, 0, 1, unit.header]
            if unit.length > 1 { stream.append(0x88) }
            for _ in 0..<max(0, unit.length - 2) { stream.append(UInt8.random(in: 1...255, using: &random)) }
        }
        return stream
    }
}
