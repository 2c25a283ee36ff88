// SPDX-License-Identifier: Apache-2.0
// Cuts RTP packets that are too long for the way to players into shorter ones. Used by who pulls by RTSP: over TCP a camera may send packets of
// any length.

/// Packets of one source in, the same or several in the place of one out, with numbers that follow each other: what is missing in front is
/// missing behind. Leaves sources whose packets are short as they are.
///
/// Cut are H.264, H.265, AAC (RFC 3640) and audio of one byte a tick; packets of others are given back as they are.
public struct PacketSplitter: Sendable {
    /// Payloads up to here go on as they are, bytes: with headers, extensions, SRTP's tag, UDP and IPv6 around them they fit a path of 1500.
    public static let longestPayload = 1400
    /// What longer ones are cut into, at most.
    static let pieceLength = 1180
    private static let longestLateness: Int16 = 256
    private static let maximumCuts = 64

    private struct Piece {
        var payload: [UInt8]
        var marker: Bool
        /// Behind the timestamp of the packet that it is of.
        var ticks: UInt32 = 0
    }
    private let codec: CodecKind
    private let format: AACPayloadFormat
    private var newest: UInt16?
    /// Added to the source's numbers.
    private var shift: UInt16 = 0
    /// The latest packets that became several, and how many more: what comes late belongs in front of them.
    private var cuts: [(sequence: UInt16, more: UInt16)] = []

    /// - Parameter format: of AAC.
    public init(codec: CodecKind, format: AACPayloadFormat = AACPayloadFormat()) {
        self.codec = codec
        self.format = format
    }

    /// What goes on in the packet's place.
    public mutating func take(_ packet: [UInt8]) -> [[UInt8]] {
        guard packet.count >= 12 else { return [packet] }
        let sequence = UInt16(packet[2]) << 8 | UInt16(packet[3])
        let step = newest.map { Int16(bitPattern: sequence &- $0) } ?? 1
        let isLate = step <= 0 && step >= -Self.longestLateness
        if !isLate {
            newest = sequence
            // A source that begins anew has nothing to do with what was cut.
            if step < 0 { cuts = [] }
        }
        let number = sequence &+ (isLate ? shiftBefore(sequence) : shift)
        guard packet.count > 12 + Self.longestPayload, let pieces = cut(packet) else { return [numbered(packet, number)] }
        if pieces.count > 1 {
            // Where a late one belongs there is room for one.
            guard !isLate else { return [numbered(packet, number)] }
            // Fits: there are fewer than the packet has bytes, 65 535 at most in any transport.
            let more = UInt16(truncatingIfNeeded: pieces.count - 1)
            shift &+= more
            if cuts.count == Self.maximumCuts { cuts.removeFirst() }
            cuts.append((sequence, more))
        }
        return pieces.enumerated().map { index, piece in write(piece, of: packet, number &+ UInt16(truncatingIfNeeded: index)) }
    }

    private func shiftBefore(_ sequence: UInt16) -> UInt16 {
        cuts.reduce(shift) { shift, cut in
            (0...Self.longestLateness).contains(Int16(bitPattern: cut.sequence &- sequence)) ? shift &- cut.more : shift
        }
    }

    private func numbered(_ packet: [UInt8], _ sequence: UInt16) -> [UInt8] {
        guard shift != 0 else { return packet }
        var packet = packet
        packet[2] = UInt8(sequence >> 8)
        packet[3] = UInt8(sequence & 0xff)
        return packet
    }

    private func write(_ piece: Piece, of packet: [UInt8], _ sequence: UInt16) -> [UInt8] {
        let timestamp = packet[4..<8].reduce(0 as UInt32) { $0 << 8 | UInt32($1) } &+ piece.ticks
        var bytes: [UInt8] = [0x80, packet[1] & 0x7f | (piece.marker ? 0x80 : 0), UInt8(sequence >> 8), UInt8(sequence & 0xff)]
        bytes.reserveCapacity(12 + piece.payload.count)
        bytes += [UInt8(timestamp >> 24), UInt8(timestamp >> 16 & 0xff), UInt8(timestamp >> 8 & 0xff), UInt8(timestamp & 0xff)]
        bytes += packet[8..<12]
        bytes += piece.payload
        return bytes
    }

    // MARK: payloads

    /// `nil`: this can't be cut.
    private func cut(_ packet: [UInt8]) -> [Piece]? {
        packet.withUnsafeBytes { bytes -> [Piece]? in
            guard let view = RTPView(bytes), !view.payload.isEmpty else { return nil }
            let payload = view.payload
            // Long by what is in front of it, which nobody behind reads.
            if payload.count <= Self.longestPayload { return [Piece(payload: Array(payload), marker: view.marker)] }
            switch codec {
            case .h264: return Self.video(Self.h264(payload), view.marker)
            case .h265: return Self.video(Self.h265(payload), view.marker)
            case .aac: return aac(payload, view.marker)
            case .pcmu, .pcma, .g722: return Self.samples(payload, view.marker)
            case .opus, .vp8, .vp9, .av1, .other: return nil
            }
        }
    }

