// SPDX-License-Identifier: Apache-2.0
// What libFuzzer calls: one function per parser that takes bytes from outside, and one per part that takes sequences of events from
// outside (Sequences/). MARTLET_FUZZ chooses; see Tests/Fuzz/run.
import DTLS
import Foundation
import ICE
import Primitives
import RTMP
import RTP
import RTSP
import SDP
import Signalling

private let target = ProcessInfo.processInfo.environment["MARTLET_FUZZ"] ?? ""

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
    let bytes = UnsafeRawBufferPointer(start: data, count: count)
    switch target {
    case "stun": fuzzSTUN(bytes)
    case "rtp": fuzzRTP(bytes)
    case "rtcp": fuzzRTCP(bytes)
    case "payload": fuzzPayload(bytes)
    case "sdp": fuzzSDP(bytes)
    case "json": fuzzJSON(bytes)
    case "framing": fuzzFraming(bytes)
    case "dtls": fuzzDTLS(bytes)
    case "rtmp": fuzzRTMP(bytes)
    case "amf": fuzzAMF(bytes)
    case "rtsp": fuzzRTSP(bytes)
    case "aac": fuzzAAC(bytes)
    case "timeline": fuzzTimeline(bytes)
    case "nack": fuzzNACK(bytes)
    case "forwarding": fuzzForwarding(bytes)
    case "rooms": fuzzRooms(bytes)
    case "ingest": fuzzIngest(bytes)
    case "pull": fuzzPull(bytes)
    case "forwarder": fuzzForwarder(bytes)
    case "frames": fuzzFrames(bytes)
    case "recorder": fuzzRecorder(bytes)
    case "session": fuzzSession(bytes)
    case "whip": fuzzWHIP(bytes)
    default: fatalError("MARTLET_FUZZ names no target: '\(target)'")
    }
    return 0
}

