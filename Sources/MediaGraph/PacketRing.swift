// SPDX-License-Identifier: Apache-2.0
// The one store of an uplink track's packets: fan-out reads from it, every player's NACK is answered from it,
// and a joiner starts from the newest key frame in it. Owned by UplinkTrack, used on its reactor only.
import Primitives
import RTP

/// What is known of one stored packet. Trivial, so that it can be read without retain or copy.
@frozen public struct PacketSlot {
    /// Unwrapped sequence number of the source; 0 = never used.
    public var sequence: Int64 = 0
    /// Position in the byte slab since its beginning (not modulo).
    var position: UInt64 = 0
    /// On the reactor's clock.
    public var arrival = Instant.zero
    public var timestamp: UInt32 = 0
    public var headerLength: UInt16 = 0
    public var payloadLength: UInt16 = 0
    /// Source padding of the packet, removed from `payloadLength`.
    public var paddingLength: UInt8 = 0
    public var marker = false
    /// First packet of a key frame.
    public var startsKeyFrame = false
    /// Made here, of kept parameter sets: the source sent no such packet.
    public var isMade = false
    /// Values of header extensions that travel on to players; 0xff = absent.
    public var audioLevel: UInt8 = 0xff
    public var orientation: UInt8 = 0xff
    public var playoutDelay: UInt32 = .max

    @inlinable public init() {}
    @inlinable public var length: Int { Int(headerLength) + Int(payloadLength) + Int(paddingLength) }
}

/// A bounded ring of packets: a table of slots indexed by sequence number and a circular slab of bytes.
///
/// Both parts start small and double until the newest group of pictures fits or `maximumBytes` is reached,
/// so an audio track costs tens of kilobytes and a long video GOP a few megabytes. Nothing is there before the first packet: a source
/// that never sends costs nothing. Not thread-safe.
public final class PacketRing {
    /// A packet further than this from the newest one is refused (a restarted or hostile source).
    public static let maximumSlots = 8192
    public static let maximumPacketLength = 1600

    private(set) var slots: UnsafeMutablePointer<PacketSlot>
    private(set) var slotMask: Int64
    private(set) var slab: UnsafeMutableRawPointer
    private(set) var slabCapacity: UInt64
    private let maximumBytes: UInt64
    /// Asked for what the ring grows by beyond its first size; when it says no, the newest group of pictures isn't kept whole.
    public var allowance: MemoryAccount?
    private static let firstSlots = 512
    private var head: UInt64 = 0

    /// Unwrapped sequence number of the newest packet; 0 when empty.
    public private(set) var newest: Int64 = 0
    /// First packet of the newest key frame; 0 when none was seen or it has left the ring.
    public private(set) var keyFrameStart: Int64 = 0
    private var keyFrameTimestamp: UInt32 = 0
    /// The key frame before it, for when the newest turns out to be none.
    private var previousKeyFrame: (start: Int64, timestamp: UInt32) = (0, 0)
    /// First packet of the newest key frame that nothing after it looks behind (IDR); 0 when none was seen.
    private var instantStart: Int64 = 0

    /// - Parameters:
    ///   - initialBytes: slab size to start with, a power of two.
    ///   - maximumBytes: bound of the slab; the ring grows only to keep the newest group of pictures.
    public init(initialBytes: Int, maximumBytes: Int) {
        precondition(initialBytes > 0 && initialBytes & (initialBytes - 1) == 0, "the slab's size must be a power of two")
        slabCapacity = UInt64(initialBytes)
        self.maximumBytes = UInt64(maximumBytes)
        // One slot in which nothing ever is, until the first packet.
        slab = .allocate(byteCount: 1, alignment: 64)
        slots = .allocate(capacity: 1)
        slots.initialize(to: PacketSlot())
        slotMask = 0
    }

    @inline(never)
    private func begin() {
        slab.deallocate()
        slots.deallocate()
        slab = .allocate(byteCount: Int(slabCapacity), alignment: 64)
        slots = .allocate(capacity: Self.firstSlots)
        slots.initialize(repeating: PacketSlot(), count: Self.firstSlots)
        slotMask = Int64(Self.firstSlots - 1)
    }

    deinit {
        slab.deallocate()
        slots.deallocate()
    }

    /// Memory held, in bytes.
    public var memory: Int { slotMask == 0 ? 0 : Int(slabCapacity) + Int(slotMask + 1) * MemoryLayout<PacketSlot>.stride }

    /// The slot of `sequence` when that packet is still here.
    @inline(__always)
    public func slot(_ sequence: Int64) -> UnsafePointer<PacketSlot>? {
        let slot = slots + Int(sequence & slotMask)
        guard sequence > 0, slot.pointee.sequence == sequence, head &- slot.pointee.position <= slabCapacity else { return nil }
        return UnsafePointer(slot)
    }