    private static func video(_ payloads: [[UInt8]]?, _ marker: Bool) -> [Piece]? {
        guard let payloads, !payloads.isEmpty else { return nil }
        return payloads.enumerated().map { Piece(payload: $1, marker: marker && $0 == payloads.count - 1) }
    }

    /// Single units, STAP-A and FU-A to single units and FU-A (RFC 6184 §5.8).
    private static func h264(_ payload: UnsafeRawBufferPointer) -> [[UInt8]]? {
        let indicator = payload[0] & 0xe0 | H264Payload.fuA
        switch payload[0] & 0x1f {
        case 1...23:
            return fragments([indicator], type: payload[0] & 0x1f, payload[1...])
        case H264Payload.stapA:
            return units(payload, from: 1) { unit in
                fragments([unit[0] & 0xe0 | H264Payload.fuA], type: unit[0] & 0x1f, unit[1...])
            }
        case H264Payload.fuA:
            let flags = payload[1]
            return fragments([indicator], type: flags & 0x1f, payload[2...], isStart: flags & 0x80 != 0, isEnd: flags & 0x40 != 0)
        default:
            return nil
        }
    }

    /// Single units, aggregation packets and fragmentation units to single units and fragmentation units (RFC 7798 §4.4.3).
    private static func h265(_ payload: UnsafeRawBufferPointer) -> [[UInt8]]? {
        let fragment = { (first: UInt8, second: UInt8) -> [UInt8] in [first & 0x81 | 49 << 1, second] }
        switch payload[0] >> 1 & 0x3f {
        case 0..<48:
            return fragments(fragment(payload[0], payload[1]), type: payload[0] >> 1 & 0x3f, payload[2...])
        case 48:
            return units(payload, from: 2) { unit in
                fragments(fragment(unit[0], unit[1]), type: unit[0] >> 1 & 0x3f, unit[2...])
            }
        case 49:
            let flags = payload[2]
            return fragments([payload[0], payload[1]], type: flags & 0x3f, payload[3...], isStart: flags & 0x80 != 0, isEnd: flags & 0x40 != 0)
        default:
            return nil
        }
    }

    /// The units of an aggregate, each for itself; `nil` when its lengths don't fit.
    private static func units(
        _ payload: UnsafeRawBufferPointer, from start: Int, _ fragments: (UnsafeRawBufferPointer) -> [[UInt8]]
    ) -> [[UInt8]]? {
        var payloads: [[UInt8]] = []
        var offset = start
        while offset < payload.count {
            guard offset + 2 < payload.count else { return nil }
            let length = Int(payload[offset]) << 8 | Int(payload[offset + 1])
            offset += 2
            guard length > 0, offset + length <= payload.count else { return nil }
            let unit = UnsafeRawBufferPointer(rebasing: payload[offset..<offset + length])
            payloads += length <= longestPayload ? [Array(unit)] : fragments(unit)
            offset += length
        }
        return payloads
    }

    private static func fragments(
        _ head: [UInt8], type: UInt8, _ body: Slice<UnsafeRawBufferPointer>, isStart: Bool = true, isEnd: Bool = true
    ) -> [[UInt8]] {
        let lengths = PayloadSplit.lengths(of: body.count, capacity: pieceLength - head.count - 1)
        var offset = body.startIndex
        return lengths.enumerated().map { index, length in
            var flags = type
            if isStart, index == 0 { flags |= 0x80 }
            if isEnd, index == lengths.count - 1 { flags |= 0x40 }
            defer { offset += length }
            return head + [flags] + body[offset..<offset + length]
        }
    }

    /// Each frame for itself, one that is too long in pieces (RFC 3640 §3.2.3).
    private func aac(_ payload: UnsafeRawBufferPointer, _ marker: Bool) -> [Piece]? {
        guard let (sizes, data) = format.frames(in: payload), !sizes.isEmpty else { return nil }
        let width = format.sizeLength + format.indexLength
        var pieces: [Piece] = [], offset = 0
        for (index, size) in sizes.enumerated() {
            // What is alone may be a piece already.
            let length = sizes.count == 1 ? min(size, data.count) : size
            guard length > 0, offset + length <= data.count else { return nil }
            // Fits: 16 and 8 bits at most.
            let header = UInt32(truncatingIfNeeded: size) << UInt32(32 - format.sizeLength)
            let head = [0, UInt8(width)] + (0..<(width + 7) / 8).map { UInt8(header >> UInt32(24 - 8 * $0) & 0xff) }
            let lengths = length + head.count <= Self.longestPayload
                ? [length] : PayloadSplit.lengths(of: length, capacity: Self.pieceLength - head.count)
            for (place, length) in lengths.enumerated() {
                pieces.append(Piece(
                    payload: head + data[offset..<offset + length], marker: marker && place == lengths.count - 1,
                    ticks: UInt32(index * format.frameDuration)))
                offset += length
            }
        }
        return pieces
    }

    /// G.711 and G.722: a byte is a tick.
    private static func samples(_ payload: UnsafeRawBufferPointer, _ marker: Bool) -> [Piece] {
        var offset = 0
        return PayloadSplit.lengths(of: payload.count, capacity: pieceLength).map { length in
            defer { offset += length }
            return Piece(payload: Array(payload[offset..<offset + length]), marker: marker && offset == 0, ticks: UInt32(offset))
        }
    }
}
