// SPDX-License-Identifier: Apache-2.0
// Gathers the packets of one frame; what all video depacketisers have in common. Owned by each of them.

/// The frame being put together: where it begins and ends is told by timestamp and marker (RFC 6184 §5.1 and the like).
struct FrameBuilder: Sendable {
    /// A frame longer than this is cut off and incomplete.
    static let maximumBytes = 8 << 20

    private(set) var isOpen = false
    private(set) var bytes: [UInt8] = []
    private(set) var timestamp: UInt32 = 0
    /// Nothing of the open frame is missing so far.
    private(set) var isIntact = true
    private var followsLoss = false
    private var isKeyFrame = false
    /// Loss since the last frame that was given out.
    private var lossBefore = false
    /// A frame that ended only when the next began, together with that next one. Never more than one.
    private var waiting: EncodedFrame?

    /// Begins a packet: closes the frame before it if that one's marker never came, and opens a new one if none is open.
    ///
    /// - Parameters:
    ///   - isStart: the packet can be a frame's first.
    /// - Returns: the frame that was closed, and whether a new one was opened; `closed` is to be handed to `end`.
    mutating func begin(timestamp: UInt32, lost: Bool, isStart: Bool) -> (closed: EncodedFrame?, isNew: Bool) {
        var closed: EncodedFrame?
        if isOpen, timestamp != self.timestamp {
            if lost { isIntact = false }
            closed = close()
        }
        if lost { lossBefore = true }
        guard !isOpen else {
            if lost {
                isIntact = false
                followsLoss = true
            }
            return (closed, false)
        }
        isOpen = true
        self.timestamp = timestamp
        isIntact = isStart
        isKeyFrame = false
        followsLoss = lossBefore || !isStart
        return (closed, true)
    }

    /// What has been gathered belongs to the frame of another timestamp, which begins now.
    mutating func carry(to timestamp: UInt32) { self.timestamp = timestamp }

    /// Ends a packet. Gives at most one frame; a second one waits for the next call or for `flush`.
    mutating func end(marker: Bool, closed: EncodedFrame?) -> EncodedFrame? {
        let first = waiting ?? closed
        var second = waiting == nil ? nil : closed
        waiting = nil
        if marker, let frame = close() {
            if first == nil { return frame }
            second = frame
        }
        waiting = second
        return first
    }

    /// What has not been given out; call until `nil`. A frame without its last packet is incomplete.
    mutating func flush() -> EncodedFrame? {
        if let frame = waiting {
            waiting = nil
            return frame
        }
        isIntact = false
        return close()
    }

    mutating func append(_ data: some Collection<UInt8>) {
        guard bytes.count + data.count <= Self.maximumBytes else { return markBroken() }
        bytes.append(contentsOf: data)
    }

    mutating func removeLast(_ count: Int) { bytes.removeLast(min(count, bytes.count)) }
    mutating func set(_ value: UInt8, at index: Int) { if bytes.indices.contains(index) { bytes[index] = value } }
    mutating func markKeyFrame() { isKeyFrame = true }

    /// Something of the open frame is missing or malformed.
    mutating func markBroken() { isIntact = false }

    private mutating func close() -> EncodedFrame? {
        guard isOpen else { return nil }
        isOpen = false
        guard !bytes.isEmpty else {
            lossBefore = lossBefore || !isIntact
            return nil
        }
        let whole = bytes
        bytes = []
        let frame = EncodedFrame(
            bytes: whole, timestamp: timestamp, isKeyFrame: isKeyFrame, isComplete: isIntact, followsLoss: followsLoss)
        lossBefore = !isIntact
        return frame
    }
}
