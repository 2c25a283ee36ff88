// SPDX-License-Identifier: Apache-2.0
// One track on its way to one player: how sequence numbers, timestamps, payload type and extensions are rewritten,
// and the key it is encrypted with. A plain struct behind a pointer: the fan-out loop touches nothing that is counted.
import Primitives
import RTP
import SDP
import SRTP

/// The mapping of one uplink track to one player (RFC 3550 §5.1 header fields, RFC 8285 extensions, RFC 4588 RTX).
///
/// Trivial on purpose (design: no ARC on the packet path). Allocated by `UplinkTrack.addSink`, freed by `removeSink`;
/// only used on the stream's reactor.
public struct DownlinkTrack {
    /// Everything the negotiation decides about a downlink.
    public struct Parameters: Sendable {
        public var ssrc: UInt32
        public var payloadType: UInt8
        public var rtxSSRC: UInt32?
        public var rtxPayloadType: UInt8?
        /// Extension ids on the player's wire; 0 = not negotiated.
        public var midID: UInt8 = 0
        public var audioLevelID: UInt8 = 0
        public var orientationID: UInt8 = 0
        public var playoutDelayID: UInt8 = 0
        public var transportSequenceID: UInt8 = 0
        public var mid: String = ""

        public init(ssrc: UInt32, payloadType: UInt8) {
            self.ssrc = ssrc
            self.payloadType = payloadType
        }
    }

    var sender: SRTPSender
    var destination: Destination
    let ssrc: UInt32
    private(set) var payloadType: UInt8
    private(set) var rtxPayloadType: UInt8
    private(set) var rtxSSRC: UInt32
    private let agreedRTXSSRC: UInt32
    let midID: UInt8, audioLevelID: UInt8, orientationID: UInt8, playoutDelayID: UInt8, transportSequenceID: UInt8
    /// Of the transport, shared with its other tracks: packets are numbered across all of them.
    private let history: UnsafeMutablePointer<SendHistory>
    private let midLength: UInt8
    private let mid: (UInt64, UInt64)
    private var sendsMID: Bool
    /// A retransmission without RTX reuses the packet's SRTP index, so it must be the same packet to the bit: a second
    /// plaintext or header under one index would give AES-GCM's authentication key away. Then nothing may vary over time.
    @inline(__always) var isFixed: Bool { rtxSSRC == 0 && transportSequenceID == 0 }
    /// Packets carry a transport-wide number, which no two share, and there is no RTX: nothing can be sent twice.
    var isUnrepeatable: Bool { rtxSSRC == 0 && transportSequenceID != 0 }

    /// False until the player's transport is up.
    var isOpen = false
    /// Was open and will be again: see `suspend`.
    private(set) var isSuspended = false
    /// False until the first packet went out: video starts at a key frame only.
    public internal(set) var isStarted = false
    /// First source sequence number this player gets; older ones are none of its business.
    var firstSequence: Int64 = 0
    /// First source sequence number that the shared fan-out leaves to the pacer; `.max` while the player is not behind.
    var cursor: Int64 = .max
    /// Source sequence minus outgoing sequence. Changed by `goOn` alone, never otherwise.
    private(set) var sequenceBase: Int64 = 0
    /// The highest outgoing sequence number (SRTP index) used so far. It only grows, and every mapping begins above it: so whatever happens
    /// to the source, the line or the player, no index is used for two packets, which would give the keys away (RFC 7714 §8.1).
    private(set) var newestIndex: Int64
    /// Packets of the cached group of pictures get timestamps squeezed together just before the live edge,
    /// so that the player shows the present at once instead of replaying the past: t' = edge − (edge − t) / divisor.
    private var catchUpEnd: Int64 = 0
    private var catchUpEdge: UInt32 = 0
    private var catchUpDivisor: UInt32 = 1
    private var rtxSequence: Int64

    public internal(set) var packets: UInt64 = 0
    public internal(set) var bytes: UInt64 = 0
    public internal(set) var frames: UInt64 = 0
    public internal(set) var keyFrames: UInt64 = 0
    public internal(set) var retransmitted: UInt64 = 0
    /// Retransmission requests for packets no longer in the ring.
    public internal(set) var missedRetransmissions: UInt64 = 0
    /// Retransmission requests that were not answered though the packet is here.
    public internal(set) var refusedRetransmissions: UInt64 = 0
    /// Frames left out because the line was too thin for them.
    public internal(set) var droppedFrames: UInt64 = 0
    private var lastTimestamp: UInt32 = 0
    /// Added to the source's timestamps, so that those of a track that replaces another go on where they were.
    private(set) var timestampShift: UInt32 = 0
    /// Set while it waits for the first packet of such a track: when the last one of the old track came, and the new clock rate, Hz.
    private var changedSince = Instant.zero
    private var changedClockRate: UInt32 = 0

