// SPDX-License-Identifier: Apache-2.0
// What both sides of a connection have in common: handshake, chunks, acknowledgements, pings. Owned by RTMPServerSession and
// RTMPClientSession; a value, driven by bytes.
import Primitives

struct RTMPLink {
    private var handshake: RTMPHandshake
    private var reader: ChunkReader
    private var writer = ChunkWriter()
    /// Bytes for the far side, not taken yet.
    private var output: [UInt8] = []
    /// The far side wants to be told of every so many bytes; 0 = it hasn't said, or doesn't want to be.
    private var acknowledgementWindow: UInt32 = 0
    private var receivedBytes: UInt32 = 0
    private var acknowledgedBytes: UInt32 = 0
    /// What we announced last.
    private var announcedWindow: UInt32 = 0

    /// Large chunks: one header per 60 kB instead of per 128 bytes.
    static let ownChunkSize = 60_000
    static let ownWindow: UInt32 = 5_000_000

    init(role: RTMPHandshake.Role, usesDigest: Bool = false, limits: RTMPLimits, random: RandomSource) {
        handshake = RTMPHandshake(role: role, usesDigest: usesDigest, random: random)
        reader = ChunkReader(limits: limits)
        if role == .client { output = handshake.begin() }
    }

    var isOpen: Bool { handshake.isDone }
    /// Bytes of messages that have arrived in part.
    var incompleteBytes: Int { reader.incompleteBytes }
    /// When the oldest of them began.
    var oldestIncomplete: Instant? { reader.oldestIncomplete }
    mutating func bound(incomplete bytes: Int) { reader.bound(incomplete: bytes) }

    mutating func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    /// Takes bytes; returns the messages that they complete, without those that concern the link only. Of those come the ones that are too
    /// short to be used.
    mutating func receive(_ bytes: UnsafeRawBufferPointer, at now: Instant = .zero) throws(RTMPError) -> [RTMPMessage] {
        var messages: [RTMPMessage] = []
        if handshake.isDone {
            try read(bytes, now, &messages)
        } else {
            var rest: [UInt8] = []
            output += try handshake.receive(bytes, rest: &rest)
            try rest.withBytes { bytes throws(RTMPError) in try read(bytes, now, &messages) }
        }
        var others: [RTMPMessage] = []
        for message in messages where !handle(message) { others.append(message) }
        return others
    }

    private mutating func read(_ bytes: UnsafeRawBufferPointer, _ now: Instant, _ messages: inout [RTMPMessage]) throws(RTMPError) {
        receivedBytes &+= UInt32(truncatingIfNeeded: bytes.count)
        try reader.receive(bytes, at: now, into: &messages)
        if acknowledgementWindow > 0, receivedBytes &- acknowledgedBytes >= acknowledgementWindow {
            acknowledgedBytes = receivedBytes
            send(control(RTMPMessageType.acknowledgement, receivedBytes))
        }
    }

    /// Control messages end here; false for the others, and for those that are too short.
    private mutating func handle(_ message: RTMPMessage) -> Bool {
        switch message.type {
        case RTMPMessageType.windowSize:
            guard let window = message.uint32() else { return false }
            // A window of a few bytes would make us answer each byte with twenty.
            acknowledgementWindow = window == 0 ? 0 : max(window, 4096)
        case RTMPMessageType.setPeerBandwidth:
            guard let window = message.uint32() else { return false }
            if window != announcedWindow { announceWindow(window) }
        case RTMPMessageType.userControl:
            // Ping Request wants its time back. Everything else is a hint (buffer length) or our own message come back.
            if message.payload.count >= 6, message.payload[0] == 0, message.payload[1] == 6, let time = message.uint32(at: 2) {
                send(userControl(7, time))
            }
        case RTMPMessageType.acknowledgement: break
        default: return false
        }
        return true
    }

    // MARK: Sending

    mutating func send(_ message: RTMPMessage) { writer.append(message, to: &output) }

    mutating func announceWindow(_ window: UInt32) {
        announcedWindow = window
        send(control(RTMPMessageType.windowSize, window))
    }

    mutating func announceChunkSize() {
        send(control(RTMPMessageType.setChunkSize, UInt32(Self.ownChunkSize)))
        writer.setChunkSize(Self.ownChunkSize)
    }

    /// How fast the far side may send, as a window; dynamic.
    mutating func limitPeer(_ window: UInt32) {
        var message = control(RTMPMessageType.setPeerBandwidth, window)
        message.payload.append(2)
        send(message)
    }

    mutating func sendUserControl(_ event: UInt16, _ value: UInt32) { send(userControl(event, value)) }

    mutating func send(_ call: RTMPCall) { send(call.message) }

    private func control(_ type: UInt8, _ value: UInt32) -> RTMPMessage {
        RTMPMessage(type: type, payload: withUnsafeBytes(of: value.bigEndian) { Array($0) })
    }

    private func userControl(_ event: UInt16, _ value: UInt32) -> RTMPMessage {
        RTMPMessage(
            type: RTMPMessageType.userControl,
            payload: withUnsafeBytes(of: event.bigEndian) { Array($0) } + withUnsafeBytes(of: value.bigEndian) { Array($0) })
    }
}
