// SPDX-License-Identifier: Apache-2.0
import Foundation
// How the sequence targets read libFuzzer's bytes: as events with numbers, biased to what breaks arithmetic on time and counts.
import Primitives

/// Reads events from the fuzzer's bytes; every read gives `nil` behind the end.
struct EventReader {
    private var rest: Slice<UnsafeRawBufferPointer>

    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes[...] }

    mutating func byte() -> UInt8? { rest.popFirst() }

    mutating func word() -> UInt32? {
        guard let a = byte(), let b = byte(), let c = byte(), let d = byte() else { return nil }
        return UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
    }

    /// A 32-bit step: mostly small, sometimes at the bounds of what 32 bits can tell forwards from backwards.
    mutating func step() -> UInt32? {
        guard let kind = byte() else { return nil }
        switch kind {
        case 0..<128: return UInt32(kind) &* 30
        case 128..<160: return byte().map { UInt32(bitPattern: -Int32($0)) &* 90 }
        case 160..<180: return 0x7fff_ffff
        case 180..<200: return 0x8000_0000
        case 200..<210: return 0x8000_0001
        case 210..<230: return byte().map { UInt32($0) &* 90_000 }
        default: return word()
        }
    }

    /// A time that passes, ns: mostly some milliseconds, sometimes minutes.
    mutating func elapsed() -> Int64? {
        guard let kind = byte() else { return nil }
        switch kind {
        case 0..<200: return Int64(kind) * 500_000
        case 200..<240: return byte().map { Int64($0) * 50_000_000 }
        default: return byte().map { Int64($0) * 10_000_000_000 }
        }
    }

    /// A 64-bit number: anything, the bounds among it.
    mutating func long() -> UInt64? {
        guard let kind = byte() else { return nil }
        switch kind {
        case 0..<60: return UInt64(kind)
        case 60..<90: return .max
        case 90..<120: return UInt64(Int64.max)
        case 120..<150: return 1 << 63
        default:
            guard let high = word(), let low = word() else { return nil }
            return UInt64(high) << 32 | UInt64(low)
        }
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        let taken = Array(rest.prefix(count))
        rest = rest.dropFirst(count)
        return taken
    }

    mutating func choice(_ count: Int) -> Int? { byte().map { Int($0) % count } }
}

/// One RTP packet with a header of twelve bytes.
func rtpPacket(payloadType: UInt8, sequence: UInt16, timestamp: UInt32, ssrc: UInt32, marker: Bool, payload: [UInt8]) -> [UInt8] {
    var packet: [UInt8] = [0x80, (marker ? 0x80 : 0) | payloadType, UInt8(sequence >> 8), UInt8(truncatingIfNeeded: sequence)]
    for word in [timestamp, ssrc] {
        for shift in [24, 16, 8, 0] as [UInt32] { packet.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
    return packet + payload
}

/// Ends the run with a message: `precondition` says nothing in an optimized build.
func hold(_ condition: Bool, _ message: @autoclosure () -> String) {
    guard !condition else { return }
    FileHandle.standardError.write(Data("does not hold: \(message())\n".utf8))
    fatalError()
}
