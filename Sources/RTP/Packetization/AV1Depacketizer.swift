// SPDX-License-Identifier: Apache-2.0
// RTP payloads back to AV1 temporal units. Used by FrameAssembler.

/// AV1 RTP specification 1.0: puts OBU elements together and gives each OBU its size field back.
public struct AV1Depacketizer: Sendable {
    private var builder = FrameBuilder()
    /// The OBU whose first pieces have come; `nil` = none.
    private var partial: [UInt8]?
    private var hasBegun = false

    public init() {}

    /// Takes the next payload in sequence order; gives a temporal unit when one is finished.
    ///
    /// - Parameters:
    ///   - marker: the packet ends its temporal unit.
    ///   - lost: packets in front of this one are missing.
    public mutating func push(
        payload: UnsafeRawBufferPointer, marker: Bool, timestamp: UInt32, lost: Bool
    ) -> EncodedFrame? {
        if lost || builder.timestamp != timestamp { dropPartial() }
        let isStart = !payload.isEmpty && payload[0] & 0x80 == 0 && ((hasBegun && !lost) || AV1Payload.isFrameStart(payload))
        hasBegun = true
        let (closed, _) = builder.begin(timestamp: timestamp, lost: lost, isStart: isStart)
        take(payload)
        if marker { dropPartial() }
        return builder.end(marker: marker, closed: closed)
    }

    /// What is left at the end of the stream; call until `nil`.
    public mutating func flush() -> EncodedFrame? {
        dropPartial()
        return builder.flush()
    }

    private mutating func take(_ payload: UnsafeRawBufferPointer) {
        guard payload.count > 1 else { return builder.markBroken() }
        let continues = payload[0] & 0x80 != 0
        let isContinued = payload[0] & 0x40 != 0
        if !continues { dropPartial() }
        var elements = AV1Elements(payload)
        var isFirst = true
        while let element = elements.next() {
            let isLast = elements.isAtEnd
            if isFirst, continues {
                if partial == nil {
                    builder.markBroken()
                } else if (partial?.count ?? 0) + element.count > FrameBuilder.maximumBytes {
                    dropPartial()
                } else {
                    partial?.append(contentsOf: element)
                }
                if !(isLast && isContinued), let whole = partial {
                    partial = nil
                    whole.withUnsafeBytes { append($0) }
                }
            } else if isLast, isContinued {
                partial = Array(element)
            } else if !element.isEmpty {
                append(element)
            }
            isFirst = false
        }
        if !elements.isAtEnd { builder.markBroken() }
    }

    private mutating func dropPartial() {
        guard partial != nil else { return }
        partial = nil
        builder.markBroken()
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let unit = AV1Unit(bytes) else { return builder.markBroken() }
        switch unit.type {
        case AV1Payload.temporalDelimiter, AV1Payload.tileList, AV1Payload.padding: return
        case AV1Payload.frame, AV1Payload.frameHeader:
            // show_existing_frame 0, frame_type KEY_FRAME (AV1 §5.9.2).
            if let first = unit.payload.first, first & 0xe0 == 0 { builder.markKeyFrame() }
        default: break
        }
        if builder.bytes.isEmpty { builder.append([AV1Payload.temporalDelimiter << 3 | 0x02, 0]) }
        var head = [unit.header[0] | 0x02]
        head.append(contentsOf: unit.header[1...])
        LEB128.append(unit.payload.count, to: &head)
        builder.append(head)
        builder.append(unit.payload)
    }
}
