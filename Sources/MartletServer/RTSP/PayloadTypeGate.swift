// Which packets of a camera's track are media: by the payload type that its description says, or by the one that it sends instead.
// A value; one for each track of a connection, owned by RTSPInlet.
import RTP

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
    /// So many others are told of.
    static let maximumTold = 3

    let described: UInt8
    private let codec: CodecKind
    /// The description says one payload type only, so that another can mean nothing else.
    private let mayAdopt: Bool
    private var hasSeenDescribed = false
    private(set) var adopted: UInt8?
    private var candidate: UInt8?
    private var held: [[UInt8]] = []
    private var told: Set<UInt8> = []

    init(described: UInt8, codec: CodecKind, mayAdopt: Bool) {
        self.described = described
        self.codec = codec
        self.mayAdopt = mayAdopt
    }

    /// - Parameter packet: RTP, of 12 bytes at least.
    mutating func take(_ packet: [UInt8]) -> Verdict {
        let type = packet[1] & 0x7f
        if type == described {
            hasSeenDescribed = true
            (adopted, candidate, held) = (nil, nil, [])
            return .take
        }
        if type == adopted { return .take }
        // Stray packets of another kind between those that were described.
        guard !hasSeenDescribed, adopted == nil else { return .drop }
        guard mayAdopt, Self.fits(packet, codec) else {
            (candidate, held) = (nil, [])
            return told.count < Self.maximumTold && told.insert(type).inserted ? .unknown(type) : .drop
        }
        if candidate != type { (candidate, held) = (type, []) }
        held.append(packet)
        guard held.count >= Self.needed else { return .drop }
        defer { held = [] }
        adopted = type
        return .adopted(held)
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
