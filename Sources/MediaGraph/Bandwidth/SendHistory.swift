// SPDX-License-Identifier: Apache-2.0
// When each packet left for one player, and how long it was: what transport-wide feedback is matched with.
// One per transport of a player, shared by its audio, video and retransmissions; written on the packet path.
import Primitives
import RTP

/// Counter of the transport-wide sequence number and a fixed ring of the newest packets' send times and lengths.
///
/// A plain struct behind a pointer, like `DownlinkTrack`. 3 KiB where transport-cc is negotiated, nothing otherwise.
struct SendHistory {
    /// Packets remembered: half a second at 10 Mbit/s, more than a feedback lags behind.
    static let capacity = 512
    /// Set in a length: the feedback has spoken of this packet.
    private static let isReceived: UInt16 = 0x8000
    private static let isLost: UInt16 = 0x4000
    private static let lengthMask: UInt16 = 0x3fff

    /// The number the next packet gets; its low 16 bits are on the wire.
    private(set) var next: Int64 = 1
    /// Bytes handed to the network, SRTP included, IP and UDP not.
    private(set) var bytes: UInt64 = 0
    /// Units of 1024 ns, so that 32 bits last for 73 minutes.
    private let times: UnsafeMutablePointer<UInt32>?
    private let lengths: UnsafeMutablePointer<UInt16>?

    /// What became of a packet, as told for the first time or otherwise than before.
    enum Fate {
        case received(sentAt: Instant, length: Int, wasLost: Bool)
        case lost(length: Int)
        /// Told before, or too long ago to know.
        case known
    }

    /// - Parameter remembers: transport-cc is in use; without it only bytes are counted.
    init(remembers: Bool) {
        guard remembers else {
            times = nil
            lengths = nil
            return
        }
        times = .allocate(capacity: Self.capacity)
        lengths = .allocate(capacity: Self.capacity)
        times?.initialize(repeating: 0, count: Self.capacity)
        lengths?.initialize(repeating: Self.isReceived, count: Self.capacity)
    }

    func destroy() {
        times?.deallocate()
        lengths?.deallocate()
    }

    /// Notes a packet that carries `next`, or, when `isNumbered` is false, one without a number.
    @inline(__always)
    mutating func note(_ length: Int, isNumbered: Bool, at now: Instant) {
        bytes &+= UInt64(truncatingIfNeeded: length)
        guard isNumbered, let times, let lengths else { return }
        let slot = Int(truncatingIfNeeded: next) & (Self.capacity - 1)
        times[slot] = UInt32(truncatingIfNeeded: now.nanoseconds >> 10)
        lengths[slot] = UInt16(truncatingIfNeeded: length) & Self.lengthMask
        next &+= 1
    }

    /// The full number of what the wire calls `sequence`: the nearest below `next`.
    @inline(__always)
    func number(of sequence: UInt16) -> Int64 {
        let newest = next - 1
        return newest - Int64(UInt16(truncatingIfNeeded: newest) &- sequence)
    }

    /// Takes what a feedback says of one packet.
    @inline(__always)
    mutating func settle(_ number: Int64, isReceived: Bool, at now: Instant) -> Fate {
        guard let times, let lengths, number > 0, number < next, next - number <= Int64(Self.capacity) else { return .known }
        let slot = Int(truncatingIfNeeded: number) & (Self.capacity - 1)
        let entry = lengths[slot]
        guard entry & Self.isReceived == 0 else { return .known }
        let length = Int(entry & Self.lengthMask)
        if isReceived {
            lengths[slot] = entry | Self.isReceived
            let ago = UInt32(truncatingIfNeeded: now.nanoseconds >> 10) &- times[slot]
            return .received(sentAt: now - .nanoseconds(Int64(ago) << 10), length: length, wasLost: entry & Self.isLost != 0)
        }
        guard entry & Self.isLost == 0 else { return .known }
        lengths[slot] = entry | Self.isLost
        return .lost(length: length)
    }
}

extension CongestionController {
    /// Takes one feedback: matches it with what was sent and updates the estimate. Feedback is data of a stranger: numbers
    /// that were never sent, or have been settled, change nothing.
    mutating func receive(_ feedback: TransportFeedbackView, history: inout SendHistory, at now: Instant) {
        // Reference times are 24 bits of 64 ms; an arrival is told on a line that goes on when they wrap, after twelve days.
        let origin = unwrap(reference: feedback.referenceTime) &* 256 - Int64(feedback.referenceTime) &* 256
        let first = history.number(of: feedback.base)
        var offset: Int64 = 0
        feedback.forEach { _, arrival in
            switch history.settle(first + offset, isReceived: arrival != nil, at: now) {
            case .received(let sentAt, let length, let wasLost):
                receive(sentAt: sentAt, arrival: .microseconds(250) * (origin + (arrival ?? 0)), length: length, wasLost: wasLost)
            case .lost: lose()
            case .known: break
            }
            offset += 1
        }
        finish(at: now)
    }
}
