// SPDX-License-Identifier: Apache-2.0
// Authenticates and decrypts incoming RTP and RTCP (RFC 3711, RFC 7714), in place.
// Owned by a peer connection, called by the reactor thread that receives for it.
import COpenSSL

/// A handle on the receiving half of an SRTP session. Copies share one context: make it once, call `destroy()` once, use
/// it from one thread at a time. Accepting a packet allocates nothing, except for the first one of an SSRC.
public struct SRTPReceiver {
    /// The most SSRCs one context accepts; further ones get `SRTPFailure.tooManySources`.
    public static let maximumSources = SourceTable.capacity

    struct State {
        let profile: SRTPProfile
        let rtp: PacketCipher
        let rtcp: PacketCipher
        var sources = SourceTable()
    }
    let state: UnsafeMutablePointer<State>

    /// - Parameters:
    ///   - key: the master key, `profile.keyLength` bytes.
    ///   - salt: the master salt, `profile.saltLength` bytes.
    public init(profile: SRTPProfile, key: [UInt8], salt: [UInt8]) throws(SRTPError) {
        try self.init(
            profile: profile,
            rtp: try .derive(.rtp, profile: profile, key: key, salt: salt),
            rtcp: try .derive(.rtcp, profile: profile, key: key, salt: salt))
    }

    /// From session keys; what the vectors of RFC 7714 start from.
    init(profile: SRTPProfile, rtp: SessionKeys, rtcp: SessionKeys) throws(SRTPError) {
        let rtpCipher = try PacketCipher(profile: profile, keys: rtp, encrypting: false)
        let rtcpCipher: PacketCipher
        do { rtcpCipher = try PacketCipher(profile: profile, keys: rtcp, encrypting: false) } catch {
            rtpCipher.destroy()
            throw error
        }
        state = .allocate(capacity: 1)
        state.initialize(to: State(profile: profile, rtp: rtpCipher, rtcp: rtcpCipher))
    }

    /// Wipes the keys and frees the context. No copy of the handle may be used afterwards.
    public func destroy() {
        state.pointee.rtp.destroy()
        state.pointee.rtcp.destroy()
        state.pointee.sources.destroy()
        OPENSSL_cleanse(state, MemoryLayout<State>.size)
        state.deallocate()
    }

    public var profile: SRTPProfile { state.pointee.profile }
    /// Bytes that `unprotectRTP` takes off a packet.
    public var rtpOverhead: Int { state.pointee.rtp.tagLength }
    /// Bytes that `unprotectRTCP` takes off a packet.
    public var rtcpOverhead: Int { state.pointee.rtcp.tagLength + 4 }
    /// SSRCs that have authenticated themselves so far.
    public var sourceCount: Int { state.pointee.sources.count }

