// Fetching a stream from an RTSP server as a state machine: OPTIONS, DESCRIBE, SETUP of each track, PLAY, signs of life. Sans-IO.
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

    public var description: String {
        switch self {
        case .unauthorized: "the server refuses the login (401)"
        case .notFound: "the server has no such stream (404)"
        case .noUsableCodec(let names): "none of the codecs can be used: \(names.isEmpty ? "there is no media" : names.joined(separator: ", "))"
        case .badDescription(let reason): "the description can't be read: \(reason)"
        case .refused(let status, let reason): "the server refuses: \(status) \(reason)"
        case .redirected(let address): "the stream is at \(address)"
        }
    }
}

public struct RTSPClientSession: Sendable {
    public enum Action: Equatable, Sendable {
        case send(RTSPRequest)
        /// The tracks that will come, and what is left out.
        case described([RTSPTrack], refused: [String])
        /// The server sends the track's packets from this port and the next.
        case serverPort(track: Int, UInt16)
        case playing
        case packet(track: Int, isReport: Bool, [UInt8])
        case failed(RTSPClientFailure)
    }
    private enum State: Equatable, Sendable {
        case idle, options, describing, settingUp(Int), starting, playing, over
    }

    private let address: RTSPAddress
    /// Own ports, one for each track; `nil`: packets come between the messages.
    private let ports: [UInt16]?
    private let clientNonce: String
    private var state = State.idle
    private var sequence = 0
    private var last: RTSPRequest?
    private var authentication: RTSPAuthentication?
    private var hasAnsweredChallenge = false
    private var session: String?
    private var base: String
    private var understandsGetParameter = false
    public private(set) var tracks: [RTSPTrack] = []
    private var channels: [UInt8: (track: Int, isReport: Bool)] = [:]
    /// Seconds; what the server said in its Session header.
    public private(set) var timeout = 60

    public init(_ address: RTSPAddress, ports: [UInt16]? = nil, clientNonce: String) {
        self.address = address
        self.ports = ports
        self.clientNonce = clientNonce
        base = address.description
    }

    public mutating func begin() -> [Action] {
        state = .options
        return [request("OPTIONS", address.description)]
    }

    /// To be sent every half of `timeout` while it plays.
    public mutating func keepAlive() -> [Action] {
        guard state == .playing else { return [] }
        return [request(understandsGetParameter ? "GET_PARAMETER" : "OPTIONS", base)]
    }

    public mutating func end() -> [Action] {
        let wasUp = session != nil && state != .over
        state = .over
        return wasUp ? [request("TEARDOWN", base)] : []
    }

    public mutating func receive(_ item: RTSPParser.Item) -> [Action] {
        switch item {
        case .packet(let channel, let bytes):
            guard state == .playing || state == .starting, let found = channels[channel] else { return [] }
            return [.packet(track: found.track, isReport: found.isReport, bytes)]
        case .response(let response): return receive(response)
        // Servers that ask for signs of life of their own get them by our requests.
        case .request: return []
        }
    }

    private mutating func receive(_ response: RTSPResponse) -> [Action] {
        guard state != .over, state != .idle, let last else { return [] }
        // An answer to something older changes nothing.
        if let number = response.headers["CSeq"].flatMap({ Int($0.filter { $0 != " " }) }), number != sequence { return [] }
        if response.status == 401 { return answerChallenge(response, last) }
        hasAnsweredChallenge = false
        if let text = response.headers["Session"] { note(session: text) }
        switch state {
        case .options:
            // Some servers know no OPTIONS; whether they know anything is seen next.
            understandsGetParameter = response.headers["Public"]?.uppercased().contains("GET_PARAMETER") ?? false
            state = .describing
            return [request("DESCRIBE", address.description, ["Accept": "application/sdp"])]
        case .describing:
            if (300..<400).contains(response.status), let location = response.headers["Location"] { return fail(.redirected(location)) }
            guard response.status == 200 else { return fail(response) }
            return describe(response)
        case .settingUp(let track):
            guard response.status == 200 else { return fail(response) }
            return noteTransport(of: track, response) + setUp(track + 1)
        case .starting:
            guard response.status == 200 else { return fail(response) }
            state = .playing
            return [.playing]
        case .playing, .idle, .over: return []
        }
    }

