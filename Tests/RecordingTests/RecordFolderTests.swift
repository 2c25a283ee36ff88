// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Recording

struct RecordFolderTests {
    @Test("one server has a folder at a time")
    func lock() throws {
        let scratch = try Scratch(), folder = RecordFolder(path: scratch.path + "/records")
        try folder.prepare()
        var first = try folder.lock()
        #expect(first != nil)
        #expect(throws: RecordFolder.Taken.self) { try folder.lock() }
        #expect(folder.unfinished().isEmpty)
        first = nil
        #expect(try folder.lock() != nil)
    }

    @Test("a name that is taken gets a number, and nothing is written over")
    func names() throws {
        let scratch = try Scratch()
        let folder = RecordFolder(path: scratch.path)
        try folder.prepare()
        for index in 1...3 {
            let file = scratch.path + "/.recording/x"
            try Data([UInt8(index)]).write(to: URL(fileURLWithPath: file))
            let name = try folder.publish(file) { $0 == 1 ? "a.mp4" : "a_\($0).mp4" } about: { _ in nil }
            #expect(name == (index == 1 ? "a.mp4" : "a_\(index).mp4"))
            #expect(!FileManager.default.fileExists(atPath: file))
        }
        #expect(FileManager.default.contents(atPath: scratch.path + "/a.mp4") == Data([1]))
    }

    @Test("on a file system without links, too, a name is taken by one file only")
    func claiming() throws {
        let scratch = try Scratch()
        let folder = RecordFolder(path: scratch.path)
        try folder.prepare()
        for text in ["first", "second"] { try Data(text.utf8).write(to: URL(fileURLWithPath: scratch.path + "/.recording/\(text)")) }
        let target = scratch.path + "/name.mp4"
        #expect(try folder.claimAndRename(scratch.path + "/.recording/first", target))
        #expect(try !folder.claimAndRename(scratch.path + "/.recording/second", target))
        #expect(FileManager.default.contents(atPath: target) == Data("first".utf8))
        #expect(throws: RecordingError.self) { try folder.claimAndRename(scratch.path + "/.recording/missing", scratch.path + "/other.mp4") }
        #expect(!FileManager.default.fileExists(atPath: scratch.path + "/other.mp4"))
    }

    @Test("what is known of a record is found again by its name, however long that is")
    func notes() throws {
        let scratch = try Scratch()
        let folder = RecordFolder(path: scratch.path)
        try folder.prepare()
        let name = String(repeating: "n", count: 250) + ".mp4"
        try Data(repeating: 0, count: 10).write(to: URL(fileURLWithPath: scratch.path + "/.recording/x"))
        let facts = RecordFacts(streamName: "s", mediaSessionID: "m", sessionID: "", login: "Alice")
        let record = FinishedRecord(fileName: name, facts: facts, startTime: 1, endTime: 2)
        try Data([0xff]).write(to: URL(fileURLWithPath: scratch.path + "/t.jpg"))
        let published = try folder.publish(scratch.path + "/.recording/x", thumbnail: scratch.path + "/t.jpg") { _ in name } about: { published in
            // It isn't listed before this is known.
            #expect(folder.list().isEmpty)
            return record.named(published)
        }
        #expect(published == name)
        #expect(folder.list() == [record])
        #expect(folder.thumbnail(of: name) == [0xff])
        #expect(folder.thumbnail(of: "../" + name) == nil)
    }

    @Test("unfinished parts are found with their recording, halves of a last step are thrown away")
    func unfinished() throws {
        let scratch = try Scratch()
        let folder = RecordFolder(path: scratch.path)
        try folder.prepare()
        let facts = RecordFacts(streamName: "s", mediaSessionID: "m", sessionID: "", login: "")
        let record = UnfinishedRecord(facts: facts, template: .standard, partStarts: [1: 5], partTimes: [1: 7_000])
        try folder.note(record, stem: "abc")
        for file in ["abc-1.mp4", "abc-2.mp4", "abc-2.mp4.done", "def-1.webm", "strange"] {
            try Data([1]).write(to: URL(fileURLWithPath: scratch.path + "/.recording/" + file))
        }
        let found = folder.unfinished()
        #expect(found.map(\.stem) == ["abc", "def"])
        #expect(found[0].record == record && found[0].parts.map(\.number) == [1, 2] && found[1].record == nil)
        #expect(!FileManager.default.fileExists(atPath: scratch.path + "/.recording/abc-2.mp4.done"))
        #expect(folder.hasParts(of: "abc") && folder.hasParts(of: "def") && !folder.hasParts(of: "ab") && !folder.hasParts(of: "other"))
    }
}
