// SPDX-License-Identifier: Apache-2.0
import RTP
import Testing

struct Base64Tests {
    private static let sps: [UInt8] = [0x67, 0x42, 0x00, 0x1f, 0xd9], pps: [UInt8] = [0x68, 0xc9]

    @Test("what is written is read again")
    func roundTrip() {
        for count in 0..<9 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 67) }
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        }
        #expect(Base64.encode([Self.sps, Self.pps]) == "Z0IAH9k=,aMk=")
        #expect(Base64.decode("Z0IA*") == nil)
    }

    @Test("parameter sets are read as cameras write them", arguments: [
        "Z0IAH9k=,aMk=", "Z0IAH9k,aMk", "AAAAAWdCAB/Z,AAAAAWjJ", "AAABZ0IAH9k=,AAABaMk=", "AAAAAWdCAB/Z,aMk=", "\"Z0IAH9k=,aMk=\"",
        "\"Z0IAH9k=\", \"aMk=\"", " Z0IAH9k= ,\taMk= ", "Z0IAH9k=,aMk=,", "Z0IAH9k=,*,AAAAAQ==,\"\",aMk=",
    ])
    func parameterSets(_ text: String) {
        #expect(Base64.parameterSets(text) == [Self.sps, Self.pps])
    }

    @Test("what is no start code stays")
    func zeros() {
        for unit: [UInt8] in [[0], [0, 0], [0, 0, 0], [0, 0, 2, 1], [0, 1], [1]] { #expect(Base64.parameterSets(Base64.encode(unit)) == [unit]) }
        #expect(Base64.parameterSets("").isEmpty)
    }
}
