// SPDX-License-Identifier: Apache-2.0
// The H.264 of video messages as access units: a message is not always one. Units without a slice wait for the frame that they belong to, slices
// that come in messages of their own are put together, and what a frame is is read from its units, not from the message's flag. Owned by
// IngestState.
import Primitives
import RTP

struct AccessUnits: Sendable {
    /// One access unit, Annex B.
    struct Unit: Sendable, Equatable {
        var bytes: [UInt8]
        /// When it is shown.
        var time: MediaTime
        var isKeyFrame: Bool
        /// Presentation less decoding time.
        var composition: TimeSpan
    }

    /// What a message brought.
    struct Result: Sendable, Equatable {
        var units: [Unit] = []
        /// Units lie behind start codes, where lengths belong.
        var isAnnexB = false
        /// Its bytes are not H.264 units.
        var isUnreadable = false
    }

    /// Units that wait may have this many bytes.
    static let maximumHeld = 64 << 10
    /// A message of more units than this is none: no frame has so many slices.
    static let maximumUnits = 2_000
    /// A frame that comes in several messages may have this many bytes; what goes on beyond is left out.
    static let maximumOpen = 8 << 20

    /// Units without a slice, Annex B, and the timestamp they came with.
    private var held: (timestamp: UInt32, sets: [UInt8], others: [UInt8])?
    /// The frame that may go on in the next message.
    private var open: (timestamp: UInt32, unit: Unit)?
    /// The timestamp of the newest frame.
    private var newest: UInt32?
    /// Slices of one frame come in several messages: a frame is complete when another begins.
    private(set) var isSplit = false

    /// - Parameters:
    ///   - lengthSize: bytes of the length in front of each unit.
    ///   - isFlaggedKey: what the message says of itself.
    mutating func take(
        _ payload: ArraySlice<UInt8>, lengthSize: Int, timestamp: UInt32, time: MediaTime, composition: TimeSpan, isFlaggedKey: Bool
    ) -> Result {
        let (units, isAnnexB) = Self.units(payload, lengthSize: lengthSize)
        var result = Result(isAnnexB: isAnnexB, isUnreadable: units.isEmpty && payload.contains { $0 != 0 })
        let slices = units.filter { H264Unit.isSlice($0) }
        guard let first = slices.first else {
            hold(units, timestamp)
            return result
        }
        let isContinuation = !H264Unit.beginsPicture(first) && newest == timestamp
        if isContinuation, !isSplit { isSplit = true }
        var bytes = takeHeld(timestamp)
        for unit in units { bytes += [0, 0, 0, 1] + unit }
        if isContinuation, let length = open?.unit.bytes.count {
            if length + bytes.count <= Self.maximumOpen { open?.unit.bytes += bytes }
            return result
        }
        result.units += flush()
        newest = timestamp
        let hasRecoveryPoint = units.contains(where: H264Unit.isRecoveryPoint), hasSPS = units.contains { H264Unit.type($0) == 7 }
        let isKeyFrame = !isContinuation
            && (slices.contains { H264Unit.type($0) == 5 } || isFlaggedKey && hasRecoveryPoint
                || (isFlaggedKey || hasSPS || hasRecoveryPoint) && slices.allSatisfy(H264Unit.isIntra))
        let unit = Unit(bytes: bytes, time: time, isKeyFrame: isKeyFrame, composition: composition)
        // Of the first frame that turned out to be split, the rest follows it by itself.
        if isSplit, !isContinuation { open = (timestamp, unit) } else { result.units.append(unit) }
        return result
    }

    /// Bytes that wait.
    var heldBytes: Int { (open?.unit.bytes.count ?? 0) + (held.map { $0.sets.count + $0.others.count } ?? 0) }

    /// The frame that has waited for more of it.
    mutating func flush() -> [Unit] {
        defer { open = nil }
        return open.map { [$0.unit] } ?? []
    }

    private mutating func hold(_ units: [ArraySlice<UInt8>], _ timestamp: UInt32) {
        if held?.timestamp != timestamp {
            // Parameter sets hold until others come; the rest belongs to its own time only.
            held = (timestamp, held?.sets ?? [], [])
        }
        for unit in units {
            let isSet = [7, 8, 13, 15].contains(H264Unit.type(unit))
            if isSet { held?.sets += [0, 0, 0, 1] + unit } else { held?.others += [0, 0, 0, 1] + unit }
        }
        if let held, held.sets.count + held.others.count > Self.maximumHeld { self.held = nil }
    }

