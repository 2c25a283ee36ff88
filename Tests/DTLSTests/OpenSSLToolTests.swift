// SPDX-License-Identifier: Apache-2.0
// Handshakes with the openssl command over UDP on the loopback interface, in both roles.
import DTLS
import Foundation
import Glibc
import Primitives
import Testing

@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl"), "needs the openssl command"))
struct OpenSSLToolTests {
    static let profiles: [(name: String, profile: SRTPKeyingMaterial.Profile)] = [
        ("SRTP_AEAD_AES_128_GCM", .aeadAES128GCM), ("SRTP_AEAD_AES_256_GCM", .aeadAES256GCM),
        ("SRTP_AES128_CM_SHA1_80", .aes128CMSHA1_80),
        // Not in our order: the server's preference decides.
        ("SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM", .aeadAES256GCM),
    ]

    @Test("s_client gets the keys we get", arguments: 0..<4)
    func server(number: Int) throws {
        let (name, profile) = Self.profiles[number]
        let (keys, exported) = try handshake(role: .server, offer: name, exportLength: 2 * (profile.keyLength + profile.saltLength))
        #expect(keys.profile == profile)
        #expect(exported == keys.remoteKey + keys.localKey + keys.remoteSalt + keys.localSalt)
    }

    @Test("s_server gets the keys we get", arguments: 0..<3)
    func client(number: Int) throws {
        let (name, profile) = Self.profiles[number]
        let (keys, exported) = try handshake(role: .client, offer: name, exportLength: 2 * (profile.keyLength + profile.saltLength))
        #expect(keys.profile == profile)
        #expect(exported == keys.localKey + keys.remoteKey + keys.localSalt + keys.remoteSalt)
    }

    @Test("s_client without SRTP is refused")
    func noProfile() throws {
        #expect(throws: DTLSFailure.noSRTPProfile) { try handshake(role: .server, offer: nil, exportLength: 56) }
    }

    private struct NotReady: Error {}

    /// Runs a handshake in `role` against the tool, and returns our keys and what the tool exports for the same label.
    private func handshake(
        role: DTLSSession.Role, offer: String?, exportLength: Int
    ) throws -> (SRTPKeyingMaterial, [UInt8]) {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("dtls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let pem = try SelfSignedCertificate.makePEM(commonName: "tool", hosts: [], days: 2)
        let pair = directory.appendingPathComponent("pair.pem")
        try (pem.certificatePEM + pem.privateKeyPEM).write(to: pair, atomically: true, encoding: .utf8)

        let socket = try LoopbackSocket()
        defer { socket.close() }
        // For s_server: a port that was free a moment ago.
        let toolPort: UInt16 = role == .client ? try { let s = try LoopbackSocket(); defer { s.close() }; return s.port }() : 0
        let tool = Process()
        tool.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        tool.arguments = (role == .server
            ? ["s_client", "-connect", "127.0.0.1:\(socket.port)"]
            : ["s_server", "-accept", "127.0.0.1:\(toolPort)", "-verify", "1", "-naccept", "1"])
            + ["-dtls1_2", "-cert", pair.path, "-key", pair.path, "-keymatexport", "EXTRACTOR-dtls_srtp"]
            + ["-keymatexportlen", "\(exportLength)"] + (offer.map { ["-use_srtp", $0] } ?? [])
        let input = Pipe(), output = Pipe()
        tool.standardInput = input
        tool.standardOutput = output
        tool.standardError = FileHandle.nullDevice
        try tool.run()
        defer {
            // Not terminate(): it may inherit a mask that blocks SIGTERM.
            kill(tool.processIdentifier, SIGKILL)
            tool.waitUntilExit()
        }

        let session = DTLSSession(
            certificate: try TestCertificates.server.get(), role: role, expectedFingerprints: [])
        var peer: UInt16? = role == .client ? toolPort : nil
        var keys: SRTPKeyingMaterial?
        func carryOut(_ actions: [DTLSAction]) throws {
            for action in actions {
                switch action {
                case .send(let bytes): if let peer { socket.send(bytes, to: peer) }
                case .connected(let material): keys = material
                case .failed(let failure): throw failure
                case .closed: throw NotReady()
                }
            }
        }
        try carryOut(session.start(at: LoopbackSocket.now))
        while keys == nil {
            let wait = session.nextDeadline.map { max($0.milliseconds(since: LoopbackSocket.now), 0) + 1 } ?? 1000
            if let (bytes, from) = socket.receive(within: Int32(wait)) {
                peer = peer ?? from
                try carryOut(session.receive(bytes, at: LoopbackSocket.now))
            }
            try carryOut(session.advance(to: LoopbackSocket.now))
        }
        // Our close_notify and the end of its input end the tool, which then writes out what it holds back.
        try carryOut(session.close())
        try input.fileHandleForWriting.close()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        guard let line = text.split(separator: "\n").first(where: { $0.contains("Keying material: ") }) else { throw NotReady() }
        let digits = line.drop { $0 != ":" }.dropFirst(2).compactMap(\.hexDigitValue)
        let exported = stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
        return (try #require(keys), exported)
    }
}

/// A UDP socket on 127.0.0.1 with a port of its own.
private final class LoopbackSocket {
    private let descriptor: Int32
    let port: UInt16

    static var now: Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    struct Failure: Error { let code: Int32 }

    init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        self.descriptor = descriptor
        guard descriptor >= 0 else { throw Failure(code: errno) }
        var address = Self.address(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        guard result else { throw Failure(code: errno) }
    }

    func close() { _ = Glibc.close(descriptor) }

    func send(_ bytes: [UInt8], to port: UInt16) {
        var address = Self.address(port)
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = sendto(descriptor, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// The next datagram and the port it came from, or `nil` when none comes within so many milliseconds.
    func receive(within milliseconds: Int32) -> ([UInt8], UInt16)? {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, milliseconds) == 1 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 2048)
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT), $0, &length)
            }
        }
        return count > 0 ? (Array(bytes.prefix(count)), UInt16(bigEndian: address.sin_port)) : nil
    }
}
