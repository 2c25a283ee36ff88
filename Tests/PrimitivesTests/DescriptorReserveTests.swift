// SPDX-License-Identifier: Apache-2.0
// Which connections are closed for want of file descriptors.
import Testing

@testable import Primitives

@Suite("The reserve of file descriptors")
struct DescriptorReserveTests {
    @Test("the last numbers are not for connections, at most a quarter of them all", arguments: [
        (223, 256, false), (224, 256, true), (255, 256, true), (991, 1024, false), (992, 1024, true), (29, 40, false), (30, 40, true),
    ] as [(Int32, Int32, Bool)])
    func numbers(descriptor: Int32, limit: Int32, isReserved: Bool) {
        #expect(DescriptorReserve.includes(descriptor, limit: limit) == isReserved)
    }

    @Test("standard error is not among them")
    func own() { #expect(!DescriptorReserve.includes(2)) }
}
