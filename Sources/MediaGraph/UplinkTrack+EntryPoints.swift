// SPDX-License-Identifier: Apache-2.0
// Where decoding can begin in an H.264 or H.265 track. An entry point that comes without parameter sets gets the newest that are known
// in front, as a packet of the ring: players, taps, snapshots and mirrors all find it there. On the stream's reactor.
import Primitives
import RTP
import SDP

extension UplinkTrack {
    /// Looks at a packet that says more than that a picture goes on. Called before the packet is stored; sets the slot's marks and, where a
    /// packet is put in front of it, its number.
    /// - Parameter isNewest: no packet with a higher number has come before.
    /// - Returns: true when an entry point is found with this packet.
    @inline(never)
    func note(
        _ units: VideoUnits, _ view: RTPView, sequence: Int64, isNewest: Bool, slot: inout PacketSlot, into arena: SendArena, at now: Instant
    ) -> Bool {
        let timestamp = slot.timestamp
        if !entries.isCurrent(timestamp) {
            guard isNewest else { return noteLate(units, view, slot: &slot) }
            if entries.begin(timestamp, at: now) { format.beginsWithoutIDR = true }
            if entries.order.isReordered, !entries.excludesReordering, !format.isReordered { markReordered() }
        }
        slot.marker = entries.isEnd(units, marker: view.marker)
        entries.seen.formUnion(units)
        if !units.isDisjoint(with: .sets) { takeSets(view.payload, timestamp) }

        let isEntry = entries.isEntry(entries.seen)
        slot.startsKeyFrame = !units.isDisjoint(with: [.sequenceSet, .videoSet]) || (isEntry && !units.isDisjoint(with: .sets))
        guard isEntry else {
            // Sets alone make no entry point: some sources put them in front of every picture.
            if units.contains(.pictureStart), entries.seen.contains(.sequenceSet) {
                slot.startsKeyFrame = false
                ring.retractKeyFrame(timestamp)
            }
            return false
        }
        if !units.isDisjoint(with: [.instantStart, .intraStart, .recovery]) { slot.startsKeyFrame = true }
        guard !entries.isProven else { return false }
        if !entries.hasSets(entries.seen), entries.sets.isComplete {
            // What is missing right in front may be the sets themselves, and others than those that are kept.
            let mayFollow = entries.carriesSets && ring.slot(slot.sequence - 1) == nil
            guard isNewest, !mayFollow else {
                slot.startsKeyFrame = false
                return false
            }
            insertSets(in: view, before: sequence, slot: &slot, into: arena, at: now)
        }
        entries.isProven = true
        return true
    }

    /// A packet of a picture that is over.
    private func noteLate(_ units: VideoUnits, _ view: RTPView, slot: inout PacketSlot) -> Bool {
        if !units.isDisjoint(with: .sets), entries.setsTimestamp.map({ Int32(bitPattern: slot.timestamp &- $0) >= 0 }) ?? true {
            takeSets(view.payload, slot.timestamp)
        }
        let seen = entries.known(of: slot.timestamp).union(units)
        // Nothing can be put in front of it any more: its neighbours have their numbers.
        slot.startsKeyFrame = entries.isEntry(seen) && (entries.hasSets(seen) || !entries.sets.isComplete)
        return slot.startsKeyFrame
    }

    private func takeSets(_ payload: UnsafeRawBufferPointer, _ timestamp: UInt32) {
        entries.setsTimestamp = timestamp
        if let size = PayloadInspector.videoSize(codec: codec, payload: payload) { noteSize(size.width, size.height) }
        if entries.sets.take(payload) { describeSets() }
    }

    /// Puts the kept sets in front of the packet of `slot`, which gets the next number.
    private func insertSets(
        in view: RTPView, before sequence: Int64, slot: inout PacketSlot, into arena: SendArena, at now: Instant
    ) {
        let payload = entries.sets.payload
        // A plain header: what it says is written anew for everybody but taps on the raw packet, which leave this one out.
        var bytes: [UInt8] = [0x80, view.payloadType, UInt8(view.sequenceNumber >> 8), UInt8(view.sequenceNumber & 0xff)]
        bytes.reserveCapacity(12 + payload.count)
        withUnsafeBytes(of: view.timestamp.bigEndian) { bytes += $0 }
        withUnsafeBytes(of: view.ssrc.bigEndian) { bytes += $0 }
        bytes += payload
        var made = PacketSlot()
        made.sequence = slot.sequence
        made.arrival = now
        made.timestamp = slot.timestamp
        made.headerLength = 12
        made.payloadLength = UInt16(payload.count)
        made.startsKeyFrame = true
        made.isMade = true
        made.playoutDelay = playoutDelay?.encoded ?? .max
        guard bytes.withUnsafeBytes({ ring.append($0, made) }) else { return }
        enqueue(made, into: arena, at: now)
        entries.noteInsertion(before: sequence)
        sequenceShift += 1
        slot.sequence += 1
    }

    /// What a description or a configuration record of the source says; units without start codes.
    public func describe(_ parameterSets: [[UInt8]]) {
        guard followsUnits, !parameterSets.isEmpty else { return }
        entries.sets.describe(parameterSets)
        describeSets()
    }

    /// Lets the track's description follow what is sent.
    func describeSets() {
        let units = entries.sets.units
        guard !units.isEmpty else { return }
        var sent = FormatParameters()
        if codec == .h265 {
            for (key, type) in [("sprop-vps", 32), ("sprop-sps", 33), ("sprop-pps", 34)] {
                let those = units.filter { Int($0[0] >> 1 & 0x3f) == type }
                if !those.isEmpty { sent[key] = Base64.encode(those) }
            }
        } else {
            sent["sprop-parameter-sets"] = Base64.encode(units)
            if let sps = entries.sets.sequenceSet, let profile = H264Framing.profileLevelID(ofSPS: sps) {
                sent["profile-level-id"] = profile
                let reorders = H264Framing.reorders(sps: sps)
                entries.excludesReordering = reorders == false
                if followsBitstream {
                    format.codec.parameters["profile-level-id"] = profile
                    if reorders == true { format.isReordered = true }
                }
            }
        }
        format.sent = sent
    }
}
