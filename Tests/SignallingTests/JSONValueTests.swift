// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Signalling

@Suite("JSON values")
struct JSONValueTests {
    @Test("a document comes back as it was written")
    func roundTrip() throws {
        let text = #"{"a":[1,-2.5,true,false,null],"b":{"c":"\"\\\n\u0001é😀"},"n":9007199254740993}"#
        let value = try JSONValue(parsing: text)
        #expect(value["n"]?.intValue == 9_007_199_254_740_993)
        #expect(value["a"]?[1]?.doubleValue == -2.5)
        #expect(value["b"]?["c"]?.stringValue == "\"\\\n\u{1}é😀")
        #expect(try JSONValue(parsing: value.serialized()) == value)
    }

    @Test("escapes, surrogate pairs and lone surrogates are read")
    func escapes() throws {
        #expect(try JSONValue(parsing: #""\u0041\/\b\f\r\t""#) == "A/\u{8}\u{c}\r\t")
        #expect(try JSONValue(parsing: #""\ud83d\ude00""#) == "😀")
        #expect(try JSONValue(parsing: #""\ud83dx""#) == "\u{fffd}x")
        #expect(try JSONValue(parsing: #""\ud83d\u0041""#) == "\u{fffd}A")
    }

    @Test(
        "what is no JSON is refused",
        arguments: [
            "", " ", "{", "[1,", "[1 2]", "{\"a\"}", "{\"a\":}", "{a:1}", "\"", "\"\\x\"", "\"\\u12\"", "tru", "nul", "01", "1.", "1e", "-",
            "+1", "[1]]", "{}x", "\"a\nb\"", "1e999", "[,]", "{\"a\":1,}", "NaN", "'a'",
        ])
    func refuses(text: String) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    }

    @Test("deep nesting is refused instead of followed")
    func depth() throws {
        #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: "[", count: 100_000)) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: "{\"a\":", count: 100_000)) }
        let allowed = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(try JSONValue(parsing: allowed).arrayValue != nil)
    }

    @Test("numbers and booleans from text boxes are understood")
    func lenient() {
        #expect(JSONValue.string("640").lenientInt == 640)
        #expect(JSONValue.string("12.7").lenientInt == 12)
        #expect(JSONValue.number(3.9).lenientInt == 3)
        #expect(JSONValue.string("x").lenientInt == nil)
        #expect(JSONValue.number(1e300).lenientInt == nil)
        #expect(JSONValue.string("true").lenientBool == true)
        #expect(JSONValue.integer(0).lenientBool == false)
        #expect(JSONValue.integer(5).lenientString == "5")
        #expect(JSONValue.null.lenientString == nil)
    }

    @Test("broken documents never crash the parser")
    func mutations() throws {
        let seed = Array(#"{"message":"publishStream","data":[{"sdp":"v=0\r\n\u00e9","n":[1,2.5e3,{"a":null}]}]}"#.utf8)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = seed
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: index)
                default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
                }
            }
            _ = bytes.withUnsafeBytes { raw in try? JSONValue(parsing: raw) }
        }
    }
}
