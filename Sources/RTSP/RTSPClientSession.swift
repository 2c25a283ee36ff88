// SPDX-License-Identifier: Apache-2.0
// Fetching a stream from an RTSP server as a state machine: OPTIONS, DESCRIBE, SETUP of each track, PLAY, signs of life. Sans-IO.
// How requests are written and logins given: RTSPClientSession+Requests; where packets belong: RTSPChannels.
import Primitives
import SDP

/// Why a stream can't be fetched.
public enum RTSPClientFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// The server wants a login, or another one.
    case unauthorized
    case notFound
    /// None of its codecs is one that this server knows; their names.
    case noUsableCodec([String])
    case badDescription(String)
    case refused(status: Int, String)
    /// It lives elsewhere.
    case redirected(String)
    /// The server has said that it ends the session.
    case ended

    public var description: String {
        switch self {
        case .unauthorized: "the server refuses the login (401)"
        case .notFound: "the server has no such stream (404)"
        case .noUsableCodec(let names): "none of the codecs can be used: \(names.isEmpty ? "there is no media" : names.joined(separator: ", "))"
        case .badDescription(let reason): "the description can't be read: \(reason)"
        case .refused(let status, let reason): "the server refuses: \(status) \(reason)"
        case .redirected(let address): "the stream is at \(address)"
        case .ended: "the server has ended the session (TEARDOWN)"
        }
    }
}

public struct RTSPClientSession: Sendable {
    public enum Action: Equatable, Sendable {
        case send(RTSPRequest)
        /// To a request of the server's.
        case answer(RTSPResponse)
        /// The tracks that will come, and what is left out.
        case described([RTSPTrack], refused: [String])
        /// The server doesn't give this one of several tracks; the numbers of those behind it move up.
        case leftOut(RTSPTrack, RTSPClientFailure)
        /// The server sends the track's packets from this port and the next.
        case serverPort(track: Int, UInt16)
        /// The track's packets come from this address, which may be another than the server's own.
        case source(track: Int, String)
        case playing
        case packet(track: Int, isReport: Bool, [UInt8])
        case failed(RTSPClientFailure)
    }

    /// What has been learnt about a server, kept from one connection to the next.
    public struct Habits: Equatable, Sendable {
        /// It answers these with an error, or hangs up.
        public var refusesOptions = false, refusesGetParameter = false
        /// How packets are to come, since the other way was refused (461) or brought nothing; `nil`: as it is set.
        public var usesUDP: Bool?
        public init() {}
    }

    enum State: Equatable, Sendable {
        case idle, options, describing, settingUp(Int), starting, playing, over
    }

    /// A request that waits for its answer.
    struct Pending: Sendable {
        var request: RTSPRequest
        var sequence: Int
        var challengesAnswered = 0
        /// Signs of life: when it was sent, and whether its answer has come.
        var sent = Instant.zero, isAnswered = false
    }

    let address: RTSPAddress
    /// Own ports, one for each track; `nil`: packets come between the messages.
    private let ports: [UInt16]?
    let clientNonce: String
    var state = State.idle
    var sequence = 0
    /// What the next step waits for.
    var awaited: Pending?
    /// The newest sign of life. Whatever comes of it, media decide whether the stream goes on.
    var signOfLife: Pending?
    /// The server repeats the numbers of requests in its answers.
    private var repeatsNumbers = false
    var authentication: RTSPAuthentication?
    var isLoginRefused = false
    var session: String?
    private var base: String
    public private(set) var tracks: [RTSPTrack] = []
    /// What to try next when the server doesn't know the address of a track, or how to play: the first is being tried.
    private var attempts: [(uri: String, headers: RTSPHeaders)] = []
    private var channels = RTSPChannels()
    /// Packets that came before the answer to PLAY.
    private var early: [Action] = [], earlyBytes = 0
    static let maximumEarly = 1024, maximumEarlyBytes = 1 << 20
    /// Seconds; what the server said in its Session header.
    public private(set) var timeout = 60
    public private(set) var habits: Habits

    public init(_ address: RTSPAddress, ports: [UInt16]? = nil, clientNonce: String, habits: Habits = Habits()) {
        self.address = address
        self.ports = ports
        self.clientNonce = clientNonce
        self.habits = habits
        base = address.description
    }

    /// Channels that packets have been agreed to come on.
    public var agreedChannels: Set<UInt8> { channels.numbers }

    public mutating func begin() -> [Action] {
        state = .options
        return [step("OPTIONS", address.description)]
    }

