// SPDX-License-Identifier: Apache-2.0
// Names that clients chose, as keys. Swift takes "é" and "e + accent" for the same string, browsers and encoders don't; a room, a login or a
// stream is found again only under the very code points it was named by.

/// A text that equals another only when it is the same byte by byte in UTF-8.
public struct ExactText: Hashable, Sendable {
    public let text: String

    public init(_ text: String) { self.text = text }

    public static func == (left: ExactText, right: ExactText) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    public func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
        hasher.combine(text.utf8.count)
    }
}
