// SPDX-License-Identifier: Apache-2.0
// The server under test: a child process of its own with free ports. Started and stopped by the benchmarks.
import Foundation
import FoundationNetworking
import MartletServer

final class ServerProcess: @unchecked Sendable {  // safe: `process` is set up before anybody else sees the object
    let name: String
    let webSocketPort: Int
    let httpPort: Int
    let rtmpPort: Int
    let allocations: AllocationCounter?
    let folder: String
    private let process = Process()

    /// Starts the server and waits until it answers.
    /// - Parameters:
    ///   - name: of its folder below `folder`.
    ///   - reactors: media threads; 0 = one per core.
    init(name: String, folder: String, reactors: Int) async throws {
        self.name = name
        self.folder = "\(folder)/\(name)"
        webSocketPort = Self.freePort()
        httpPort = Self.freePort()
        rtmpPort = Self.freePort()
        try FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: true)
        allocations = AllocationCounter.make(in: self.folder)
        guard FileManager.default.createFile(atPath: log, contents: nil), let output = FileHandle(forWritingAtPath: log)
        else { throw BenchmarkError("The log file \(log) can't be written") }
        let settings = [
            "ws.port=\(webSocketPort)", "wss.port=-1", "http.port=\(httpPort)", "https.port=-1", "rtmp.port=\(rtmpPort)", "rtmps.port=-1", "rtsp.port=-1",
            "media_port_from=0", "media_port_to=0", "ip=127.0.0.1", "reactors=\(reactors)", "state_dir=\(self.folder)", "max_session_rate=1000000",
        ]
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["run"] + settings.flatMap { ["--set", $0] }
        process.environment = ProcessInfo.processInfo.environment.merging(allocations?.environment ?? [:]) { $1 }
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        do { try process.run() } catch { throw BenchmarkError("The server can't be started: \(error.localizedDescription)") }
        let deadline = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < deadline {
            guard process.isRunning else { throw BenchmarkError("The server ended at once; see \(log)") }
            if let status = try? await Self.request("http://127.0.0.1:\(httpPort)/health", nil).status, status == 200 { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        kill()
        throw BenchmarkError("The server did not answer within 20 s; see \(log)")
    }

    var log: String { "\(folder)/martlet.log" }
    var id: Int32 { process.processIdentifier }
    var address: WCSAddress { get throws { try WCSAddress("ws://127.0.0.1:\(webSocketPort)") } }

    /// A REST method with a JSON body.
    func post(_ method: String, _ json: String) async throws {
        let (status, body) = try await Self.request("http://127.0.0.1:\(httpPort)/rest-api/\(method)", json)
        guard status == 200 else { throw BenchmarkError("POST /rest-api/\(method) answered \(status): \(body)") }
    }

    /// A figure of `/?action=stat`; nil if it isn't there.
    func statistic(_ key: String) async throws -> Int? {
        let text = try await Self.request("http://127.0.0.1:\(httpPort)/?action=stat", nil).body
        return text.split(separator: "\n").first { $0.hasPrefix(key + "=") }.flatMap { Int($0.dropFirst(key.count + 1)) }
    }

    func stop() async {
        guard process.isRunning else { return }
        process.terminate()
        let deadline = ContinuousClock.now + .seconds(6)
        while process.isRunning, ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(20)) }
        kill()
    }

    /// At once, without goodbye.
    func kill() { if process.isRunning { Glibc.kill(process.processIdentifier, SIGKILL) } }

    private static func request(_ url: String, _ json: String?) async throws -> (status: Int, body: String) {
        guard let address = URL(string: url) else { throw BenchmarkError("\(url) is no URL") }
        var request = URLRequest(url: address, timeoutInterval: 60)
        if let json {
            request.httpMethod = "POST"
            request.httpBody = Data(json.utf8)
            request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        }
        let (data, response) = try await URLSession.shared.data(for: request)
        return ((response as? HTTPURLResponse)?.statusCode ?? 0, String(decoding: data, as: UTF8.self))
    }

    private static func freePort() -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1 }
        }
        return Int(in_port_t(bigEndian: address.sin_port))
    }
}
