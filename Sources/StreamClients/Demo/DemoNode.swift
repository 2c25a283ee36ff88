// SPDX-License-Identifier: Apache-2.0
// One server of the demo: a child process with its own ports and state folder.
import Foundation
import FoundationNetworking

/// A `martlet run` started and stopped by the demo.
final class DemoNode: @unchecked Sendable {  // safe: `process` is set once, before the node is shared
    let name: String
    let ports: DemoPorts
    let folder: String
    private let process = Process()

    init(name: String, ports: DemoPorts, folder: String) {
        self.name = name
        self.ports = ports
        self.folder = folder
    }

    var webSocket: String { "ws://127.0.0.1:\(ports.ws)" }
    var web: String { "http://localhost:\(ports.http)" }
    var log: String { "\(folder)/martlet.log" }

    /// Starts the process and waits until it answers.
    func start() async throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        FileManager.default.createFile(atPath: log, contents: nil)
        guard let output = FileHandle(forWritingAtPath: log) else { throw DemoError("The log file \(log) can't be written") }
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let settings = [
            "ws.port=\(ports.ws)", "wss.port=\(ports.wss)", "http.port=\(ports.http)", "https.port=\(ports.https)",
            "rtmp.port=0", "rtmps.port=-1", "rtsp.port=0",
            "media_port_from=\(ports.media)", "media_port_to=\(ports.media + DemoPorts.mediaCount - 1)", "state_dir=\(folder)",
        ]
        process.arguments = ["run"] + settings.flatMap { ["--set", $0] }
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        do { try process.run() } catch { throw DemoError("Node \(name) can't be started: \(error.localizedDescription)") }
        let deadline = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < deadline {
            guard process.isRunning else {
                throw DemoError("Node \(name) ended at once; its log \(log) says:\n\(tail())")
            }
            if let (status, _) = try? await HTTP.get("\(web)/health"), status == 200 { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw DemoError("Node \(name) did not answer on \(web)/health within 20 s; see \(log)")
    }

    /// Asks the process to end; true when it did so in time and cleanly.
    func stop() async -> Bool {
        guard process.isRunning else { return false }
        process.terminate()
        let deadline = ContinuousClock.now + .seconds(6)
        while process.isRunning, ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(20)) }
        if process.isRunning {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            return false
        }
        return process.terminationStatus == 0
    }

    private func tail() -> String {
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").suffix(8).joined(separator: "\n")
    }
}

/// The ports of a node: the usual ones when they are free, else any.
struct DemoPorts: Sendable {
    /// Media ports a node may take: one per core.
    static let mediaCount = 64
    var ws, wss, http, https, media: Int

    /// - Parameter offset: added to the usual ports.
    static func choose(offset: Int) -> DemoPorts {
        func pick(_ wanted: Int) -> Int { isFree(wanted, SOCK_STREAM) ? wanted : freePort(SOCK_STREAM) }
        var media = 31_001 + offset / 10
        while media < 60_000, !(0..<4).allSatisfy({ isFree(media + $0, SOCK_DGRAM) }) { media += mediaCount }
        return DemoPorts(
            ws: pick(8080 + offset), wss: pick(8443 + offset), http: pick(8081 + offset), https: pick(8444 + offset), media: media)
    }

    private static func isFree(_ port: Int, _ type: __socket_type) -> Bool { bound(port, type) != nil }
    private static func freePort(_ type: __socket_type) -> Int { bound(0, type) ?? 0 }

    /// The port that could be bound, or nil.
    private static func bound(_ port: Int, _ type: __socket_type) -> Int? {
        let descriptor = socket(AF_INET, Int32(type.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var on: Int32 = 1
        if type == SOCK_STREAM { setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size)) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 ? getsockname(descriptor, pointer, &length) : -1
            }
        }
        return result == 0 ? Int(in_port_t(bigEndian: address.sin_port)) : nil
    }
}

/// What went wrong in the demo, in a sentence.
struct DemoError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// The demo's REST calls.
enum HTTP {
    static func get(_ url: String) async throws -> (status: Int, body: String) { try await send(url, nil) }
    static func post(_ url: String, json: String) async throws -> (status: Int, body: String) { try await send(url, json) }

    private static func send(_ url: String, _ json: String?) async throws -> (status: Int, body: String) {
        guard let address = URL(string: url) else { throw DemoError("\(url) is no URL") }
        var request = URLRequest(url: address, timeoutInterval: 15)
        if let json {
            request.httpMethod = "POST"
            request.httpBody = Data(json.utf8)
            request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        }
        let (data, response) = try await URLSession.shared.data(for: request)
        return ((response as? HTTPURLResponse)?.statusCode ?? 0, String(decoding: data, as: UTF8.self))
    }
}
