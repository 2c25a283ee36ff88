// SPDX-License-Identifier: Apache-2.0
// Which packets of a camera's track are media: by the payload type that its description says, or by the one that it sends instead.
// A value; one for each track of a connection, owned by RTSPInlet.
import Primitives
import RTP
import SDP

struct PayloadTypeGate {
    enum Verdict: Equatable {
        case take, drop
        /// Taken from now on, with those that were held back.
        case adopted([[UInt8]])
        /// The first of a payload type that is not taken.
        case unknown(UInt8)
    }

    /// So many packets in a row make another payload type believable.
    static let needed = 16
    /// Where one has been taken, it has to be silent for this long before: packets of others between are stray.
    static let silence = TimeSpan.seconds(1)
    /// Bytes that are held back at most; where more comes, the beginning is given up.
    static let maximumHeld = 2 << 20
    /// So many others are told of.
    static let maximumTold = 3

    let described: UInt8
    private let codec: CodecKind
    /// The description says one payload type only, so that another can mean nothing else.
    private let mayAdopt: Bool
    private var lastTaken: Instant?
    private(set) var adopted: UInt8?
    private var candidate = Candidate()
    private var told: Set<UInt8> = []

    private struct Candidate {
        var type: UInt8?
        var count = 0
        var held: [[UInt8]] = []
        var bytes = 0
    }

    init(described: UInt8, codec: CodecKind, mayAdopt: Bool) {
        self.described = described
        self.codec = codec
        self.mayAdopt = mayAdopt
    }

    /// - Parameter packet: RTP, of 12 bytes at least.
    mutating func take(_ packet: [UInt8], at now: Instant) -> Verdict {
        let type = packet[1] & 0x7f
        if type == described { adopted = nil }
        if type == described || type == adopted {
            lastTaken = now
            if candidate.type != nil { candidate = Candidate() }
            return .take
        }
        let isSilent = lastTaken.map { now.span(since: $0) >= Self.silence } ?? true
        // A static payload type means what it always does: often another codec, or comfort noise in a pause of the sound.
        guard mayAdopt, Self.fits(packet, codec), type >= Self.firstDynamic || Codec.statically(type).map({ CodecKind(encodingName: $0.name) }) == codec
        else {
            candidate = Candidate()
            return isSilent && told.count < Self.maximumTold && told.insert(type).inserted ? .unknown(type) : .drop
        }
        hold(packet, type)
        guard isSilent, candidate.count >= Self.needed else { return .drop }
        defer { candidate = Candidate() }
        (adopted, lastTaken) = (type, now)
        return .adopted(candidate.held)
    }

    /// RFC 3551 §6.
    private static let firstDynamic: UInt8 = 96

    private mutating func hold(_ packet: [UInt8], _ type: UInt8) {
        if candidate.type != type { candidate = Candidate(type: type) }
        candidate.count += 1
        candidate.bytes += packet.count
        if candidate.bytes > Self.maximumHeld { (candidate.held, candidate.bytes) = ([], packet.count) }
        candidate.held.append(packet)
    }

    /// Whether a packet's payload can be one of the codec.
    static func fits(_ packet: [UInt8], _ codec: CodecKind) -> Bool {
        packet.withUnsafeBytes { bytes in
            guard let view = RTPView(bytes), !view.payload.isEmpty else { return false }
            let payload = view.payload
            switch codec {
            case .h264:
                let type = payload[0] & 0x1f
                guard payload[0] & 0x80 == 0, payload.count > 1 else { return false }
                return (1...24).contains(type) || type == 28 && (1...23).contains(payload[1] & 0x1f)
            case .h265:
                guard payload.count > 2, payload[0] & 0x80 == 0, payload[1] & 7 != 0 else { return false }
                return payload[0] >> 1 & 0x3f <= 49
            case .aac:
                // The AU headers of one packet; their length in bits comes first (RFC 3640 §3.2.1).
                guard payload.count > 4 else { return false }
                let bits = Int(payload[0]) << 8 | Int(payload[1])
                return bits > 0 && bits / 8 < payload.count - 2
            case .pcmu, .pcma, .g722, .opus, .vp8, .vp9, .av1: return true
            case .other: return false
            }
        }
    }
}
