// SPDX-License-Identifier: Apache-2.0
// One established WebSocket as its owner (a session, or the client of agents) sees it: a thing to send texts to.
// Safe from any thread; the work is done by the WebSocketHandler on the channel's event loop.
import NIOCore
import NIOWebSocket

/// What happens on a WebSocket. Delivered on its event loop, in order; nothing follows `closed`.
enum WebSocketEvent: Sendable, Equatable {
    /// A complete text message. Its owner says `messageProcessed()` when done with it.
    case text(String)
    /// The socket is gone; the text says why, for the log.
    case closed(String)
}

/// What a session writes to. The WebSocket in production, an in-memory one in tests.
protocol MessageChannel: Sendable {
    /// "ip:port" of the other end.
    var remoteAddress: String { get }
    /// "ip:port" of our end.
    var localAddress: String { get }
    /// Queues a text message; a peer that doesn't read is dropped when too much is waiting for it.
    func send(_ text: String)
    /// Says goodbye and closes. What was sent before still goes out.
    func close(code: WebSocketErrorCode, reason: String)
    /// Gives back the credit of one received message; while too many are outstanding nothing is read from the peer.
    func messageProcessed()
}

/// The channel-backed `MessageChannel`.
final class WebSocketConnection: MessageChannel {
    let remoteAddress: String
    let localAddress: String
    private let eventLoop: any EventLoop
    private let handler: NIOLoopBound<WebSocketHandler>

    /// On the channel's event loop.
    init(channel: any Channel, handler: WebSocketHandler) {
        eventLoop = channel.eventLoop
        self.handler = NIOLoopBound(handler, eventLoop: channel.eventLoop)
        remoteAddress = Self.text(channel.remoteAddress)
        localAddress = Self.text(channel.localAddress)
    }

    func send(_ text: String) {
        eventLoop.execute { [handler] in handler.value.send(text) }
    }

    func close(code: WebSocketErrorCode, reason: String) {
        eventLoop.execute { [handler] in handler.value.close(code: code, reason: reason) }
    }

    func messageProcessed() {
        eventLoop.execute { [handler] in handler.value.messageProcessed() }
    }

    static func text(_ address: NIOCore.SocketAddress?) -> String {
        guard let address, let ip = address.ipAddress, let port = address.port else { return "unknown:0" }
        // A dual-stack listener shows IPv4 peers in their mapped form.
        if ip.hasPrefix("::ffff:"), ip.contains(".") { return "\(ip.dropFirst(7)):\(port)" }
        return ip.contains(":") ? "[\(ip)]:\(port)" : "\(ip):\(port)"
    }
}
