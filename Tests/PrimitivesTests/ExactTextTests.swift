// SPDX-License-Identifier: Apache-2.0
import Primitives
import Testing

struct ExactTextTests {
    @Test("texts that Swift takes for equal are different keys when their bytes differ")
    func bytes() {
        let composed = "caf\u{e9}", combined = "cafe\u{301}"
        #expect(composed == combined)
        #expect(ExactText(composed) != ExactText(combined))
        #expect(Set([composed, combined, composed].map(ExactText.init)).count == 2)
    }
}
