// SPDX-License-Identifier: Apache-2.0
// Packets, hexadecimal text and libsrtp2 (the judge) for the tests of this folder.
import CSRTP
import SRTP

/// Bytes from hexadecimal text; white space is skipped.
func hex(_ text: String) -> [UInt8] {
    let digits = text.filter { !$0.isWhitespace }.compactMap { $0.hexDigitValue }
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// An RTP packet in its parts, as protectRTP takes it.
struct TestPacket {
    var header: [UInt8]
    var payload: [UInt8]
    var padding: UInt8 = 0
    var ssrc: UInt32
    var index: UInt64

    /// Header as a browser writes it: with `extensionWords` > 0 a one-byte-form header extension, with CSRCs if asked for.
    init(
        index: UInt64, ssrc: UInt32 = 0x1234_5678, payload: Int = 200, padding: UInt8 = 0, extensionWords: Int = 0,
        csrcs: Int = 0
    ) {
        let sequence = UInt16(truncatingIfNeeded: index)
        header = [
            0x80 | (padding > 0 ? 0x20 : 0) | (extensionWords > 0 ? 0x10 : 0) | UInt8(csrcs), 0x60,
            UInt8(sequence >> 8), UInt8(sequence & 255), 1, 2, 3, 4,
            UInt8(ssrc >> 24), UInt8(ssrc >> 16 & 255), UInt8(ssrc >> 8 & 255), UInt8(ssrc & 255),
        ]
        for i in 0..<csrcs { header += [9, 9, 9, UInt8(i)] }
        if extensionWords > 0 {
            header += [0xbe, 0xde, 0, UInt8(extensionWords)]
            for i in 0..<extensionWords { header += [0x12, UInt8(i & 255), 7, 8] }
        }
        self.payload = (0..<payload).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(sequence)) }
        self.padding = padding
        self.ssrc = ssrc
        self.index = index
    }

    /// The whole packet in clear text.
    var plain: [UInt8] {
        header + payload + (padding > 0 ? [UInt8](repeating: 0, count: Int(padding) - 1) + [padding] : [])
    }
}

extension SRTPProfile {
    var testKey: [UInt8] { (0..<keyLength).map { UInt8($0 * 3 + 1) } }
    var testSalt: [UInt8] { (0..<saltLength).map { UInt8(200 - $0) } }
}

extension SRTPSender {
    init(_ profile: SRTPProfile) throws { try self.init(profile: profile, key: profile.testKey, salt: profile.testSalt) }

    func protect(_ packet: TestPacket) throws -> [UInt8] {
        var output = [UInt8](repeating: 0xee, count: packet.plain.count + rtpOverhead + 8)
        let length = output.withUnsafeMutableBytes { output in
            packet.header.withUnsafeBytes { header in
                packet.payload.withUnsafeBytes { payload in
                    protectRTP(
                        header: header, payload: payload, paddingLength: packet.padding, ssrc: packet.ssrc,
                        index: packet.index, into: output.baseAddress!)
                }
            }
        }
        if let failure = SRTPFailure(rawValue: length) { throw failure }
        return Array(output.prefix(length))
    }

    func protectRTCP(_ packet: [UInt8], room: Int? = nil) throws -> [UInt8] {
        var output = [UInt8](repeating: 0xee, count: room ?? packet.count + rtcpOverhead)
        let length = output.withUnsafeMutableBytes { out in packet.withUnsafeBytes { protectRTCP($0, into: out) } }
        if let failure = SRTPFailure(rawValue: length) { throw failure }
        return Array(output.prefix(length))
    }
}

extension SRTPReceiver {
    init(_ profile: SRTPProfile) throws { try self.init(profile: profile, key: profile.testKey, salt: profile.testSalt) }

    func unprotect(_ packet: [UInt8]) throws -> [UInt8] {
        var packet = packet
        let length = packet.withUnsafeMutableBytes { unprotectRTP($0) }
        if let failure = SRTPFailure(rawValue: length) { throw failure }
        return Array(packet.prefix(length))
    }

    func unprotectRTCP(_ packet: [UInt8]) throws -> [UInt8] {
        var packet = packet
        let length = packet.withUnsafeMutableBytes { unprotectRTCP($0) }
        if let failure = SRTPFailure(rawValue: length) { throw failure }
        return Array(packet.prefix(length))
    }
}

/// A receiver report with `blocks` report blocks, first byte to last.
func receiverReport(ssrc: UInt32 = 0xcafe_babe, blocks: Int = 1) -> [UInt8] {
    let words = 1 + 6 * blocks
    return [0x80 | UInt8(blocks), 201, 0, UInt8(words)] + [24, 16, 8, 0].map { UInt8(ssrc >> $0 & 255) }
        + (0..<24 * blocks).map { UInt8($0) }
}

/// A libsrtp2 session with one key for all SSRCs of a direction.
final class LibSRTP {
    enum Direction { case sending, receiving }
    struct Failure: Error { let status: UInt32 }

    // The NSS build of Debian wants srtp_init before anything else, once per process.
    private static let ready: Bool = srtp_init() == srtp_err_status_ok

    private var session: srtp_t?

    init(_ profile: SRTPProfile, _ direction: Direction) throws {
        guard Self.ready else { throw Failure(status: 1) }
        var policy = srtp_policy_t()
        switch profile {
        case .aeadAES128GCM:
            srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp)
            srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp)
        case .aeadAES256GCM:
            srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp)
            srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtcp)
        case .aes128CMSHA1_80:
            srtp_crypto_policy_set_rtp_default(&policy.rtp)
            srtp_crypto_policy_set_rtcp_default(&policy.rtcp)
        }
        policy.ssrc.type = direction == .sending ? ssrc_any_outbound : ssrc_any_inbound
        policy.window_size = 1024
        policy.allow_repeat_tx = 1
        var key = profile.testKey + profile.testSalt
        let status = key.withUnsafeMutableBufferPointer { buffer in
            policy.key = buffer.baseAddress
            return srtp_create(&session, &policy)
        }
        guard status == srtp_err_status_ok else { throw Failure(status: status.rawValue) }
    }

    deinit { if let session { srtp_dealloc(session) } }

    private func run(
        _ packet: [UInt8], _ operation: (srtp_t?, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int32>?) -> srtp_err_status_t
    ) throws -> [UInt8] {
        // libsrtp wants a 32-bit aligned buffer with room for its trailer.
        let room = packet.count + 160
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 8)
        defer { buffer.deallocate() }
        buffer.copyBytes(from: packet)
        var length = Int32(packet.count)
        let status = operation(session, buffer.baseAddress, &length)
        guard status == srtp_err_status_ok else { throw Failure(status: status.rawValue) }
        return Array(buffer.prefix(Int(length)))
    }

    func protect(_ packet: [UInt8]) throws -> [UInt8] { try run(packet, srtp_protect) }
    func unprotect(_ packet: [UInt8]) throws -> [UInt8] { try run(packet, srtp_unprotect) }
    func protectRTCP(_ packet: [UInt8]) throws -> [UInt8] { try run(packet, srtp_protect_rtcp) }
    func unprotectRTCP(_ packet: [UInt8]) throws -> [UInt8] { try run(packet, srtp_unprotect_rtcp) }
}
