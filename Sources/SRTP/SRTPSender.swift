// SPDX-License-Identifier: Apache-2.0
// Protects outgoing RTP and RTCP (RFC 3711, RFC 7714): the last step of the forwarding path.
// Owned by a peer connection, called by the reactor thread that sends for it.
import COpenSSL

/// A handle on the sending half of an SRTP session. Copies share one context: make it once, call `destroy()` once, use it
/// from one thread at a time. Protecting a packet allocates nothing.
public struct SRTPSender {
    /// Largest RTP or RTCP packet that is protected, in bytes.
    public static let maximumPacketLength = 65_535

    struct State {
        let profile: SRTPProfile
        let rtp: PacketCipher
        let rtcp: PacketCipher
        var rtcpIndex: UInt32 = 0
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
        let rtpCipher = try PacketCipher(profile: profile, keys: rtp, encrypting: true)
        let rtcpCipher: PacketCipher
        do { rtcpCipher = try PacketCipher(profile: profile, keys: rtcp, encrypting: true) } catch {
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
        OPENSSL_cleanse(state, MemoryLayout<State>.size)
        state.deallocate()
    }

    public var profile: SRTPProfile { state.pointee.profile }
    /// Bytes that `protectRTP` adds to header, payload and padding.
    public var rtpOverhead: Int { state.pointee.rtp.tagLength }
    /// Bytes that `protectRTCP` adds.
    public var rtcpOverhead: Int { state.pointee.rtcp.tagLength + 4 }

    /// Writes `header`, the encrypted payload and padding, and the tag to `output`, which must have room for
    /// `header.count + payload.count + paddingLength + rtpOverhead` bytes and overlap with neither input.
    ///
    ///     output:  | header (clear) | payload, padding (encrypted) | tag |
    ///
    /// Never use a pair of `ssrc` and `index` for two different packets, not even where only the header differs: in
    /// Galois/Counter mode that gives the authentication key away (RFC 7714 §8.1). A retransmission that isn't
    /// byte-identical needs an index of its own.
    ///
    /// - Parameters:
    ///   - header: RTP header with CSRCs and extensions, in clear text on the wire; at least 12 bytes.
    ///   - paddingLength: bytes of RTP padding to append (zeros and the count); the P bit must be in `header` already.
    ///   - index: rollover counter << 16 | sequence number (RFC 3711 §3.3.1), below 2^48.
    /// - Returns: the bytes written, or the raw value of an `SRTPFailure`.
    public func protectRTP(
        header: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer, paddingLength: UInt8,
        ssrc: UInt32, index: UInt64, into output: UnsafeMutableRawPointer
    ) -> Int {
        let headerLength = header.count
        let bodyLength = payload.count &+ Int(paddingLength)
        guard headerLength >= 12, headerLength &+ bodyLength <= Self.maximumPacketLength, let clear = header.baseAddress
        else { return SRTPFailure.malformed.rawValue }
        guard index >> 48 == 0 else { return SRTPFailure.keyExhausted.rawValue }

        output.copyMemory(from: clear, byteCount: headerLength)
        let body = output + headerLength
        let tag = body + bodyLength
        // With padding the plaintext is put together in the output and encrypted in place: cheaper than a second, short update.
        var input = payload.baseAddress ?? UnsafeRawPointer(body)
        if paddingLength > 0 {
            body.copyMemory(from: input, byteCount: payload.count)
            (body + payload.count).initializeMemory(as: UInt8.self, repeating: 0, count: Int(paddingLength))
            body.storeBytes(of: paddingLength, toByteOffset: bodyLength - 1, as: UInt8.self)
            input = UnsafeRawPointer(body)
        }

        let isAEAD = state.pointee.rtp.isAEAD
        if isAEAD {
            guard state.pointee.rtp.seal(
                ssrc: ssrc, index: index, associated: clear, associatedCount: headerLength,
                input: input, count: bodyLength, output: body, tag: tag)
            else { return SRTPFailure.cryptography.rawValue }
        } else {
            guard state.pointee.rtp.crypt(ssrc: ssrc, index: index, input: input, count: bodyLength, output: body)
            else { return SRTPFailure.cryptography.rawValue }
            state.pointee.rtp.authenticate(
                output, count: headerLength &+ bodyLength, rollover: UInt32(truncatingIfNeeded: index >> 16), output: tag)
        }
        return headerLength &+ bodyLength &+ state.pointee.rtp.tagLength
    }

    /// Writes the protected form of a compound RTCP packet to `output`, which needs `rtcpOverhead` bytes more than
    /// `packet` and must not overlap with it. All SSRCs of the context share one SRTCP index.
    ///
    ///     AEAD:          | 8 bytes (clear) | encrypted | tag | E, index |
    ///     counter mode:  | 8 bytes (clear) | encrypted | E, index | tag |
    ///
    /// - Returns: the bytes written, or the raw value of an `SRTPFailure`.
    public func protectRTCP(_ packet: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int {
        guard packet.count >= 8, packet.count <= Self.maximumPacketLength, packet.count + rtcpOverhead <= output.count,
              let clear = packet.baseAddress, let target = output.baseAddress
        else { return SRTPFailure.malformed.rawValue }
        let index = state.pointee.rtcpIndex
        guard index >> 31 == 0 else { return SRTPFailure.keyExhausted.rawValue }
        state.pointee.rtcpIndex = index + 1

        let ssrc = UInt32(bigEndian: packet.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        let trailer = index | 0x8000_0000
        let bodyLength = packet.count - 8
        target.copyMemory(from: clear, byteCount: 8)
        if state.pointee.rtcp.isAEAD {
            let tag = target + packet.count
            guard state.pointee.rtcp.seal(
                ssrc: ssrc, index: UInt64(index), associated: clear, associatedCount: 8, second: trailer,
                input: clear + 8, count: bodyLength, output: target + 8, tag: tag)
            else { return SRTPFailure.cryptography.rawValue }
            (tag + 16).storeBytes(of: trailer.bigEndian, as: UInt32.self)
        } else {
            guard state.pointee.rtcp.crypt(
                ssrc: ssrc, index: UInt64(index), input: clear + 8, count: bodyLength, output: target + 8)
            else { return SRTPFailure.cryptography.rawValue }
            (target + packet.count).storeBytes(of: trailer.bigEndian, as: UInt32.self)
            state.pointee.rtcp.authenticate(
                target, count: packet.count + 4, rollover: nil, output: target + packet.count + 4)
        }
        return packet.count + rtcpOverhead
    }
}
