// SPDX-License-Identifier: Apache-2.0
// The client's side of one connection: connects, then publishes or plays one stream. Bytes in; events out; bytes to send in
// `takeOutput`. Used by republishing and pulling.
import Primitives

public struct RTMPClientSession {
    public enum Purpose: Sendable, Equatable { case publish, play }

    public enum Event: Sendable, Equatable {
        /// The far side has accepted: media may be sent, or will come.
        case started
        case media(RTMPMessage)
        case metadata(AMF0Value)
        /// The far side ended the stream; code and description of its status.
        case ended(code: String, description: String)
    }

    private enum State: Equatable { case handshake, connecting, creating, starting, running, closed }

    private let url: RTMPURL
    private let purpose: Purpose
    private let flashVersion: String
    private let limits: RTMPLimits
    private var link: RTMPLink
    private var state = State.handshake
    public private(set) var streamID: UInt32 = 0

    private enum Transaction {
        static let connect = 1.0
        static let release = 2.0
        static let fcPublish = 3.0
        static let create = 4.0
    }

    /// - Parameter flashVersion: what the far side is told we are; some look at it.
    public init(
        _ url: RTMPURL, _ purpose: Purpose, flashVersion: String = "FMLE/3.0 (compatible; Martlet)", usesDigest: Bool = false,
        limits: RTMPLimits = RTMPLimits(), random: RandomSource = .system
    ) {
        self.url = url
        self.purpose = purpose
        self.flashVersion = flashVersion
        self.limits = limits
        link = RTMPLink(role: .client, usesDigest: usesDigest, limits: limits, random: random)
        // A server has little to say to a publisher.
        if purpose == .publish { link.bound(incomplete: limits.maximumIncompleteOfServer) }
    }

    public var isRunning: Bool { state == .running }

    public mutating func takeOutput() -> [UInt8] { link.takeOutput() }

    /// Bytes kept of messages that have arrived in part.
    public var heldBytes: Int { link.incompleteBytes }
    public var hasIncomplete: Bool { link.oldestIncomplete != nil }
    /// Whether a message has been arriving for longer than it may.
    public func isOverdue(at now: Instant) -> Bool { link.oldestIncomplete.map { now.span(since: $0) > limits.messageTime } ?? false }
    /// Events that do not come of bytes: none.
    public mutating func takeEvents() -> [Event] { [] }

    /// Takes bytes of the server; throws what ends the connection, a refusal among it.
    public mutating func receive(_ bytes: UnsafeRawBufferPointer, at now: Instant = .zero) throws(RTMPError) -> [Event] {
        guard state != .closed else { return [] }
        var events: [Event] = []
        do throws(RTMPError) {
            let messages = try link.receive(bytes, at: now)
            if state == .handshake, link.isOpen { connect() }
            for message in messages { try handle(message, &events) }
        } catch {
            state = .closed
            throw error
        }
        return events
    }

    /// Audio, video or data of the published stream.
    public mutating func send(_ message: RTMPMessage) {
        guard state == .running else { return }
        var message = message
        message.streamID = streamID
        link.send(message)
    }

    /// Says goodbye; the output is to be sent, then the connection closed.
    public mutating func close() {
        if state == .running || state == .starting {
            if purpose == .publish { link.send(RTMPCall("FCUnpublish", [.null, .string(url.fullStream)])) }
            link.send(RTMPCall("deleteStream", [.null, .number(Double(streamID))]))
        }
        state = .closed
    }

    private mutating func connect() {
        state = .connecting
        link.announceChunkSize()
        var object: [AMF0Value.Member] = [
            .init("app", .string(url.fullApp)), .init("type", "nonprivate"), .init("flashVer", .string(flashVersion)),
            .init("tcUrl", .string(url.tcURL)),
        ]
        if purpose == .play {
            object += [
                .init("fpad", false), .init("capabilities", 15), .init("audioCodecs", 4071), .init("videoCodecs", 252), .init("videoFunction", 1),
            ]
        }
        link.send(RTMPCall("connect", transaction: Transaction.connect, [.object(object)]))
    }

    private mutating func handle(_ message: RTMPMessage, _ events: inout [Event]) throws(RTMPError) {
        switch message.type {
        case RTMPMessageType.commandAMF0, RTMPMessageType.commandAMF3:
            // Once media flow, a command that can't be read costs itself.
            if state == .running, (try? RTMPCall(message)) == nil { return }
            try handle(RTMPCall(message), &events)
        case RTMPMessageType.audio, RTMPMessageType.video:
            if state == .running, purpose == .play { events.append(.media(message)) }
        case RTMPMessageType.aggregate:
            // A damaged one costs itself.
            if state == .running, purpose == .play, let parts = try? message.aggregated() { events += parts.map(Event.media) }
        case RTMPMessageType.dataAMF0, RTMPMessageType.dataAMF3:
            if state == .running, purpose == .play, let metadata = RTMPServerSession.metadata(in: message) { events.append(.metadata(metadata)) }
        default: break
        }
    }

    private mutating func handle(_ call: RTMPCall, _ events: inout [Event]) throws(RTMPError) {
        switch call.name {
        case "_result" where call.transaction == Transaction.connect && state == .connecting:
            state = .creating
            link.announceWindow(RTMPLink.ownWindow)
            if purpose == .publish {
                link.send(RTMPCall("releaseStream", transaction: Transaction.release, [.null, .string(url.fullStream)]))
                link.send(RTMPCall("FCPublish", transaction: Transaction.fcPublish, [.null, .string(url.fullStream)]))
            }
            link.send(RTMPCall("createStream", transaction: Transaction.create, [.null]))
        case "_result" where call.transaction == Transaction.create && state == .creating:
            guard let id = call.argument(0)?.numberValue.flatMap({ UInt32(exactly: $0) }) else {
                throw .malformed("createStream answered without a number")
            }
            streamID = id
            state = .starting
            if purpose == .publish {
                link.send(RTMPCall("publish", streamID: id, [.null, .string(url.fullStream), "live"]))
            } else {
                link.send(RTMPCall("play", streamID: id, [.null, .string(url.fullStream), -1000]))
                // Three seconds of buffer, which servers take for a sign of a player.
                link.sendUserControl(3, id)
            }
        case "_error" where [Transaction.connect, Transaction.create].contains(call.transaction):
            throw Self.refusal(call)
        case "onStatus": try status(call, &events)
        case "close": throw .refused(code: "close", description: "the server closed the connection")
        default: break
        }
    }

    private mutating func status(_ call: RTMPCall, _ events: inout [Event]) throws(RTMPError) {
        let code = call.argument(0)?["code"]?.stringValue ?? ""
        let description = call.argument(0)?["description"]?.stringValue ?? ""
        if state == .starting, code == "NetStream.Publish.Start" || code == "NetStream.Play.Start" {
            state = .running
            events.append(.started)
            return
        }
        if call.argument(0)?["level"]?.stringValue == "error" { throw Self.refusal(call) }
        let ends = ["NetStream.Play.UnpublishNotify", "NetStream.Play.Stop", "NetStream.Play.Complete", "NetStream.Unpublish.Success"]
        if state == .running, ends.contains(code) {
            state = .closed
            events.append(.ended(code: code, description: description))
        }
    }

    private static func refusal(_ call: RTMPCall) -> RTMPError {
        let information = call.argument(0) ?? .null
        return .refused(
            code: information["code"]?.stringValue ?? call.name, description: information["description"]?.stringValue ?? "")
    }
}
