// SPDX-License-Identifier: Apache-2.0
import Testing
@testable import RTMP

struct AMF0Tests {
    @Test("values are written as the specification lays them out")
    func vectors() {
        #expect(AMF0Writer.bytes([.number(1)]) == [0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0])
        #expect(AMF0Writer.bytes([true, "live"]) == [1, 1, 2, 0, 4, 0x6c, 0x69, 0x76, 0x65])
        #expect(AMF0Writer.bytes([["app": "x"]]) == [3, 0, 3, 0x61, 0x70, 0x70, 2, 0, 1, 0x78, 0, 0, 9])
        #expect(AMF0Writer.bytes([nil, .undefined]) == [5, 6])
        #expect(AMF0Writer.bytes([.array([1])]) == [10, 0, 0, 0, 1, 0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0])
    }

    @Test("the connect of ffmpeg is understood")
    func ffmpegConnect() throws {
        // The head of a connect as ffmpeg 5.1 sends it.
        let bytes: [UInt8] = [2, 0, 7] + Array("connect".utf8) + [0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 3, 0, 3] + Array("app".utf8)
            + [2, 0, 4] + Array("live".utf8) + [0, 4] + Array("type".utf8) + [2, 0, 10] + Array("nonprivate".utf8) + [0, 0, 9]
        var reader = AMF0Reader(bytes)
        #expect(try reader.readAll() == ["connect", 1, ["app": "live", "type": "nonprivate"]])
    }

    @Test("what was written is read again")
    func roundTrip() throws {
        let values: [AMF0Value] = [
            "onMetaData", .ecmaArray([.init("width", 1280), .init("name", "ünï"), .init("list", .array([1, "two", nil, ["a": true]]))]),
            .date(1_700_000_000_000), .string(String(repeating: "x", count: 70_000)), .object([]),
        ]
        var reader = AMF0Reader(AMF0Writer.bytes(values))
        #expect(try reader.readAll() == values)
        #expect(reader.isAtEnd)
    }

    @Test("a value that ends too early is refused, wherever it ends; an object may end with the message behind any of its members")
    func truncated() throws {
        let members: [AMF0Value.Member] = [.init("app", "live"), .init("n", 1), .init("list", .array([true, "x"]))]
        let bytes = AMF0Writer.bytes([.object(members)])
        // Its members end at these places; behind each a first zero of a key's length, or of the end mark, may follow.
        let ends = [1: 0, 2: 0, 13: 1, 14: 1, 25: 2, 26: 2, 42: 3, 43: 3, 44: 3]
        #expect(bytes.count == 45)
        for end in 1..<bytes.count {
            var reader = AMF0Reader(Array(bytes[..<end]))
            if let count = ends[end] {
                let values = try reader.readAll()
                #expect(values == [.object(Array(members.prefix(count)))] && reader.isAtEnd)
            } else {
                #expect(throws: RTMPError.self) { try reader.readAll() }
            }
        }
        // Objects in objects end together, arrays with all of their values only.
        let whole: [AMF0Value] = [["a": ["b": true]]]
        var nested = AMF0Reader(Array(AMF0Writer.bytes(whole).dropLast(6)))
        #expect(try nested.readAll() == whole)
        var array = AMF0Reader([10, 0, 0, 0, 2, 5])
        #expect(throws: RTMPError.self) { try array.readAll() }
    }

    @Test("what can't be read ends the values before it; bounds are bounds", arguments: [
        [], [0, 0], [0xff], [3, 0, 1], [7, 0, 0], [17, 1], [2, 0, 9, 0x61], [12, 0xff, 0xff, 0xff, 0xff], [3, 0, 1, 0x61, 11],
    ] as [[UInt8]])
    func readable(rest: [UInt8]) throws {
        let values: [AMF0Value] = [nil, "cam"]
        var reader = AMF0Reader(AMF0Writer.bytes(values) + rest)
        #expect(try reader.readReadable() == values)
        var many = AMF0Reader(AMF0Writer.bytes(values) + [10, 0x7f, 0xff, 0xff, 0xff])
        #expect(throws: RTMPError.self) { try many.readReadable() }
        var deep = AMF0Reader([UInt8]((0...AMF0Reader.maximumDepth).map { _ in [10, 0, 0, 0, 1] as [UInt8] }.joined()))
        #expect(throws: RTMPError.self) { try deep.readReadable() }
        var long = AMF0Reader([UInt8](repeating: 5, count: AMF0Reader.maximumValues + 1))
        #expect(throws: RTMPError.self) { try long.readReadable() }
    }

    @Test("depth and number of values are bounded")
    func bounds() {
        var nested = AMF0Value.number(1)
        for _ in 0..<AMF0Reader.maximumDepth { nested = .array([nested]) }
        var deep = AMF0Reader(AMF0Writer.bytes([nested]))
        #expect(throws: RTMPError.limit("AMF values nested deeper than \(AMF0Reader.maximumDepth)")) { try deep.readAll() }
        var many = AMF0Reader([10, 0x7f, 0xff, 0xff, 0xff] + [UInt8](repeating: 5, count: 100))
        #expect(throws: RTMPError.self) { try many.readAll() }
        var long = AMF0Reader([UInt8](repeating: 5, count: AMF0Reader.maximumValues + 1))
        #expect(throws: RTMPError.self) { try long.readAll() }
    }
}