/// A client at the server, and a server at who pulls: the same bytes to both, in pieces of any size.
private func fuzzRTSP(_ bytes: UnsafeRawBufferPointer) {
    guard let size = bytes.first.map({ Int($0) + 1 }), let address = RTSPAddress("rtsp://u:p@h/a") else { return }
    var parser = RTSPParser(), server = RTSPServerSession(id: "1"), client = RTSPClientSession(address, clientNonce: "n")
    _ = client.begin()
    var rest = bytes.dropFirst()
    do {
        while !rest.isEmpty {
            parser.append(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
            while let item = try parser.next() {
                if case .request(let request) = item {
                    switch server.receive(request) {
                    case .answer(let response), .end(let response), .play(let response), .pause(let response):
                        precondition(!response.bytes.isEmpty)
                    case .describe: _ = server.describe("v=0")
                    case .setUp(let track, let offers): if let offer = offers.first { _ = server.setUp(track: track, offer) }
                    }
                }
                for case .send(let request) in client.receive(item) {
                    // What is written can be read again, as one message.
                    var other = RTSPParser()
                    other.append(request.bytes)
                    let read = try? other.next()
                    precondition(read == nil || other.waiting == 0, "a request made of strangers' words is two")
                }
            }
            precondition(parser.waiting <= RTSPParser.maximumHead + RTSPParser.maximumBody + 65_540)
        }
    } catch {}
    let text = String(decoding: bytes, as: UTF8.self)
    _ = RTSPTransport.parse(text)
    _ = RTSPAuthentication(challenges: ["Digest " + text])
    _ = try? RTSPDescription.offer(in: text)
}

/// Payloads of AAC, headers of it, and H.264 units in both framings: each piece prefixed with its length in one byte.
private func fuzzAAC(_ bytes: UnsafeRawBufferPointer) {
    var depacketizer = AACDepacketizer(), inserter = ParameterSetInserter(parameterSets: [[0x67, 1, 2, 3, 0x80], [0x68, 0xc0, 1]], payloadType: 96)
    var rest = bytes[...]
    while let length = rest.first.map(Int.init) {
        let piece = Array(rest.dropFirst().prefix(length))
        rest = rest.dropFirst(1 + length)
        piece.withUnsafeBytes { _ = depacketizer.push(payload: $0, marker: true, timestamp: UInt32(length), lost: length % 7 == 0) }
        _ = AudioSpecificConfig(piece)
        _ = H264Framing.reorders(sps: piece)
        _ = H264Framing.annexB(fromLengthPrefixed: piece, lengthSize: length % 5)
        _ = H264Framing.lengthPrefixed(fromAnnexB: piece)
        if piece.count >= 12 { _ = inserter?.take(piece) }
    }
}

/// TCP pieces of any size into packets, and those through a queue that drops: what comes out must be packets again.
private func fuzzFraming(_ bytes: UnsafeRawBufferPointer) {
    guard let size = bytes.first.map({ Int($0) + 1 }) else { return }
    var reader = FrameReader(), last = FrameReader()
    let queue = FrameQueue(limits: .init(high: 2_000, low: 500, delay: .microseconds(1)))
    var rest = bytes.dropFirst(), now = Instant.zero
    func receive(_ piece: [UInt8], with reader: inout FrameReader, _ packet: (UnsafeMutableRawBufferPointer) -> Void) -> Bool {
        var piece = piece
        return piece.withUnsafeMutableBytes { raw in (try? reader.receive(raw) { packet($0); return true }) != nil }
    }
    while !rest.isEmpty {
        now += .nanoseconds(Int64(size))
        guard receive(Array(rest.prefix(size)), with: &reader, { queue.append(UnsafeRawBufferPointer($0), at: now) }) else { break }
        rest = rest.dropFirst(size)
        let sent = Array(queue.unsent.prefix(size / 2))
        _ = queue.consume(sent.count)
        precondition(receive(sent, with: &last) { _ in }, "what was queued is not packets")
        precondition(reader.pendingBytes <= reader.maximumLength + 2)
    }
    let sent = Array(queue.unsent)
    _ = queue.consume(sent.count)
    precondition(receive(sent, with: &last) { _ in } && last.pendingBytes == 0, "a packet was cut")
}

private let dtlsCertificate = try? DTLSCertificate.selfSigned(commonName: "fuzz")

/// Records of a stranger at a server that waits for a handshake: each prefixed with its length in one byte.
private func fuzzDTLS(_ bytes: UnsafeRawBufferPointer) {
    guard let dtlsCertificate else { return }
    let session = DTLSSession(
        certificate: dtlsCertificate, role: .server, expectedFingerprints: [(algorithm: "sha-256", bytes: .init(repeating: 7, count: 32))])
    _ = session.start(at: .zero)
    var rest = bytes[...], now = Instant.zero
    while let length = rest.popFirst() {
        let record = Array(rest.prefix(Int(length) + 1))
        rest = rest.dropFirst(record.count)
        now = now.advanced(byMilliseconds: 100)
        record.withUnsafeBytes { _ = session.receive($0, at: now) }
        _ = session.advance(to: now)
    }
    _ = session.close()
}

private func fuzzSTUN(_ bytes: UnsafeRawBufferPointer) {
    _ = STUNMessage.usernameUfrag(of: bytes)
    _ = try? STUNMessage(parsing: bytes)
    var agent = ICEAgent(
        configuration: .init(role: .lite, local: ICECredentials(ufrag: "abcd", password: "0123456789012345678901")),
        random: .seeded(1), now: .zero)
    _ = agent.receive(bytes, from: SocketAddress(ipv4: 0x7f00_0001, port: 5000), at: .zero)
}

private func fuzzRTP(_ bytes: UnsafeRawBufferPointer) {
    _ = PacketClass(bytes)
    guard let view = RTPView(bytes) else { return }
    var sum = view.payload.reduce(0) { $0 &+ Int($1) } + view.headerLength
    view.forEachExtension { id, data in sum &+= Int(id) + data.reduce(0) { $0 &+ Int($1) } }
    _ = view.extensionElement(id: 3)
}

/// Whatever is understood must survive being written and read again.
private func fuzzRTCP(_ bytes: UnsafeRawBufferPointer) {
    guard let packets = try? RTCP.parse(bytes) else { return }
    let written = RTCP.serialize(packets)
    _ = written.withUnsafeBytes { try? RTCP.parse($0) }
}

private func fuzzPayload(_ bytes: UnsafeRawBufferPointer) {
    guard let first = bytes.first else { return }
    let codec = CodecKind.allCases[Int(first) % CodecKind.allCases.count]
    let payload = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
    _ = PayloadInspector.isKeyFrameStart(codec: codec, payload: payload)
    _ = PayloadInspector.isFrameStart(codec: codec, payload: payload)
    _ = PayloadInspector.videoSize(codec: codec, payload: payload)
    // The bytes as a run of RTP packets, each prefixed with its length, through reordering and depacketising.
    guard var assembler = FrameAssembler(codec: codec) else { return }
    var rest = payload[...]
    var now = Instant.zero
    while let length = rest.first, rest.count > Int(length) {
        let packet = Array(rest.dropFirst().prefix(Int(length)))
        packet.withUnsafeBytes { raw in
            if let view = RTPView(raw) { _ = assembler.push(view, at: now) }
        }
        rest = rest.dropFirst(Int(length) + 1)
        now = now.advanced(byMilliseconds: 7)
    }
    _ = assembler.finish()
}

/// What was parsed must be writable, and readable again.
private func fuzzSDP(_ bytes: UnsafeRawBufferPointer) {
    let text = String(decoding: bytes, as: UTF8.self)
    if let fragment = try? TrickleFragment(parsing: text) {
        precondition(fragment.candidates.count <= TrickleFragment.maximumCandidates && (fragment.ufrag == nil) == (fragment.password == nil))
    }
    guard let description = try? SessionDescription(parsing: text) else { return }
    _ = try? SessionDescription(parsing: description.serialized())
    var random = RandomSource.seeded(1)
    let parameters = { (_: Int) in
        TransportParameters(
            iceUfrag: "abcd", icePwd: "0123456789012345678901", isLite: true,
            fingerprint: Fingerprint(algorithm: "sha-256", bytes: .init(repeating: 7, count: 32)), setup: .passive, candidates: [])
    }
    _ = try? Negotiation.answerPublisher(offer: description, transports: parameters, ssrcs: &random)
    _ = try? Negotiation.answerPlayer(
        offer: description,
        tracks: [TrackFormat(kind: .video, codec: Codec(payloadType: 96, name: "VP8", clockRate: 90_000))], streamID: "s",
        transports: parameters, ssrcs: &random)
    if let offer = try? Negotiation.offerReceiving(transports: parameters, ssrcs: &random) {
        _ = try? Negotiation.accept(answer: description, for: offer)
    }
}

private func fuzzJSON(_ bytes: UnsafeRawBufferPointer) {
    guard let envelope = try? Envelope(parsing: String(decoding: bytes, as: UTF8.self)) else { return }
    _ = envelope.serialized()
    _ = ClientMessage(envelope)
    _ = ServerMessage(envelope)
}

/// Chunks of a stranger at either side, in pieces; the first byte chooses side, piece size, and whether the handshake is there already.
private func fuzzRTMP(_ bytes: UnsafeRawBufferPointer) {
    guard let first = bytes.first else { return }
    var limits = RTMPLimits()
    limits.maximumMediaMessage = 1 << 20
    limits.maximumIncomplete = 2 << 20
    var input = Array(bytes.dropFirst())
    if first & 1 == 0 { input = [3] + [UInt8](repeating: 0, count: 3072) + input }
    let size = Int(first >> 2) * 16 + 1
    var server = RTMPServerSession(limits: limits, random: .seeded(1))
    var client = RTMPClientSession(RTMPURL("rtmp://h/app/name")!, first & 4 == 0 ? .play : .publish, limits: limits, random: .seeded(2))
    for start in stride(from: 0, to: input.count, by: size) {
        let piece = Array(input[start..<min(start + size, input.count)])
        piece.withUnsafeBytes { raw in
            if first & 2 == 0 {
                for event in (try? server.receive(raw)) ?? [] { take(event, &server) }
                _ = server.takeOutput()
                precondition(server.heldBytes <= limits.maximumIncomplete + limits.maximumMediaMessage + limits.maximumEarly)
            } else {
                for case .media(let message) in (try? client.receive(raw)) ?? [] { read(message) }
                _ = client.takeOutput()
            }
        }
    }
}

private func take(_ event: RTMPServerSession.Event, _ server: inout RTMPServerSession) {
    switch event {
    case .connect: server.acceptConnect()
    case .publish(let request): _ = server.acceptPublish(request.streamID, name: request.name)
    case .play(let request): _ = server.acceptPlay(request.streamID, name: request.name)
    case .media(let message): read(message)
    case .call(let call): server.answer(call, .null)
    default: break
    }
}

private func read(_ message: RTMPMessage) {
    if let tag = try? VideoTag(message.payload) {
        precondition(tag.offset <= message.payload.count)
        if tag.content == .configuration { _ = try? AVCConfiguration(parsing: message.payload[tag.offset...]) }
    }
    if let tag = try? AudioTag(message.payload) { precondition(tag.offset <= message.payload.count) }
}

/// Whatever is understood must survive being written and read again.
private func fuzzAMF(_ bytes: UnsafeRawBufferPointer) {
    var reader = AMF0Reader(Array(bytes))
    guard let values = try? reader.readAll() else { return }
    let written = AMF0Writer.bytes(values)
    var again = AMF0Reader(written)
    precondition((try? again.readAll())?.count == values.count, "what was written can't be read")
    _ = RTMPURL(String(decoding: bytes, as: UTF8.self))
    _ = try? AVCConfiguration(parsing: Array(bytes))
}