    init(
        _ parameters: Parameters, sender: SRTPSender, destination: Destination,
        history: UnsafeMutablePointer<SendHistory>, random: inout RandomSource
    ) {
        self.history = history
        self.sender = sender
        self.destination = destination
        ssrc = parameters.ssrc
        payloadType = parameters.payloadType
        rtxPayloadType = parameters.rtxPayloadType ?? 0
        rtxSSRC = parameters.rtxPayloadType == nil ? 0 : parameters.rtxSSRC ?? 0
        agreedRTXSSRC = parameters.rtxSSRC ?? 0
        midID = parameters.midID
        audioLevelID = parameters.audioLevelID
        orientationID = parameters.orientationID
        playoutDelayID = parameters.playoutDelayID
        transportSequenceID = parameters.transportSequenceID
        let midBytes = Array(parameters.mid.utf8.prefix(16))
        midLength = UInt8(midBytes.count)
        var storage: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &storage) { $0.copyBytes(from: midBytes) }
        mid = storage
        sendsMID = parameters.midID != 0 && !midBytes.isEmpty
        rtxSequence = Int64.random(in: 1...0x6fff, using: &random)
        // The first is below 2^15, so that a receiver's first guess of the rollover counter is right (RFC 3711 §3.3.1).
        newestIndex = Int64.random(in: 0...0x6ffe, using: &random)
    }

    /// The player knows the SSRC: from now on the MID may be left out (as libwebrtc does).
    mutating func noteReport() { if !isFixed { sendsMID = false } }

    /// Longest header this writes: fixed part, extension header, transport sequence, MID, audio level, orientation, playout delay.
    static let maximumHeader = 12 + 4 + 4 + 20 + 3 + 3 + 5 + 4

    /// Lets the player start at source packet `slot`.
    @inline(__always)
    mutating func start(at slot: UnsafePointer<PacketSlot>) {
        isStarted = true
        goOn(at: slot.pointee.sequence, after: newestIndex)
        if changedClockRate != 0 { continueTimestamps(at: slot) }
    }

    /// Maps source packet `first` to the number after `index`, or after the highest one used where that is higher. What came before `first`
    /// is over.
    private mutating func goOn(at first: Int64, after index: Int64) {
        newestIndex = max(newestIndex, index)
        sequenceBase = first - (newestIndex + 1)
        firstSequence = first
    }

    /// From now on packets come from another track, in the codec `agreed`. To be called while it is suspended.
    ///
    /// - Parameters:
    ///   - clockRate: of the new track, Hz.
    ///   - since: when the old track's last packet arrived.
    mutating func change(to agreed: AgreedCodec, clockRate: UInt32, since: Instant) {
        payloadType = agreed.codec.payloadType
        rtxPayloadType = agreed.rtx ?? 0
        // Without retransmissions of its own the codec's packets are repeated as they are, or not at all: see `isUnrepeatable`.
        rtxSSRC = agreed.rtx == nil ? 0 : agreedRTXSSRC
        catchUpEnd = 0
        if packets > 0 {
            changedSince = since
            changedClockRate = max(1, clockRate)
        }
    }

    /// The new track's timestamps begin where the old one's would be by now.
    private mutating func continueTimestamps(at slot: UnsafePointer<PacketSlot>) {
        let elapsed = min(max(.zero, slot.pointee.arrival.span(since: changedSince)), Self.longestPause)
        let ticks = max(1, elapsed.ticks(clockRate: Int(changedClockRate)))
        timestampShift = lastTimestamp &+ timestampShift &+ UInt32(truncatingIfNeeded: ticks) &- slot.pointee.timestamp
        changedClockRate = 0
    }

    private static let longestPause = TimeSpan.seconds(3600)

    /// Goes on at source packet `first` as if nothing had come between it and `last`, the newest one sent: the player's sequence
    /// numbers stay without a gap, as in discontinuous transmission. What came before `first` is over.
    ///
    /// - Returns: the first packet to be sent: later than `first` where the pacer has sent that already.
    mutating func skip(from last: Int64, to first: Int64) -> Int64 {
        guard isStarted else { return first }
        let first = max(first, newestIndex + sequenceBase + 1)
        goOn(at: first, after: last - sequenceBase)
        if cursor != .max { cursor = max(cursor, first) }
        return first
    }

    /// Sends nothing until `resume`; what comes then follows without a gap in the sequence numbers. What was sent before can
    /// no longer be asked for.
    ///
    /// - Parameter newest: the source's newest packet that was for this player: where one before it is missing, the gap stays to be seen.
    mutating func suspend(newest: Int64) {
        guard isOpen else { return }
        isOpen = false
        isSuspended = true
        if isStarted { newestIndex = max(newestIndex, newest - sequenceBase) }
        isStarted = false
    }

    mutating func resume() {
        isSuspended = false
        isOpen = true
    }

    /// Leaves everything from `cursor` up to the key frame at `slot` out; to the player no packet is missing. What lies before
    /// is not sent any more, not even when asked for: its numbers are not the same any more.
    mutating func skip(to slot: UnsafePointer<PacketSlot>, frames: UInt64) {
        goOn(at: slot.pointee.sequence, after: cursor - 1 - sequenceBase)
        cursor = slot.pointee.sequence
        droppedFrames &+= frames
    }

    /// Squeezes the timestamps of everything up to `end` (source sequence) to at most `span` ticks before `edge`.
    mutating func squeeze(from start: UInt32, edge: UInt32, end: Int64, span: UInt32) {
        let distance = edge &- start
        guard distance < 1 << 31, distance > span else { return }
        catchUpEnd = end
        catchUpEdge = edge
        catchUpDivisor = (distance + span - 1) / span
    }

    @inline(__always)
    private func outgoingTimestamp(_ slot: UnsafePointer<PacketSlot>) -> UInt32 {
        let timestamp = slot.pointee.timestamp
        guard slot.pointee.sequence <= catchUpEnd else { return timestamp &+ timestampShift }
        let behind = Int32(bitPattern: catchUpEdge &- timestamp)
        return (behind <= 0 ? timestamp : catchUpEdge &- UInt32(behind) / catchUpDivisor) &+ timestampShift
    }

    /// Writes the player's header for `slot` to `header`; returns its length.
    @inline(__always)
    private func writeHeader(
        _ slot: UnsafePointer<PacketSlot>, payloadType: UInt8, ssrc: UInt32, sequence: UInt16, hasPadding: Bool,
        into header: UnsafeMutableRawPointer
    ) -> Int {
        let timestamp = outgoingTimestamp(slot)
        header.storeBytes(of: (hasPadding ? 0xa0 : 0x80) as UInt8, as: UInt8.self)
        header.storeBytes(of: payloadType | (slot.pointee.marker ? 0x80 : 0), toByteOffset: 1, as: UInt8.self)
        header.storeBytes(of: sequence.bigEndian, toByteOffset: 2, as: UInt16.self)
        header.storeBytes(of: timestamp.bigEndian, toByteOffset: 4, as: UInt32.self)
        header.storeBytes(of: ssrc.bigEndian, toByteOffset: 8, as: UInt32.self)

        // One-byte header extensions (RFC 8285 §4.2); ids above 14 are never negotiated by our answers.
        var end = 16
        if transportSequenceID != 0 {
            // With the zero that ends the word when nothing follows.
            let element = UInt32(transportSequenceID << 4 | 1) << 24 | UInt32(UInt16(truncatingIfNeeded: history.pointee.next)) << 8
            header.storeBytes(of: element.bigEndian, toByteOffset: end, as: UInt32.self)
            end += 3
        }
        if sendsMID {
            header.storeBytes(of: midID << 4 | (midLength - 1), toByteOffset: end, as: UInt8.self)
            withUnsafeBytes(of: mid) { (header + end + 1).copyMemory(from: $0.baseAddress!, byteCount: Int(midLength)) }
            end += 1 + Int(midLength)
        }
        if audioLevelID != 0, slot.pointee.audioLevel != 0xff {
            header.storeBytes(of: audioLevelID << 4, toByteOffset: end, as: UInt8.self)
            header.storeBytes(of: slot.pointee.audioLevel, toByteOffset: end + 1, as: UInt8.self)
            end += 2
        }
        if orientationID != 0, slot.pointee.orientation != 0xff {
            header.storeBytes(of: orientationID << 4, toByteOffset: end, as: UInt8.self)
            header.storeBytes(of: slot.pointee.orientation, toByteOffset: end + 1, as: UInt8.self)
            end += 2
        }
        if playoutDelayID != 0, slot.pointee.playoutDelay != .max {
            header.storeBytes(of: playoutDelayID << 4 | 2, toByteOffset: end, as: UInt8.self)
            header.storeBytes(of: UInt8(truncatingIfNeeded: slot.pointee.playoutDelay >> 16), toByteOffset: end + 1, as: UInt8.self)
            header.storeBytes(of: UInt8(truncatingIfNeeded: slot.pointee.playoutDelay >> 8), toByteOffset: end + 2, as: UInt8.self)
            header.storeBytes(of: UInt8(truncatingIfNeeded: slot.pointee.playoutDelay), toByteOffset: end + 3, as: UInt8.self)
            end += 4
        }
        if end == 16 { return 12 }
        while end & 3 != 0 {
            header.storeBytes(of: 0, toByteOffset: end, as: UInt8.self)
            end += 1
        }
        header.storeBytes(of: (hasPadding ? 0xb0 : 0x90) as UInt8, as: UInt8.self)
        header.storeBytes(of: (0xbede as UInt16).bigEndian, toByteOffset: 12, as: UInt16.self)
        header.storeBytes(of: UInt16((end - 16) / 4).bigEndian, toByteOffset: 14, as: UInt16.self)
        return end
    }

    /// Encrypts one packet for this player into the arena. `padding` evens out lengths for UDP_SEGMENT.
    @inline(__always)
    mutating func send(
        _ slot: UnsafePointer<PacketSlot>, payload: UnsafeRawBufferPointer, padding: UInt8, arena: SendArena, at now: Instant
    ) {
        let scratch = arena.scratch
        let sequence = slot.pointee.sequence &- sequenceBase
        let headerLength = writeHeader(
            slot, payloadType: payloadType, ssrc: ssrc, sequence: UInt16(truncatingIfNeeded: sequence),
            hasPadding: padding > 0, into: scratch)
        let output = arena.reserve(headerLength + payload.count + Int(padding) + 32)
        let written = sender.protectRTP(
            header: UnsafeRawBufferPointer(start: scratch, count: headerLength), payload: payload, paddingLength: padding,
            ssrc: ssrc, index: UInt64(bitPattern: sequence), into: output)
        guard written > 0 else { return }
        if sequence > newestIndex { newestIndex = sequence }
        arena.commit(written, to: destination)
        history.pointee.note(written, isNumbered: transportSequenceID != 0, at: now)
        packets &+= 1
        bytes &+= UInt64(payload.count)
        if slot.pointee.marker { frames &+= 1 }
        // Parameter sets and the picture behind them both look like a start.
        if slot.pointee.startsKeyFrame, slot.pointee.timestamp != lastTimestamp { keyFrames &+= 1 }
        lastTimestamp = slot.pointee.timestamp
    }

    /// Source sequence number of what the player calls `sequence`: the nearest to the newest packet sent.
    func sourceSequence(of sequence: UInt16, newest: Int64) -> Int64 {
        let outgoing = newest - sequenceBase
        let delta = Int64(Int16(bitPattern: sequence &- UInt16(truncatingIfNeeded: outgoing)))
        return outgoing + delta + sequenceBase
    }

    /// Answers a NACK: as RTX (RFC 4588) when negotiated, else the same packet again.
    mutating func retransmit(
        _ slot: UnsafePointer<PacketSlot>, payload: UnsafeRawBufferPointer, arena: SendArena, at now: Instant
    ) {
        retransmitted &+= 1
        guard rtxSSRC != 0 else {
            return send(slot, payload: payload, padding: payload.count == 0 ? 1 : 0, arena: arena, at: now)
        }
        let scratch = arena.scratch
        let original = UInt16(truncatingIfNeeded: slot.pointee.sequence &- sequenceBase)
        rtxSequence += 1
        let headerLength = writeHeader(
            slot, payloadType: rtxPayloadType, ssrc: rtxSSRC, sequence: UInt16(truncatingIfNeeded: rtxSequence),
            hasPadding: false, into: scratch)
        // The original sequence number goes in front of the payload; build it behind the header in the scratch area.
        let body = scratch + Self.maximumHeader
        body.storeBytes(of: original.bigEndian, as: UInt16.self)
        if let source = payload.baseAddress { (body + 2).copyMemory(from: source, byteCount: payload.count) }
        let output = arena.reserve(headerLength + payload.count + 2 + 32)
        let written = sender.protectRTP(
            header: UnsafeRawBufferPointer(start: scratch, count: headerLength),
            payload: UnsafeRawBufferPointer(start: body, count: payload.count + 2), paddingLength: 0,
            ssrc: rtxSSRC, index: UInt64(bitPattern: rtxSequence), into: output)
        guard written > 0 else { return }
        arena.commit(written, to: destination)
        history.pointee.note(written, isNumbered: transportSequenceID != 0, at: now)
    }
}
