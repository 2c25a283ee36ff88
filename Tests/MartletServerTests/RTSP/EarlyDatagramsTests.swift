// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MartletServer

struct EarlyDatagramsTests {
    private func datagram(_ number: Int, length: Int = 4) -> EarlyDatagrams.Datagram {
        let bytes = [UInt8(number >> 8 & 0xff), UInt8(number & 0xff)] + [UInt8](repeating: 7, count: length - 2)
        return EarlyDatagrams.Datagram(track: number % 2, isReport: number % 5 == 0, bytes: bytes)
    }

    @Test("what comes early is given in its order, once")
    func order() {
        var early = EarlyDatagrams()
        for number in 0..<40 { early.keep(datagram(number)) }
        #expect(early.takeAll() == (0..<40).map { datagram($0) })
        #expect(early.takeAll().isEmpty && early.lost == 0)
        // There is room again.
        early.keep(datagram(40))
        #expect(early.takeAll() == [datagram(40)])
    }

    @Test("the first of them are kept, as many as fit; the others are counted")
    func bounds() {
        var many = EarlyDatagrams()
        for number in 0..<1100 { many.keep(datagram(number)) }
        #expect(many.lost == 76 && many.takeAll() == (0..<1024).map { datagram($0) })
        var long = EarlyDatagrams()
        for number in 0..<20 { long.keep(datagram(number, length: 65_000)) }
        // 16 of them are less than a megabyte, and a short one still fits behind.
        long.keep(datagram(20))
        #expect(long.lost == 4 && long.takeAll() == (0..<16).map { datagram($0, length: 65_000) } + [datagram(20)])
    }
}
