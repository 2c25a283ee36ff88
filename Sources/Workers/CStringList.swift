// SPDX-License-Identifier: Apache-2.0
// A list of texts as C wants it for exec. Used by whoever starts processes.
import Foundation

enum CStringList {
    static func with<Result>(_ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result) -> Result {
        let copies = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        let pointers = copies.map { UnsafePointer($0) } + [nil]
        return pointers.withUnsafeBufferPointer { buffer in
            // The list ends with nil, so it is never empty and has an address.
            body(buffer.baseAddress.unsafelyUnwrapped)
        }
    }
}