    /// The whole packet as received: header, payload, padding. Valid until the next `append`.
    @inline(__always)
    public func bytes(of slot: UnsafePointer<PacketSlot>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: slab + Int(slot.pointee.position & (slabCapacity - 1)), count: slot.pointee.length)
    }

    @inline(__always)
    public func payload(of slot: UnsafePointer<PacketSlot>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: slab + Int(slot.pointee.position & (slabCapacity - 1)) + Int(slot.pointee.headerLength),
            count: Int(slot.pointee.payloadLength))
    }

    /// Stores a packet. `false` when it is a duplicate, too old or too long: nothing was stored.
    ///
    /// `description` carries everything but the position, which the ring chooses.
    @inline(__always)
    public func append(_ packet: UnsafeRawBufferPointer, _ description: PacketSlot) -> Bool {
        let sequence = description.sequence
        let length = UInt64(packet.count)
        guard sequence > 0, packet.count <= Self.maximumPacketLength else { return false }
        if slotMask == 0 { begin() }
        if newest != 0, sequence <= newest - (slotMask + 1) / 2 || slots[Int(sequence & slotMask)].sequence == sequence {
            return false
        }
        if needsRoom(for: length, at: sequence) { grow(for: length, at: sequence) }

        var position = head
        let offset = position & (slabCapacity - 1)
        if offset + length > slabCapacity { position += slabCapacity - offset }
        (slab + Int(position & (slabCapacity - 1))).copyMemory(from: packet.baseAddress!, byteCount: packet.count)
        head = position + length

        let slot = slots + Int(sequence & slotMask)
        slot.pointee = description
        slot.pointee.position = position
        if sequence > newest { newest = sequence }

        if description.startsKeyFrame {
            // Parameter sets and the picture itself may both look like a start: the first packet of the timestamp counts.
            let sameFrame = keyFrameStart != 0 && keyFrameTimestamp == description.timestamp
            if !sameFrame ? sequence > keyFrameStart : sequence < keyFrameStart {
                if !sameFrame { previousKeyFrame = (keyFrameStart, keyFrameTimestamp) }
                keyFrameStart = sequence
                keyFrameTimestamp = description.timestamp
            }
        }
        return true
    }

    /// The newest key frame's first packet if it is still here.
    public var joinPoint: UnsafePointer<PacketSlot>? { keyFrameStart == 0 ? nil : slot(keyFrameStart) }

    /// The same of the newest IDR picture.
    public var instantPoint: UnsafePointer<PacketSlot>? { instantStart == 0 ? nil : slot(instantStart) }

    /// The newest key frame, if it has this timestamp, is one that nothing after it looks behind.
    @inline(__always)
    func noteInstant(_ timestamp: UInt32) {
        if keyFrameStart != 0, keyFrameTimestamp == timestamp { instantStart = keyFrameStart }
    }

    /// What looked like the start of a key frame, at this timestamp, was none.
    func retractKeyFrame(_ timestamp: UInt32) {
        guard keyFrameStart != 0, keyFrameTimestamp == timestamp else { return }
        for sequence in keyFrameStart...max(keyFrameStart, newest) {
            let slot = slots + Int(sequence & slotMask)
            if slot.pointee.sequence == sequence, slot.pointee.timestamp == timestamp { slot.pointee.startsKeyFrame = false }
        }
        (keyFrameStart, keyFrameTimestamp) = previousKeyFrame
        if slot(keyFrameStart) == nil { keyFrameStart = 0 }
    }

    // MARK: growth

    @inline(__always)
    private func needsRoom(for length: UInt64, at sequence: Int64) -> Bool {
        guard keyFrameStart != 0 else { return false }
        let first = slots + Int(keyFrameStart & slotMask)
        // The packet about to be written would push out the start of the newest group of pictures.
        return first.pointee.sequence == keyFrameStart
            && (head &+ length &+ UInt64(Self.maximumPacketLength) &- first.pointee.position > slabCapacity
                || sequence - keyFrameStart > slotMask)
    }

    @inline(never)
    private func grow(for length: UInt64, at sequence: Int64) {
        let first = slots[Int(keyFrameStart & slotMask)]
        guard head - first.position <= slabCapacity else { return keyFrameStart = 0 }
        let slotsFull = sequence - keyFrameStart > slotMask
        if slotsFull, slotMask + 1 >= Int64(Self.maximumSlots) || sequence - keyFrameStart > slotMask * 2 {
            return keyFrameStart = 0
        }
        if !slotsFull, slabCapacity * 2 > maximumBytes { return keyFrameStart = 0 }
        // Both are bounded by a few megabytes.
        let growth = slotsFull ? Int(slotMask + 1) * MemoryLayout<PacketSlot>.stride : Int(slabCapacity)
        if let allowance, allowance.take(growth) != nil { return keyFrameStart = 0 }

        let oldSlots = slots, oldMask = slotMask, oldSlab = slab, oldCapacity = slabCapacity
        if slotsFull { slotMask = slotMask * 2 + 1 } else { slabCapacity *= 2 }
        slots = .allocate(capacity: Int(slotMask + 1))
        slots.initialize(repeating: PacketSlot(), count: Int(slotMask + 1))
        if !slotsFull { slab = .allocate(byteCount: Int(slabCapacity), alignment: 64) }

        let oldHead = head
        if !slotsFull { head = 0 }
        for sequence in max(1, newest - oldMask)...max(1, newest) {
            var slot = oldSlots[Int(sequence & oldMask)]
            guard slot.sequence == sequence else { continue }
            if !slotsFull, oldHead &- slot.position > oldCapacity {
                // Its bytes are gone, but the number stays taken: stored again it would be sent again, under the same SRTP index.
                slot.position = 0 &- (slabCapacity &+ 1)
            } else if !slotsFull {
                let offset = head & (slabCapacity - 1)
                if offset + UInt64(slot.length) > slabCapacity { head += slabCapacity - offset }
                (slab + Int(head & (slabCapacity - 1))).copyMemory(
                    from: oldSlab + Int(slot.position & (oldCapacity - 1)), byteCount: slot.length)
                slot.position = head
                head += UInt64(slot.length)
            }
            slots[Int(sequence & slotMask)] = slot
        }
        oldSlots.deallocate()
        if !slotsFull { oldSlab.deallocate() }
    }
}
