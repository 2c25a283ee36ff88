// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTPTypes
import Testing

@testable import MartletServer

struct WebStaticFilesTests {
    private let folder: TemporaryFolder
    private let harness: WebHarness

    init() throws {
        folder = try TemporaryFolder(files: [
            "outside.txt": "secret", "pages/index.html": "<h1>Martlet</h1>", "pages/player/index.html": "player", "pages/sdk/a.js": "export {}",
            "pages/clip.mp4": "0123456789", "pages/empty.txt": "", "pages/.hidden": "secret",
            "pages/aliases.txt": "# WCS\n/client2/player/player.html /player/index.html\n/client2/old/ /sdk/\nbroken\n/client2/ /index.html\n/client2/up/ /../\n",
        ])
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/pages/link.txt", withDestinationPath: folder.path + "/outside.txt")
        harness = WebHarness(pages: try StaticFiles(root: folder.path + "/pages"))
    }

    private func get(_ path: String, _ headers: HTTPFields = [:]) async throws -> Answer { try await harness.send(.get, path, headers: headers) }

    @Test("the root and folders answer with their index, files with their content type")
    func files() async throws {
        let index = try await get("/")
        #expect(index.status == 200)
        #expect(index.text == "<h1>Martlet</h1>")
        #expect(index.headers[.contentType] == "text/html; charset=utf-8")
        #expect(index.headers[.contentLength] == "16")
        #expect(try await get("/player/?streamName=a").text == "player")
        #expect(try await get("/sdk/a.js").headers[.contentType] == "text/javascript; charset=utf-8")
        #expect(try await get("/clip.mp4").headers[.contentType] == "video/mp4")
        #expect(try await get("/empty.txt").status == 200)
    }

    @Test("a folder without its slash redirects to it, so that relative links work")
    func folderRedirect() async throws {
        let answer = try await get("/player?streamName=a")
        #expect(answer.status == 302)
        #expect(answer.headers[.location] == "/player/?streamName=a")
    }

    @Test("nothing outside the folder, no hidden file and no alias table is given out", arguments: [
        "/../outside.txt", "/%2e%2e/outside.txt", "/sdk/../../outside.txt", "/..%2foutside.txt", "/link.txt", "/.hidden",
        "/sdk/%00a.js", "/..\\outside.txt", "//../outside.txt", "/aliases.txt", "/nothing", "/sdk", "/%zz",
    ])
    func traversal(_ path: String) async throws {
        let answer = try await get(path)
        #expect([400, 404].contains(answer.status), "\(path)")
        #expect(!answer.text.contains("secret"))
    }

    @Test("a client that has the file already is told so")
    func revalidation() async throws {
        let first = try await get("/clip.mp4")
        let tag = try #require(first.headers[.eTag])
        let date = try #require(first.headers[.lastModified])
        #expect(try await get("/clip.mp4", [.ifNoneMatch: tag]).status == 304)
        #expect(try await get("/clip.mp4", [.ifNoneMatch: "\"x\", W/\(tag)"]).status == 304)
        #expect(try await get("/clip.mp4", [.ifNoneMatch: "\"x\""]).status == 200)
        #expect(try await get("/clip.mp4", [.ifModifiedSince: date]).status == 304)
        #expect(try await get("/clip.mp4", [.ifModifiedSince: "Sun, 06 Nov 1994 08:49:37 GMT"]).status == 200)
        try folder.write("0123456789x", to: "pages/clip.mp4")
        #expect(try await get("/clip.mp4", [.ifNoneMatch: tag]).status == 200)
    }

    @Test("parts of a file are given as asked, and 416 where there is nothing")
    func ranges() async throws {
        func part(_ range: String) async throws -> (Int, String, String?) {
            let answer = try await get("/clip.mp4", [.range: range])
            return (answer.status, answer.text, answer.headers[.contentRange])
        }
        #expect(try await part("bytes=2-4") == (206, "234", "bytes 2-4/10"))
        #expect(try await part("bytes=7-") == (206, "789", "bytes 7-9/10"))
        #expect(try await part("bytes=-3") == (206, "789", "bytes 7-9/10"))
        #expect(try await part("bytes=8-100") == (206, "89", "bytes 8-9/10"))
        #expect(try await part("bytes=-100") == (206, "0123456789", "bytes 0-9/10"))
        #expect(try await part("bytes=10-") == (416, "", "bytes */10"))
        #expect(try await part("bytes=-0") == (416, "", "bytes */10"))
        #expect(try await part("bytes=99999999999999999999-") == (416, "", "bytes */10"))
        #expect(try await part("bytes=5-2") == (200, "0123456789", nil))
        #expect(try await part("bytes=0-1,3-4") == (200, "0123456789", nil))
        #expect(try await part("lines=1-2") == (200, "0123456789", nil))
        let stale = try await get("/clip.mp4", [.range: "bytes=2-4", .ifRange: "\"old\""])
        #expect(stale.status == 200)
        let tag = try #require(stale.headers[.eTag])
        #expect(try await get("/clip.mp4", [.range: "bytes=2-4", .ifRange: tag]).status == 206)
    }

    @Test("HEAD tells the size without the content")
    func head() async throws {
        let answer = try await harness.send(.head, "/clip.mp4")
        #expect(answer.status == 200)
        #expect(answer.headers[.contentLength] == "10")
        #expect(answer.bytes.isEmpty)
    }

    @Test("pages are found under their vendor paths too, and nothing else is")
    func aliases() async throws {
        let answer = try await get("/client2/player/player.html?streamName=a&autoplay=true")
        #expect(answer.status == 200)
        #expect(answer.text == "player")
        #expect(answer.headers[.contentType] == "text/html; charset=utf-8")
        #expect(try await get("/client2/old/a.js").text == "export {}")
        #expect(try await get("/client2/").text == "<h1>Martlet</h1>")
        #expect(try await get("/client2/other.html").status == 404)
        #expect(try await get("/client2/old/../../outside.txt").status == 400)
        #expect(try await get("/client2/up/outside.txt").status == 400)
    }

    @Test("pages only answer to reading")
    func writing() async throws {
        #expect(try await harness.send(.post, "/index.html", body: "x").status == 405)
        #expect(try await harness.send(.options, "/index.html").status == 204)
    }

    @Test("a server without pages says so")
    func noPages() async throws {
        let answer = try await WebHarness().send(.get, "/")
        #expect(answer.status == 404)
        #expect(answer.text.contains("web_root"))
        #expect(throws: SettingsError.self) { try StaticFiles(root: folder.path + "/none") }
    }

    @Test("dates are written and read as HTTP has them")
    func dates() {
        #expect(HTTPDate.text(seconds: 784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(HTTPDate.seconds("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
        #expect(HTTPDate.seconds("06/11/1994") == nil)
    }
}
