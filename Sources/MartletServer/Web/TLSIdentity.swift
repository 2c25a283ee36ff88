// SPDX-License-Identifier: Apache-2.0
// Certificate and key of the TLS listeners: the files of the settings, or a self-signed pair made at first start.
import DTLS
import Foundation
import Logging
import NIOCore
import NIOSSL

/// What WSS and HTTPS identify themselves with.
struct TLSIdentity: Sendable {
    let certificates: [NIOSSLCertificate]
    let privateKey: NIOSSLPrivateKey
    /// No authority vouches for it: browsers warn.
    let isSelfSigned: Bool

    /// TLS 1.2 and later, HTTP/1.1 only.
    var serverConfiguration: TLSConfiguration {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: certificates.map { .certificate($0) }, privateKey: .privateKey(privateKey))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        return configuration
    }

    /// - Throws: `SettingsError` naming the file and the setting.
    static func load(settings: Settings, logger: Logger) throws(SettingsError) -> TLSIdentity {
        if !settings.certificateFile.isEmpty {
            return try read(certificate: settings.certificateFile, key: settings.privateKeyFile, isSelfSigned: false)
        }
        let folder = settings.stateDirectory + "/tls"
        let certificate = folder + "/certificate.pem"
        let key = folder + "/private-key.pem"
        if FileManager.default.fileExists(atPath: certificate), FileManager.default.fileExists(atPath: key) {
            let identity = try read(certificate: certificate, key: key, isSelfSigned: true)
            if !identity.expiresSoon { return identity }
            logger.notice("The self-signed certificate runs out and is made anew", metadata: ["file": "\(certificate)"])
        }
        try make(certificate: certificate, key: key, folder: folder, settings: settings)
        logger.notice("Made a self-signed certificate; browsers will warn about it", metadata: ["file": "\(certificate)"])
        return try read(certificate: certificate, key: key, isSelfSigned: true)
    }

    private var expiresSoon: Bool {
        guard let first = certificates.first else { return true }
        return first.notValidAfter < time(nil) + 7 * 86_400
    }

    private static func read(certificate: String, key: String, isSelfSigned: Bool) throws(SettingsError) -> TLSIdentity {
        let chain: [NIOSSLCertificate]
        do {
            chain = try NIOSSLCertificate.fromPEMFile(certificate)
        } catch {
            throw SettingsError(problems: ["\(certificate): can't be read as a PEM certificate (ssl_certificate_file): \(error)"])
        }
        let privateKey: NIOSSLPrivateKey
        do {
            privateKey = try NIOSSLPrivateKey(file: key, format: .pem)
        } catch {
            throw SettingsError(problems: ["\(key): can't be read as a PEM private key (ssl_private_key_file): \(error)"])
        }
        let identity = TLSIdentity(certificates: chain, privateKey: privateKey, isSelfSigned: isSelfSigned)
        do {
            // Fails when key and certificate don't belong together: better now than at the first client.
            _ = try NIOSSLContext(configuration: identity.serverConfiguration)
        } catch {
            throw SettingsError(problems: ["\(certificate) and \(key) can't be used together: \(error)"])
        }
        return identity
    }

    private static func make(certificate: String, key: String, folder: String, settings: Settings) throws(SettingsError) {
        do {
            let name = ProcessInfo.processInfo.hostName
            let pair = try SelfSignedCertificate.makePEM(commonName: name, hosts: hosts(settings, name: name), days: 825)
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            // The key first: a crash in between leaves no certificate, and the pair is made again.
            try writePrivately(pair.privateKeyPEM, to: key)
            try writePrivately(pair.certificatePEM, to: certificate)
        } catch {
            throw SettingsError(problems: ["\(folder): a self-signed certificate can't be made there (state_dir): \(error)"])
        }
    }

    /// A file only this user can read, complete or not there at all.
    private static func writePrivately(_ text: String, to path: String) throws {
        let temporary = path + ".new"
        try? FileManager.default.removeItem(atPath: temporary)
        guard FileManager.default.createFile(atPath: temporary, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600]),
            rename(temporary, path) == 0
        else { throw CocoaError(.fileWriteUnknown) }
    }

    /// Every name and address a browser may use for this machine.
    private static func hosts(_ settings: Settings, name: String) -> [String] {
        var hosts = ["localhost", "127.0.0.1", "::1", name] + settings.publicAddresses
        for device in (try? System.enumerateDevices()) ?? [] {
            if let address = device.address?.ipAddress, !address.contains("%") { hosts.append(address) }
        }
        var seen: Set<String> = []
        return hosts.filter { !$0.isEmpty && seen.insert($0).inserted }
    }
}
