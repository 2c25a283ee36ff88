// SPDX-License-Identifier: Apache-2.0
// A signalling server on loopback with a fake engine, for tests that need sockets.
import Foundation
import NIOSSL
import Signalling

@testable import MartletServer

final class WebSocketTestServer {
    let engine: FakeMediaEngine
    let registry: StreamRegistry
    let service: WebSocketService
    private let task: Task<Void, any Error>
    private(set) var ports = BoundPorts()

    init(isAutomatic: Bool = true, port: Int = 0, tls: NIOSSLContext? = nil, limits: SessionLimits = SessionLimits()) async throws {
        engine = FakeMediaEngine(isAutomatic: isAutomatic)
        registry = StreamRegistry(engine: engine, nodeID: "node", logger: silentLogger())
        var configuration = WebSocketServiceConfiguration()
        configuration.host = "127.0.0.1"
        configuration.port = port
        configuration.securePort = tls == nil ? nil : 0
        configuration.tls = tls
        configuration.limits = limits
        let service = WebSocketService(configuration: configuration, registry: registry, logger: silentLogger())
        self.service = service
        task = Task { try await service.run() }
        guard let ports = await service.ports else {
            try await task.value
            return
        }
        self.ports = ports
    }

    var port: Int { ports.plain ?? 0 }
    var uri: String { "ws://127.0.0.1:\(port)" }
    func address(_ path: String = "") throws -> WCSAddress { try WCSAddress(uri + path) }

    /// As a killed process does: sockets close, nobody is told anything useful.
    func stop() async {
        task.cancel()
        _ = try? await task.value
    }
}

/// A certificate for localhost and 127.0.0.1 that nobody has reason to trust. Made with
/// `openssl req -x509 -newkey ec … -days 36500 -addext subjectAltName=DNS:localhost,IP:127.0.0.1`.
struct TestCertificate {
    let serverContext: NIOSSLContext
    /// The PEM file that clients may trust.
    let file: String

    init() throws {
        file = NSTemporaryDirectory() + "martlet-test-\(UUID().uuidString).pem"
        try Self.certificate.write(toFile: file, atomically: true, encoding: .utf8)
        let certificate = try NIOSSLCertificate(bytes: Array(Self.certificate.utf8), format: .pem)
        let key = try NIOSSLPrivateKey(bytes: Array(Self.key.utf8), format: .pem)
        serverContext = try NIOSSLContext(
            configuration: .makeServerConfiguration(certificateChain: [.certificate(certificate)], privateKey: .privateKey(key)))
    }

    func remove() { try? FileManager.default.removeItem(atPath: file) }

    private static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBnDCCAUGgAwIBAgIUZEC2TkBxgEVmP7JDjF391IskCKAwCgYIKoZIzj0EAwIw
        FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTA3Mjg1NVoYDzIxMjYxMDI4
        MDcyODU1WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
        PQMBBwNCAASsKclIaaWgesGSMpyu6/0jmlg0nvj+LVCfcObFKwed6t2pRGhmJvxq
        U15xapiIPppOKxcjqQvxGxhnDmArjwkCo28wbTAdBgNVHQ4EFgQUqaeoACrFjWeL
        eouqjQ7053XLK9cwHwYDVR0jBBgwFoAUqaeoACrFjWeLeouqjQ7053XLK9cwDwYD
        VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
        zj0EAwIDSQAwRgIhALsxroJCCaa+bL7GZ81uPsahHzqI64geYcgZ0k1N+lKZAiEA
        4srgI7tGJc3TIsXGRRqngmBZtYuPKWCP1bIBtRrJE8s=
        -----END CERTIFICATE-----

        """
    private static let key = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgd3n4fyAe7m6OdLqY
        mUyFfhozdpyTxQIl45kSBcz1z9GhRANCAASsKclIaaWgesGSMpyu6/0jmlg0nvj+
        LVCfcObFKwed6t2pRGhmJvxqU15xapiIPppOKxcjqQvxGxhnDmArjwkC
        -----END PRIVATE KEY-----

        """
}

/// Looks until something holds; gives up after ten seconds.
func eventually(isolation: isolated (any Actor)? = #isolation, _ condition: () async throws -> Bool) async rethrows -> Bool {
    let end = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < end {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return false
}
