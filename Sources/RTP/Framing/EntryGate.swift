// SPDX-License-Identifier: Apache-2.0
// Lets a decoder's frames begin, and go on after a loss, where decoding can begin. Used by whoever decodes, records or hands frames on.

/// Judges the frames of one video track in decoding order. Closed at first.
public struct EntryGate: Sendable {
    public enum Verdict: Equatable, Sendable {
        case take
        /// It is shown before the picture that decoding began with, and refers to what lies before that: of no use to anybody.
        case leading
        /// Nothing can be done before a key frame comes.
        case wait
    }

    private var isOpen = false
    /// Where decoding began, until the pictures that lead up to it are over.
    private var entry: UInt32?

    public init() {}

    /// Nothing passes before the next key frame.
    public mutating func close() {
        isOpen = false
        entry = nil
    }

    public mutating func judge(_ frame: EncodedFrame) -> Verdict {
        let isEntry = frame.isKeyFrame && frame.isComplete
        if !frame.isComplete || frame.followsLoss, !isEntry { isOpen = false }
        guard isOpen else {
            guard isEntry else { return .wait }
            isOpen = true
            entry = frame.timestamp
            return .take
        }
        guard let entry else { return .take }
        // Timestamps are of showing: in an open group of pictures some behind the first are shown before it.
        if Int32(bitPattern: frame.timestamp &- entry) < 0 { return .leading }
        if frame.timestamp != entry { self.entry = nil }
        return .take
    }
}