    /// To be sent every `signOfLifeInterval` while it plays: what servers count as one differs, so the forms take turns until one is refused.
    public mutating func keepAlive(at now: Instant) -> [Action] {
        guard state == .playing else { return [] }
        let isOptionsTurn = signOfLife?.request.method == "GET_PARAMETER" && !habits.refusesOptions
        let method = isOptionsTurn || habits.refusesGetParameter ? "OPTIONS" : "GET_PARAMETER"
        let sent = request(method, base)
        signOfLife = Pending(request: sent, sequence: sequence, sent: now)
        return [.send(sent)]
    }

    /// Each form goes out twice within the timeout.
    public var signOfLifeInterval: TimeSpan { max(.milliseconds(500), .seconds(Int64(timeout)) / 4) }

    /// The connection has ended: a server that hangs up on a sign of life is not sent it again.
    public mutating func connectionEnded(at now: Instant) {
        guard state == .playing, let signOfLife, !signOfLife.isAnswered, now.span(since: signOfLife.sent) < .seconds(2) else { return }
        refuse(signOfLife.request.method)
    }

    /// Nothing has come for so long that it is given up.
    public mutating func noteSilence() {
        // Between the messages there is nothing that could keep packets back.
        if ports != nil { habits.usesUDP = false }
    }

    private mutating func refuse(_ method: String) {
        if method == "OPTIONS" { habits.refusesOptions = true } else { habits.refusesGetParameter = true }
    }

    /// Says goodbye to a server that has a session.
    public mutating func end() -> [Action] {
        let wasUp = session != nil && state != .over
        state = .over
        return wasUp ? [.send(request("TEARDOWN", base))] : []
    }

    // MARK: what comes

    public mutating func receive(_ item: RTSPParser.Item) -> [Action] {
        switch item {
        case .packet(let channel, let bytes):
            guard state == .playing || state == .starting, let found = channels.route(channel, bytes, tracks) else { return [] }
            return packet(.packet(track: found.track, isReport: found.isReport, bytes), bytes.count)
        case .response(let response): return receive(response)
        case .request(let request): return receive(request)
        }
    }

    private mutating func packet(_ action: Action, _ count: Int) -> [Action] {
        guard state == .starting else { return [action] }
        if early.count < Self.maximumEarly, earlyBytes + count <= Self.maximumEarlyBytes {
            early.append(action)
            earlyBytes += count
        }
        return []
    }

    /// Servers have requests of their own: signs of life, a move, the end.
    private mutating func receive(_ request: RTSPRequest) -> [Action] {
        guard state != .idle, state != .over else { return [] }
        let known = ["OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE", "REDIRECT", "TEARDOWN"].contains(request.method.uppercased())
        var response = RTSPResponse(known ? 200 : 501)
        response.headers["CSeq"] = request.headers["CSeq"]
        if let session { response.headers["Session"] = session }
        switch request.method.uppercased() {
        case "REDIRECT":
            guard let location = request.headers["Location"] else { return [.answer(response)] }
            return [.answer(response)] + fail(.redirected(location))
        case "TEARDOWN": return [.answer(response)] + fail(.ended)
        default: return [.answer(response)]
        }
    }

    private mutating func receive(_ response: RTSPResponse) -> [Action] {
        // 100 Continue and the like announce the answer.
        guard state != .over, state != .idle, response.status >= 200 else { return [] }
        guard let awaited else { return receiveSignOfLife(response) }
        if let number = response.sequence {
            // The answer to an older one, or a second one to it; but some servers number as they like.
            if number < awaited.sequence, repeatsNumbers { return [] }
            if number == awaited.sequence, number > 1 { repeatsNumbers = true }
        }
        note(session: response.headers["Session"])
        if response.status == 401 {
            if let again = answerChallenge(response, awaited) {
                self.awaited = again
                return [.send(again.request)]
            }
            // Not even this is told to everybody by some servers; the next request shows.
            guard state == .options else { return fail(.unauthorized) }
        }
        if (300..<400).contains(response.status), let location = response.headers["Location"] { return fail(.redirected(location)) }
        self.awaited = nil
        switch state {
        case .options:
            // Some servers know no OPTIONS; whether they know anything is seen next.
            state = .describing
            return [step("DESCRIBE", address.description, ["Accept": "application/sdp"])]
        case .describing:
            guard response.status == 200 else { return fail(response) }
            return describe(response)
        case .settingUp(let track):
            guard response.status == 200 else { return trackRefused(track, response) }
            let (port, source) = channels.note(response.headers["Transport"] ?? "", track: track, isOverUDP: ports != nil)
            var actions: [Action] = []
            if let source { actions.append(.source(track: track, source)) }
            if let port { actions.append(.serverPort(track: track, port)) }
            return actions + setUp(track + 1)
        case .starting:
            guard response.status == 200 else { return tryNext(after: response) ?? fail(response) }
            state = .playing
            defer { (early, earlyBytes) = ([], 0) }
            return [.playing] + early
        case .playing, .idle, .over: return []
        }
    }

