// SPDX-License-Identifier: Apache-2.0
// A plain thread for blocking calls, which must not be made on Swift's own pool. Used by both sides of a worker.
import Foundation

enum DetachedThread {
    /// Codecs want deep stacks: dav1d and x264 use some hundred kilobytes.
    static let stackSize = 8 << 20

    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let thread = Thread(block: body)
        thread.name = name
        thread.stackSize = stackSize
        thread.start()
    }
}