    /// Authenticates and decrypts an SRTP packet in place.
    ///
    /// The rollover counter is estimated as in RFC 3711 §3.3.1 and starts at 0 with the first packet of an SSRC; packets
    /// may arrive up to 1023 places behind the newest. Nothing is remembered of a packet that fails.
    ///
    /// - Returns: the length of the plain RTP packet at the start of `packet`, or the raw value of an `SRTPFailure`.
    ///   After `.authentication` the bytes behind the header are undefined.
    public func unprotectRTP(_ packet: UnsafeMutableRawBufferPointer) -> Int {
        let tagLength = state.pointee.rtp.tagLength
        let length = packet.count
        guard length >= 12 &+ tagLength, length <= SRTPSender.maximumPacketLength, let bytes = packet.baseAddress
        else { return SRTPFailure.malformed.rawValue }
        let first = bytes.load(as: UInt8.self)
        guard first >> 6 == 2 else { return SRTPFailure.malformed.rawValue }
        var headerLength = 12 &+ Int(first & 15) &* 4
        if first & 0x10 != 0 {
            guard headerLength &+ 4 &+ tagLength <= length else { return SRTPFailure.malformed.rawValue }
            let words = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: headerLength &+ 2, as: UInt16.self))
            headerLength &+= 4 &+ Int(words) &* 4
        }
        let bodyLength = length &- tagLength &- headerLength
        guard bodyLength >= 0 else { return SRTPFailure.malformed.rawValue }

        let sequence = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        let ssrc = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        let known = state.pointee.sources.find(ssrc)
        var index = UInt64(sequence)
        if let known, !known.pointee.rtp.isEmpty {
            let highest = known.pointee.rtp.highest
            let distance = Int64(Int16(bitPattern: sequence &- UInt16(truncatingIfNeeded: highest)))
            let estimate = Int64(highest) &+ distance
            // Before the very first index: too old by any measure.
            guard estimate >= 0 else { return SRTPFailure.replayed.rawValue }
            index = UInt64(estimate)
            guard index >> 48 == 0 else { return SRTPFailure.keyExhausted.rawValue }
            guard known.pointee.rtp.accepts(index) else { return SRTPFailure.replayed.rawValue }
        } else if known == nil, state.pointee.sources.isFull {
            return SRTPFailure.tooManySources.rawValue
        }

        let body = bytes + headerLength
        let tag = body + bodyLength
        if state.pointee.rtp.isAEAD {
            guard state.pointee.rtp.open(
                ssrc: ssrc, index: index, associated: bytes, associatedCount: headerLength,
                bytes: body, count: bodyLength, tag: tag)
            else { return SRTPFailure.authentication.rawValue }
        } else {
            guard state.pointee.rtp.verify(
                bytes, count: headerLength &+ bodyLength, rollover: UInt32(truncatingIfNeeded: index >> 16), expected: tag)
            else { return SRTPFailure.authentication.rawValue }
            guard state.pointee.rtp.crypt(ssrc: ssrc, index: index, input: body, count: bodyLength, output: body)
            else { return SRTPFailure.cryptography.rawValue }
        }
        (known ?? state.pointee.sources.add(ssrc)).pointee.rtp.commit(index)
        return headerLength &+ bodyLength
    }

    /// Authenticates and decrypts an SRTCP packet in place. Packets that are not encrypted (E flag 0) are refused.
    ///
    /// - Returns: the length of the plain compound packet at the start of `packet`, or the raw value of an `SRTPFailure`.
    ///   After `.authentication` the bytes from the ninth on are undefined.
    public func unprotectRTCP(_ packet: UnsafeMutableRawBufferPointer) -> Int {
        let length = packet.count
        let plainLength = length &- rtcpOverhead
        guard plainLength >= 8, length <= SRTPSender.maximumPacketLength, let bytes = packet.baseAddress,
              bytes.load(as: UInt8.self) >> 6 == 2
        else { return SRTPFailure.malformed.rawValue }
        let isAEAD = state.pointee.rtcp.isAEAD
        let trailer = UInt32(bigEndian: bytes.loadUnaligned(
            fromByteOffset: isAEAD ? length &- 4 : plainLength, as: UInt32.self))
        guard trailer >> 31 == 1 else { return SRTPFailure.malformed.rawValue }
        let index = UInt64(trailer & 0x7fff_ffff)
        let ssrc = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))

        let known = state.pointee.sources.find(ssrc)
        if let known {
            guard known.pointee.rtcp.accepts(index) else { return SRTPFailure.replayed.rawValue }
        } else if state.pointee.sources.isFull {
            return SRTPFailure.tooManySources.rawValue
        }

        let body = bytes + 8
        if isAEAD {
            guard state.pointee.rtcp.open(
                ssrc: ssrc, index: index, associated: bytes, associatedCount: 8, second: trailer,
                bytes: body, count: plainLength &- 8, tag: bytes + plainLength)
            else { return SRTPFailure.authentication.rawValue }
        } else {
            guard state.pointee.rtcp.verify(
                bytes, count: plainLength &+ 4, rollover: nil, expected: bytes + plainLength + 4)
            else { return SRTPFailure.authentication.rawValue }
            guard state.pointee.rtcp.crypt(ssrc: ssrc, index: index, input: body, count: plainLength &- 8, output: body)
            else { return SRTPFailure.cryptography.rawValue }
        }
        (known ?? state.pointee.sources.add(ssrc)).pointee.rtcp.commit(index)
        return plainLength
    }
}
