// SPDX-License-Identifier: Apache-2.0
// Puts the chunks of a connection together to messages. Takes bytes in pieces of any size; obeys Set Chunk Size and Abort itself,
// because they change how the next byte is read. Owned by RTMPLink.
import Primitives

struct ChunkReader {
    /// What a chunk stream remembers from its last header, and the message that is arriving on it.
    private struct Stream {
        var timestamp: UInt32 = 0
        /// The timestamp field of the last header of types 0–2: an absolute time or a delta.
        var field: UInt32 = 0
        var hasExtendedTimestamp = false
        var length = 0
        var type: UInt8 = 0
        var streamID: UInt32 = 0
        var hasHeader = false
        var payload: [UInt8] = []
        /// In the middle of a message. A message without payload is complete with its header.
        var isIncomplete = false
        /// When its first chunk came.
        var began = Instant.zero
    }

    /// The chunk whose payload is arriving.
    private struct Chunk {
        let id: Int
        var remaining: Int
    }

    private let limits: RTMPLimits
    private var streams: [Int: Stream] = [:]
    /// Bytes of a header that is not complete yet; never more than a header.
    private var header: [UInt8] = []
    private var chunk: Chunk?
    private(set) var chunkSize = 128
    /// Bytes of incomplete messages, over all chunk streams.
    private(set) var incompleteBytes = 0
    private var maximumIncomplete: Int
    private var now = Instant.zero

    init(limits: RTMPLimits) {
        self.limits = limits
        maximumIncomplete = limits.maximumIncomplete
    }

    /// Bounds the bytes of incomplete messages from now on.
    mutating func bound(incomplete bytes: Int) { maximumIncomplete = bytes }

    /// When the oldest message that is not complete began.
    var oldestIncomplete: Instant? { streams.values.filter(\.isIncomplete).map(\.began).min() }

    /// Takes bytes; appends each message that they complete.
    mutating func receive(_ bytes: UnsafeRawBufferPointer, at now: Instant, into messages: inout [RTMPMessage]) throws(RTMPError) {
        self.now = now
        try receive(bytes, into: &messages)
    }

