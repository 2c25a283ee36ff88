// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import MartletServer

struct ServerTests {
    /// Settings of a server that takes no fixed port and leaves nothing behind.
    private func settings(_ folder: TemporaryFolder, _ more: [String] = []) throws -> LoadedSettings {
        try SettingsLoader.load(commandLine: [
            "ws.port=0", "wss.port=0", "http.port=0", "https.port=0", "rtmp.port=0", "rtmps.port=0", "rtsp.port=0", "media_port_from=0", "reactors=1",
            "bind_address=127.0.0.1",
            "state_dir=\(folder.path)/var", "web_root=\(folder.path)",
        ] + more)
    }

    @Test("a server opens its four doors, makes its certificate, and ends when it is told to")
    func lifeCycle() async throws {
        let folder = try TemporaryFolder(files: ["index.html": "hello"])
        let (ready, readySink) = AsyncStream<[ListenerKind: Int]>.makeStream()
        let server = Server(try settings(folder)) { readySink.yield($0) }
        let running = Task { try await server.run() }
        var iterator = ready.makeAsyncIterator()
        let ports = try #require(await iterator.next())
        #expect(Set(ports.keys) == Set(ListenerKind.allCases))
        #expect(FileManager.default.fileExists(atPath: folder.path + "/var/tls/certificate.pem"))
        let answer = try await Self.get("/", port: try #require(ports[.http]))
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(answer.hasSuffix("hello"))
        running.cancel()
        try? await running.value
        // The port is free again.
        let free = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: "127.0.0.1", port: try #require(ports[.http])).get()
        try await free.close()
    }

    @Test("a port that is taken stops the start with a sentence that names the setting")
    func portInUse() async throws {
        let folder = try TemporaryFolder(files: ["index.html": ""])
        let taken = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup).bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(taken.localAddress?.port)
        for key in ["http.port", "ws.port"] {
            let server = Server(try settings(folder, ["\(key)=\(port)"]))
            let error = await #expect(throws: StartError.self) { try await server.run() }
            #expect(error?.description.contains(key) == true)
            #expect(error?.description.contains(String(port)) == true)
        }
        try await taken.close()
    }

    @Test("files that can't be used stop the start and are named", arguments: [
        ("ssl_certificate_file=/nowhere/c.pem;ssl_private_key_file=/nowhere/k.pem", "/nowhere/c.pem"),
        ("wcs_agent_ca_file=/nowhere/ca.pem", "wcs_agent_ca_file"),
        ("disable_rest_auth=false;rest_users=/nowhere/users", "/nowhere/users"),
        ("web_root=/nowhere/web", "/nowhere/web"),
        ("state_dir=/proc/nothing", "state_dir"),
    ])
    func badFiles(_ pairs: String, _ named: String) async throws {
        let folder = try TemporaryFolder(files: ["index.html": ""])
        let server = Server(try settings(folder, pairs.split(separator: ";").map(String.init)))
        let error = await #expect(throws: StartError.self) { try await server.run() }
        #expect(error?.description.contains(named) == true)
    }

    /// One plain HTTP exchange; the server closes the connection after it.
    private static func get(_ path: String, port: Int) async throws -> String {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: "GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
            var text = ""
            for try await part in inbound { text += String(buffer: part) }
            return text
        }
    }
}
