// SPDX-License-Identifier: Apache-2.0
// The sender's bounds; that its output is right is shown by the vectors and by libsrtp.
import Testing
@testable import SRTP

struct SRTPSenderTests {
    @Test("nothing is written behind the packet it returns", arguments: SRTPProfile.allCases)
    func bounds(profile: SRTPProfile) throws {
        let sender = try SRTPSender(profile)
        defer { sender.destroy() }
        let packet = TestPacket(index: 3, payload: 101, padding: 7)
        var output = [UInt8](repeating: 0xaa, count: 300)
        let length = output.withUnsafeMutableBytes { output in
            packet.header.withUnsafeBytes { header in
                packet.payload.withUnsafeBytes { payload in
                    sender.protectRTP(
                        header: header, payload: payload, paddingLength: 7, ssrc: packet.ssrc, index: 3,
                        into: output.baseAddress!)
                }
            }
        }
        #expect(length == 12 + 101 + 7 + sender.rtpOverhead)
        #expect(output[length...].allSatisfy { $0 == 0xaa })
    }

    @Test("profile and overheads are told", arguments: SRTPProfile.allCases)
    func overheads(profile: SRTPProfile) throws {
        let sender = try SRTPSender(profile), receiver = try SRTPReceiver(profile)
        defer { sender.destroy(); receiver.destroy() }
        #expect(sender.profile == profile && receiver.profile == profile)
        #expect(sender.rtpOverhead == profile.rtpTagLength && receiver.rtpOverhead == profile.rtpTagLength)
        #expect(sender.rtcpOverhead == profile.rtcpOverhead && receiver.rtcpOverhead == profile.rtcpOverhead)
    }

    @Test("an index beyond 48 bits, a short header, a packet too long or an output too small are refused")
    func refusals() throws {
        let sender = try SRTPSender(.aeadAES128GCM)
        defer { sender.destroy() }
        #expect(throws: SRTPFailure.keyExhausted) { try sender.protect(TestPacket(index: 1 << 48)) }
        #expect(throws: SRTPFailure.malformed) { try sender.protect(TestPacket(index: 1, payload: 65_600)) }
        var short = TestPacket(index: 1)
        short.header.removeLast()
        #expect(throws: SRTPFailure.malformed) { try sender.protect(short) }
        #expect(throws: SRTPFailure.malformed) { try sender.protectRTCP(receiverReport(), room: 32 + sender.rtcpOverhead - 1) }
        #expect(throws: SRTPFailure.malformed) { try sender.protectRTCP([0x80, 201, 0, 1, 0, 0]) }
    }

    @Test("RTCP stops when its 2^31 indices are used up")
    func rtcpExhaustion() throws {
        let sender = try SRTPSender(.aeadAES128GCM)
        defer { sender.destroy() }
        sender.state.pointee.rtcpIndex = 0x7fff_ffff
        _ = try sender.protectRTCP(receiverReport())
        #expect(throws: SRTPFailure.keyExhausted) { try sender.protectRTCP(receiverReport()) }
    }
}
