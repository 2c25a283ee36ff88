// SPDX-License-Identifier: Apache-2.0
// Sequences of what clients say by WebSocket and by HTTP, with what the media engine reports meanwhile: three sessions, a WHIP service and
// one registry over an engine without media.
import Logging
@testable import MartletServer
import MediaIO
import Primitives
import SDP
import Signalling

private let names = ["one", "two", "rtsp://127.0.0.1:1/x", "", "\u{e9}"]
private let ids = ["a", "b", "c", "d"]

private func fire(_ events: inout EventReader, _ engine: FakeMediaEngine) {
    guard let kind = events.byte() else { return }
    let id = ids[Int(kind >> 4) % ids.count]
    switch kind & 7 {
    case 0: engine.emit(.connected(remote: .init(ipv4: 1, port: 1)), id)
    case 1, 2: engine.emit(.mediaStarted(FakeMediaEngine.media), id)
    case 3: engine.emit(.failed(.closedByPeer), id)
    case 4: engine.emit(.failed(.iceTimeout(checks: 0)), id)
    case 5: engine.emit(.resized(width: Int(kind), height: 1), id)
    case 6: engine.emit(.notEnoughBandwidth(bitrate: 1, bandwidth: 1), id)
    default: engine.breakAll(.player, .rtpActivity)
    }
}

/// Messages, engine events and lost connections in any order: nothing traps, and when all clients have gone nothing is left.
func fuzzSession(_ bytes: UnsafeRawBufferPointer) {
    let input = Array(bytes)
    blocking {
        await input.withBytes { bytes in
            var events = EventReader(bytes)
            let bench = SessionBench(isAutomatic: input.first.map { $0 & 1 == 0 } ?? true)
            var clients = [bench.client(), bench.client(), bench.client()]
            while let kind = events.byte() {
                let client = clients[Int(kind >> 6) % 3]
                guard let detail = events.byte() else { break }
                let name = names[Int(detail & 7) % names.count], id = ids[Int(detail >> 3) % ids.count]
                switch kind & 0x0f {
                case 0: client.send(.connection(ConnectionRequest(["appKey": "defaultApp", "custom": ["login": .string(id)]])))
                case 1, 2: client.publish(id, name, sdp: detail & 0x80 == 0 ? "offer" : "garbage")
                case 3, 4: client.play(id, name, sdp: detail & 0x80 == 0 ? "offer" : "no codecs")
                case 5: client.unPublish(id)
                case 6: client.stop(id)
                case 7: client.send(.pong)
                case 8: client.session.post(.keepAliveDue)
                case 9: client.send(.availableStream(StreamIdentity(mediaSessionID: id, name: name, published: false, status: .playing)))
                case 10: client.send(raw: String(decoding: events.bytes(Int(detail)), as: UTF8.self))
                case 11:
                    let command: JSONValue = ["command": .string(detail & 0x80 == 0 ? "join" : "leave"), "options": ["name": .string(name)]]
                    client.send(.sendData(DataRequest(["operationId": .string(id), "payload": command])))
                case 12, 13: fire(&events, bench.engine)
                case 14:
                    // What was sent has been handled before the next event comes.
                    for _ in 0..<8 { await Task.yield() }
                default:
                    await client.disconnect()
                    clients[Int(kind >> 6) % 3] = bench.client()
                }
            }
            await bench.close()
            hold(bench.engine.openStreams == 0, "streams of clients that are gone")
        }
    }
}

/// Requests of publishers and players by HTTP in any order: every session ends, whatever was asked of it.
func fuzzWHIP(_ bytes: UnsafeRawBufferPointer) {
    let input = Array(bytes)
    blocking {
        await input.withBytes { bytes in
            var events = EventReader(bytes)
            let engine = FakeMediaEngine(isAutomatic: input.first.map { $0 & 1 == 0 } ?? true)
            let streams = StreamRegistry(engine: engine, nodeID: "node", logger: silentLogger())
            let service = WHIPService(streams: streams, engine: engine, membersOnly: false, logger: silentLogger())
            let registry = Task { await streams.run() }
            var sessions: [(kind: WHIPKind, stream: String, id: String, tag: String)] = []
            while let kind = events.byte(), let detail = events.byte() {
                let name = names[Int(detail & 7) % names.count], which: WHIPKind = kind & 0x80 == 0 ? .whip : .whep
                let known = sessions.isEmpty ? nil : sessions[Int(detail >> 3) % sessions.count]
                switch kind & 7 {
                case 0, 1, 2:
                    let direction = which == .whip ? "sendonly" : "recvonly"
                    let offer = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:u\(detail)\r\n"
                        + "a=ice-pwd:0123456789012345678901\r\na=mid:0\r\na=\(direction)\r\na=rtpmap:96 VP8/90000\r\n"
                    if sessions.count < 32, let made = try? await service.begin(which, stream: name, offer: kind & 0x40 == 0 ? offer : String(decoding: events.bytes(Int(detail)), as: UTF8.self), transport: nil) {
                        sessions.append((which, name, made.id, made.tag))
                    }
                case 3:
                    if let known { try? await service.end(known.kind, stream: known.stream, id: known.id) }
                case 4:
                    guard let known, let fragment = try? TrickleFragment(parsing: "a=ice-ufrag:new\(detail)\r\na=ice-pwd:0123456789012345678901\r\n") else { continue }
                    _ = try? await service.patch(known.kind, stream: known.stream, id: known.id, fragment: fragment, ifMatch: kind & 0x20 == 0 ? "*" : "\"\(known.tag)\"")
                case 5: try? await service.check(which, stream: name, id: known?.id ?? "none")
                case 6: fire(&events, engine)
                default: for _ in 0..<4 { await Task.yield() }
                }
            }
            for session in sessions { try? await service.end(session.kind, stream: session.stream, id: session.id) }
            await streams.shutdown()
            await registry.value
            hold(engine.openStreams == 0, "streams of sessions that have ended")
        }
    }
}

extension [UInt8] {
    fileprivate func withBytes(_ body: (UnsafeRawBufferPointer) async -> Void) async {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: Swift.max(1, count), alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: self)
        await body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(copy)[0..<count]))
    }
}