    private mutating func describe(_ response: RTSPResponse) -> [Action] {
        base = response.headers["Content-Base"] ?? response.headers["Content-Location"] ?? address.description
        if RTSPAddress(base) == nil { base = address.description }
        let found: (tracks: [RTSPTrack], refused: [String])
        do throws(SDPError) {
            found = try RTSPDescription.tracks(in: String(decoding: response.body, as: UTF8.self))
        } catch {
            return fail(.badDescription("\(error)"))
        }
        guard !found.tracks.isEmpty else { return fail(.noUsableCodec(found.refused)) }
        tracks = found.tracks
        return [.described(tracks, refused: found.refused)] + setUp(0)
    }

    private mutating func setUp(_ track: Int) -> [Action] {
        guard tracks.indices.contains(track) else {
            state = .starting
            return [request("PLAY", base, ["Range": "npt=0.000-"])]
        }
        state = .settingUp(track)
        let way: RTSPTransport.Way
        if let ports, ports.indices.contains(track) {
            way = .udp(client: ports[track], server: nil)
        } else {
            way = .interleaved(rtp: UInt8(track * 2), rtcp: UInt8(track * 2 + 1))
        }
        let uri = RTSPDescription.address(control: tracks[track].control, base: base)
        return [request("SETUP", uri, ["Transport": RTSPTransport(way).text])]
    }

    private mutating func noteTransport(of track: Int, _ response: RTSPResponse) -> [Action] {
        switch RTSPTransport.parse(response.headers["Transport"] ?? "", channel: UInt8(track * 2)).first?.way {
        case .interleaved(let rtp, let rtcp):
            channels[rtp] = (track, false)
            channels[rtcp] = (track, true)
            return []
        case .udp(_, let server?): return [.serverPort(track: track, server)]
        case .udp(_, nil): return []
        case nil:
            guard ports == nil else { return [] }
            channels[UInt8(track * 2)] = (track, false)
            channels[UInt8(track * 2 + 1)] = (track, true)
            return []
        }
    }

    private mutating func note(session text: String) {
        let fields = text.split(separator: ";").map { $0.trimmingSpaces() }
        session = fields.first
        for field in fields.dropFirst() where field.lowercased().hasPrefix("timeout=") {
            if let seconds = Int(field.dropFirst(8)), (5...3600).contains(seconds) { timeout = seconds }
        }
    }

    private mutating func answerChallenge(_ response: RTSPResponse, _ last: RTSPRequest) -> [Action] {
        let challenges = response.headers.all("WWW-Authenticate")
        // A nonce may become stale; a login that was refused is refused again.
        guard address.user != nil, !hasAnsweredChallenge, let authentication = RTSPAuthentication(challenges: challenges) else { return fail(.unauthorized) }
        self.authentication = authentication
        hasAnsweredChallenge = true
        var headers = last.headers
        for name in ["CSeq", "User-Agent", "Authorization", "Session"] { headers[name] = nil }
        return [request(last.method, last.uri, headers)]
    }

    private mutating func request(_ method: String, _ uri: String, _ headers: RTSPHeaders = [:]) -> Action {
        sequence += 1
        var request = RTSPRequest(method, uri, headers: headers)
        request.headers["CSeq"] = String(sequence)
        request.headers["User-Agent"] = "Martlet"
        if let session { request.headers["Session"] = session }
        if let user = address.user {
            request.headers["Authorization"] = authentication?.authorization(
                method: method, uri: uri, user: user, password: address.password ?? "", clientNonce: clientNonce)
        }
        last = request
        return .send(request)
    }

    private mutating func fail(_ response: RTSPResponse) -> [Action] {
        fail(response.status == 404 ? .notFound : .refused(status: response.status, String(response.reason.prefix(100))))
    }

    private mutating func fail(_ failure: RTSPClientFailure) -> [Action] {
        state = .over
        return [.failed(failure)]
    }
}
