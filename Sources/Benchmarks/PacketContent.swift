// SPDX-License-Identifier: Apache-2.0
// The bytes of the benchmark's RTP payloads: valid H.264 and Opus from the outside (so that a server finds key frames),
// a stamp and noise inside.
import Glibc

enum PacketContent {
    /// Parameter sets of the recording that the frame sizes come from (1280×720, constrained baseline, level 3.1).
    private static let sps: [UInt8] = [
        0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xec, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0xa3,
        0xc6, 0x0c, 0xa8,
    ]
    private static let pps: [UInt8] = [0x68, 0xce, 0x3c, 0x80]
    /// STAP-A (RFC 6184 §5.7.1) of the parameter sets and an SEI that the stamp goes into.
    private static let stapHeader: [UInt8] =
        [0x78, 0, UInt8(sps.count)] + sps + [0, UInt8(pps.count)] + pps + [0, UInt8(1 + Stamp.length), 0x06]
    static let parameterSetsLength = stapHeader.count + Stamp.length

    /// Where the stamp of a payload begins.
    static func stampOffset(_ payload: UnsafeRawBufferPointer, isVideo: Bool) -> Int {
        guard isVideo else { return 1 }
        return payload.first == 0x78 ? stapHeader.count : 2
    }

    /// The packet in front of a key frame.
    static func writeParameterSets(_ stamp: Stamp, to p: UnsafeMutableRawPointer) {
        stapHeader.withUnsafeBytes { p.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        stamp.write(to: p + stapHeader.count)
    }

    /// A fragment (FU-A, RFC 6184 §5.8) of `length` bytes, at least 2 + 32.
    static func writeFragment(_ stamp: Stamp, length: Int, isFirst: Bool, isLast: Bool, to p: UnsafeMutableRawPointer) {
        p.storeBytes(of: 0x7c, as: UInt8.self)
        p.storeBytes(
            of: (isFirst ? 0x80 : 0) | (isLast ? 0x40 : 0) | (stamp.isKeyFrame ? 5 : 1), toByteOffset: 1, as: UInt8.self)
        writeBody(stamp, length: length - 2, to: p + 2)
    }

    /// An Opus packet of `length` bytes, at least 1 + 32: one byte of configuration (RFC 6716 §3.1), then what it likes.
    static func writeAudio(_ stamp: Stamp, length: Int, to p: UnsafeMutableRawPointer) {
        p.storeBytes(of: 0xfc, as: UInt8.self)
        writeBody(stamp, length: length - 1, to: p + 1)
    }

    private static func writeBody(_ stamp: Stamp, length: Int, to p: UnsafeMutableRawPointer) {
        stamp.write(to: p)
        (p + Stamp.length).copyMemory(from: Noise.bytes(stamp.counter), byteCount: length - Stamp.length)
    }
}