    private mutating func takeHeld(_ timestamp: UInt32) -> [UInt8] {
        defer { held = nil }
        guard let held else { return [] }
        return held.sets + (held.timestamp == timestamp ? held.others : [])
    }

    /// The SPS and PPS among units without a configuration message.
    static func parameterSets(_ payload: ArraySlice<UInt8>, lengthSize: Int) -> [[UInt8]] {
        units(payload, lengthSize: lengthSize).units.filter { H264Unit.type($0) == 7 || H264Unit.type($0) == 8 }.map(Array.init)
    }

    /// The units of a message: behind lengths as it should be; behind start codes when lengths make no sense.
    private static func units(_ payload: ArraySlice<UInt8>, lengthSize: Int) -> (units: [ArraySlice<UInt8>], isAnnexB: Bool) {
        var units: [ArraySlice<UInt8>] = [], rest = payload, isExact = true
        while !rest.isEmpty {
            guard rest.count >= lengthSize else {
                isExact = rest.allSatisfy { $0 == 0 }
                break
            }
            let length = rest.prefix(lengthSize).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(lengthSize)
            guard length > 0 else { continue }
            guard length <= rest.count else {
                isExact = false
                break
            }
            units.append(rest.prefix(length))
            rest = rest.dropFirst(length)
            guard units.count <= maximumUnits else { return ([], false) }
        }
        if !isExact, beginsWithStartCode(payload) {
            let found = H264Framing.units(ofAnnexB: Array(payload), limit: maximumUnits + 1)
            return found.count > maximumUnits ? ([], true) : (found, true)
        }
        guard let first = units.first, beginsWithStartCode(first) else { return (units, false) }
        // Both, a length and a start code.
        var found: [ArraySlice<UInt8>] = []
        for unit in units {
            found += beginsWithStartCode(unit) ? H264Framing.units(ofAnnexB: Array(unit), limit: maximumUnits + 1) : [unit]
            guard found.count <= maximumUnits else { return ([], true) }
        }
        return (found, true)
    }

    private static func beginsWithStartCode(_ bytes: ArraySlice<UInt8>) -> Bool { bytes.starts(with: [0, 0, 1]) || bytes.starts(with: [0, 0, 0, 1]) }
}

/// What is asked of single H.264 units (without start codes).
enum H264Unit {
    static func type(_ unit: ArraySlice<UInt8>) -> UInt8 { (unit.first ?? 0) & 0x1f }
    static func isSlice(_ unit: ArraySlice<UInt8>) -> Bool { (1...5).contains(type(unit)) }

    /// The first slice of a picture: first_mb_in_slice is 0, a single 1 bit. Partitions B and C never are.
    static func beginsPicture(_ unit: ArraySlice<UInt8>) -> Bool { ![3, 4].contains(type(unit)) && unit.dropFirst().first.map { $0 & 0x80 != 0 } ?? true }

    /// An I or SI slice (§7.4.3).
    static func isIntra(_ unit: ArraySlice<UInt8>) -> Bool {
        var word: UInt64 = 0
        for byte in unit.dropFirst().prefix(8) { word = word << 8 | UInt64(byte) }
        word <<= UInt64(8 * (8 - min(8, max(0, unit.count - 1))))
        func exponentialGolomb() -> UInt64? {
            let zeros = word.leadingZeroBitCount
            guard zeros < 24 else { return nil }
            word <<= UInt64(zeros)
            let value = word >> UInt64(63 - zeros)
            word <<= UInt64(zeros + 1)
            return value - 1
        }
        guard exponentialGolomb() != nil, let kind = exponentialGolomb() else { return false }
        return [2, 4, 7, 9].contains(kind)
    }

    /// SEI with a recovery point (§D.1.8).
    static func isRecoveryPoint(_ unit: ArraySlice<UInt8>) -> Bool {
        guard type(unit) == 6 else { return false }
        var rest = unit.dropFirst()
        func number() -> Int {
            var value = 0
            while let byte = rest.popFirst() {
                value += Int(byte)
                if byte != 255 { break }
            }
            return value
        }
        while rest.count > 2 {
            if number() == 6 { return true }
            rest = rest.dropFirst(number())
        }
        return false
    }
}