    private mutating func receiveSignOfLife(_ response: RTSPResponse) -> [Action] {
        guard var pending = signOfLife, !pending.isAnswered else { return [] }
        if response.status == 401, let again = answerChallenge(response, pending) {
            pending.request = again.request
            pending.sequence = again.sequence
            pending.challengesAnswered = again.challengesAnswered
            signOfLife = pending
            return [.send(again.request)]
        }
        // 454 is about the session, and other errors of a server's own pass.
        if (300..<500).contains(response.status) && response.status != 454 || [501, 551].contains(response.status) { refuse(pending.request.method) }
        signOfLife?.isAnswered = true
        return []
    }

    // MARK: steps

    private mutating func describe(_ response: RTSPResponse) -> [Action] {
        base = response.headers["Content-Base"] ?? response.headers["Content-Location"] ?? address.description
        if RTSPAddress(base) == nil { base = address.description }
        let offer: RTSPDescription.Offer
        do throws(SDPError) {
            offer = try RTSPDescription.offer(in: String(decoding: response.body, as: UTF8.self))
        } catch {
            return fail(.badDescription("\(error)"))
        }
        if let control = offer.control, RTSPAddress(control) != nil { base = control }
        guard !offer.tracks.isEmpty else { return fail(.noUsableCodec(offer.refused)) }
        tracks = offer.tracks
        return [.described(tracks, refused: offer.refused)] + setUp(0)
    }

    private mutating func setUp(_ track: Int) -> [Action] {
        guard tracks.indices.contains(track) else { return play() }
        state = .settingUp(track)
        let way: RTSPTransport.Way
        if let ports, ports.indices.contains(track) {
            way = .udp(client: ports[track], server: nil)
        } else {
            // There are two tracks at most.
            way = .interleaved(rtp: UInt8(track * 2), rtcp: UInt8(track * 2 + 1))
        }
        let addresses = RTSPDescription.addresses(control: tracks[track].control, base: base, asked: address.description)
        attempts = addresses.map { ($0, ["Transport": RTSPTransport(way).text]) }
        return [step("SETUP", attempts[0].uri, attempts[0].headers)]
    }

    private mutating func trackRefused(_ index: Int, _ response: RTSPResponse) -> [Action] {
        if let next = tryNext(after: response) { return next }
        // Unsupported Transport: the next connection tries the other one.
        if response.status == 461, index == 0 { habits.usesUDP = ports == nil }
        // Video without its audio is better than neither.
        guard tracks.count > 1, tracks[index].format.kind == .audio else { return fail(response) }
        let track = tracks.remove(at: index)
        return [.leftOut(track, failure(response))] + setUp(index)
    }

    private mutating func play() -> [Action] {
        state = .starting
        attempts = [(base, ["Range": "npt=0.000-"]), (base, [:])]
        if address.description != base { attempts.append((address.description, [:])) }
        return [step("PLAY", attempts[0].uri, attempts[0].headers)]
    }

    /// The same otherwise, when the server doesn't know the address or can't read the request.
    private mutating func tryNext(after response: RTSPResponse) -> [Action]? {
        guard [400, 403, 404, 405, 451, 454, 456, 457, 459, 460, 500].contains(response.status), attempts.count > 1 else { return nil }
        attempts.removeFirst()
        return [step(awaitedMethod, attempts[0].uri, attempts[0].headers)]
    }

    private var awaitedMethod: String { state == .starting ? "PLAY" : "SETUP" }

    // MARK: parts

    private mutating func note(session text: String?) {
        guard let fields = text?.split(separator: ";").map({ $0.trimmingSpaces() }), let name = fields.first else { return }
        if session == nil, !name.isEmpty, !name.lowercased().hasPrefix("timeout") { session = name }
        for field in fields {
            let pair = field.split(separator: "=", maxSplits: 1).map { $0.trimmingSpaces() }
            guard pair.count == 2, pair[0].lowercased() == "timeout" else { continue }
            // "10", "10s", "\"10\"".
            let digits = pair[1].drop { !$0.isASCII || !$0.isNumber }.prefix { $0.isASCII && $0.isNumber }
            if let seconds = Int(digits), seconds > 0 { timeout = min(seconds, 3600) }
        }
    }

    private func failure(_ response: RTSPResponse) -> RTSPClientFailure {
        response.status == 404 ? .notFound : .refused(status: response.status, String(response.reason.prefix(100)))
    }

    private mutating func fail(_ response: RTSPResponse) -> [Action] { fail(failure(response)) }

    private mutating func fail(_ failure: RTSPClientFailure) -> [Action] {
        state = .over
        return [.failed(failure)]
    }
}
