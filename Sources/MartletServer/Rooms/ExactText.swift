// Names of rooms and logins as keys. Swift takes "é" and "e + accent" for the same string, browsers don't; a room is found
// again by the client only under the very code points it sent.

/// A text that equals another only when it is the same byte by byte in UTF-8.
struct ExactText: Hashable, Sendable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: ExactText, right: ExactText) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
        hasher.combine(text.utf8.count)
    }
}