    private mutating func receive(_ bytes: UnsafeRawBufferPointer, into messages: inout [RTMPMessage]) throws(RTMPError) {
        var offset = 0
        while offset < bytes.count {
            if let current = chunk {
                let count = min(current.remaining, bytes.count - offset)
                streams[current.id]?.payload.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count]))
                incompleteBytes += count
                offset += count
                chunk?.remaining -= count
                if current.remaining == count { try endChunk(current.id, &messages) }
                // A chunk may be as long as its message, so that this can't wait for its end.
                guard incompleteBytes <= maximumIncomplete else { throw .limit("\(incompleteBytes) bytes of incomplete messages") }
            } else {
                header.append(bytes[offset])
                offset += 1
                if let parsed = try parseHeader() {
                    try begin(parsed.id, unread: parsed.unread, &messages)
                }
            }
        }
    }

    /// Reads `header`. `nil`: more of it is to come. `unread`: bytes at its end that are payload already.
    private mutating func parseHeader() throws(RTMPError) -> (id: Int, unread: Int)? {
        let format = header[0] >> 6
        var id = Int(header[0] & 0x3f), base = 1
        if id < 2 {
            base = id == 0 ? 2 : 3
            guard header.count >= base else { return nil }
            id = id == 0 ? Int(header[1]) + 64 : Int(header[2]) * 256 + Int(header[1]) + 64
        }
        let messageHeader = [11, 7, 3, 0][Int(format)]
        guard header.count >= base + messageHeader else { return nil }
        guard streams[id] != nil || streams.count < limits.maximumChunkStreams else {
            throw .limit("more than \(limits.maximumChunkStreams) chunk streams")
        }
        var stream = streams[id] ?? Stream()
        // Encoders begin chunk streams with type 1 as well: those messages name stream 0. Type 2 and 3 alone would leave the length open.
        guard stream.hasHeader || format < 2 else { throw .malformed("chunk stream \(id) begins with a header of type \(format)") }
        guard format == 3 || !stream.isIncomplete else {
            throw .malformed("a message on chunk stream \(id) begins before the last one has ended")
        }
        if format < 3 {
            let field = Self.uint24(header, at: base)
            stream.hasExtendedTimestamp = field == 0xff_ffff
            if format < 2 {
                stream.length = Int(Self.uint24(header, at: base + 3))
                stream.type = header[base + 6]
            }
            if format == 0 { stream.streamID = UInt32(littleEndianBytes: header[(base + 7)...]) }
            stream.field = field
        }
        var unread = 0
        if stream.hasExtendedTimestamp {
            let at = base + messageHeader
            guard header.count >= at + 4 else { return nil }
            let extended = header[at..<at + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            if format < 3 {
                stream.field = extended
            } else if extended != stream.field {
                // Some leave it out in the later chunks of a message, against the specification: then it is payload.
                unread = 4
            }
        }
        if !stream.isIncomplete {
            stream.timestamp = format == 0 ? stream.field : stream.timestamp &+ stream.field
            let maximum = Self.isMedia(stream.type) ? limits.maximumMediaMessage : limits.maximumCommandMessage
            guard stream.length <= maximum else {
                throw .limit("a message of type \(stream.type) with \(stream.length) bytes; \(maximum) are allowed")
            }
        }
        stream.hasHeader = true
        streams[id] = stream
        return (id, unread)
    }

    /// The header of a chunk is complete.
    private mutating func begin(_ id: Int, unread: Int, _ messages: inout [RTMPMessage]) throws(RTMPError) {
        let payload = Array(header.suffix(unread))
        header.removeAll(keepingCapacity: true)
        guard let stream = streams[id] else { return }
        let left = min(stream.length - stream.payload.count, chunkSize)
        if !stream.isIncomplete { streams[id]?.began = now }
        streams[id]?.isIncomplete = true
        chunk = Chunk(id: id, remaining: left)
        guard left > 0 else { return try endChunk(id, &messages) }
        try payload.withBytes { bytes throws(RTMPError) in try receive(bytes, into: &messages) }
    }

    private mutating func endChunk(_ id: Int, _ messages: inout [RTMPMessage]) throws(RTMPError) {
        chunk = nil
        guard let stream = streams[id] else { return }
        guard stream.payload.count >= stream.length else { return }
        streams[id]?.payload = []
        streams[id]?.isIncomplete = false
        incompleteBytes -= stream.payload.count
        let complete = RTMPMessage(type: stream.type, streamID: stream.streamID, timestamp: stream.timestamp, payload: stream.payload)
        switch complete.type {
        case RTMPMessageType.setChunkSize:
            // The first bit is zero, and no message is longer than the largest size (§5.4.1).
            guard let size = complete.uint32(), size >= 1, size <= UInt32(Int32.max) else { throw .malformed("Set Chunk Size out of range") }
            chunkSize = min(Int(size), limits.maximumChunkSize)
        case RTMPMessageType.abort:
            // One that names no chunk stream is for the log.
            guard let id = complete.uint32() else { return messages.append(complete) }
            if let aborted = streams[Int(id)], aborted.isIncomplete {
                incompleteBytes -= aborted.payload.count
                streams[Int(id)]?.payload = []
                streams[Int(id)]?.isIncomplete = false
            }
        default: messages.append(complete)
        }
    }

    private static func isMedia(_ type: UInt8) -> Bool { RTMPMessage(type: type, payload: []).isMedia }

    private static func uint24(_ bytes: [UInt8], at offset: Int) -> UInt32 {
        UInt32(bytes[offset]) << 16 | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2])
    }
}

extension RTMPMessage {
    /// The big-endian number at the payload's start; `nil` when it is too short.
    func uint32(at offset: Int = 0) -> UInt32? {
        guard payload.count >= offset + 4 else { return nil }
        return payload[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}

extension UInt32 {
    init(littleEndianBytes bytes: ArraySlice<UInt8>) {
        self = bytes.prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}
