// SPDX-License-Identifier: Apache-2.0
// Requests to the web side without sockets, and answers with their body read.
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOEmbedded
import Signalling
import Synchronization

@testable import MartletServer

/// An answer as a client sees it.
struct Answer {
    let status: Int
    let headers: HTTPFields
    let bytes: [UInt8]
    var text: String { String(decoding: bytes, as: UTF8.self) }
    var json: JSONValue? { try? JSONValue(parsing: text) }
}

private final class Collector: Sendable {
    let bytes = Mutex<[UInt8]>([])
}

private struct CollectingWriter: ResponseBodyWriter {
    let collector: Collector
    mutating func write(_ buffer: ByteBuffer) async throws {
        collector.bytes.withLock { $0.append(contentsOf: buffer.readableBytesView) }
    }
    consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
}

/// The web side of a server with the given parts.
struct WebHarness {
    var routes: [RESTRoute] = []
    var sources: [any StatSource] = []
    var pages: StaticFiles?
    var settings = Settings()
    var authentication: BasicAuthentication?

    func send(
        _ method: HTTPRequest.Method, _ path: String, body: String? = nil, headers: HTTPFields = [:], router: RESTRouter? = nil
    ) async throws -> Answer {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let responder = WebResponder(
            router: router ?? RESTRouter(routes: routes, logger: logger), statistics: StatPage(sources: sources), pages: pages,
            crossOriginHeaders: CrossOriginHeaders.make(from: settings), authentication: authentication, logger: logger)
        let request = Request(
            head: HTTPRequest(method: method, scheme: "http", authority: "localhost", path: path, headerFields: headers),
            body: RequestBody(buffer: ByteBuffer(string: body ?? "")))
        let channel = NIOAsyncTestingChannel()
        let context = WebRequestContext(source: .init(channel: channel, logger: logger))
        let response = try await responder.respond(to: request, context: context)
        let collector = Collector()
        try await response.body.write(CollectingWriter(collector: collector))
        // An open one holds itself.
        _ = try await channel.finish(acceptAlreadyClosed: true)
        return Answer(status: response.status.code, headers: response.headers, bytes: collector.bytes.withLock { $0 })
    }
}

/// A folder that is removed with the value's owner.
final class TemporaryFolder: Sendable {
    let path: String

    init(files: [String: String] = [:]) throws {
        path = NSTemporaryDirectory() + "martlet-test-\(UUID().uuidString)"
        for (name, text) in files { try write(text, to: name) }
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    func write(_ text: String, to name: String) throws {
        let url = URL(fileURLWithPath: path + "/" + name)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
