// SPDX-License-Identifier: Apache-2.0
// One client of the RTSP server as a state machine: requests in, what is to be done out (RFC 2326 §A). Sans-IO: whoever drives it looks streams up,
// opens ports and sends packets.

public struct RTSPServerSession: Sendable {
    public enum State: Equatable, Sendable { case fresh, described, ready, playing, over }

    /// What a request asks of the driver.
    public enum Step: Equatable, Sendable {
        case answer(RTSPResponse)
        /// Answer with `describe` or `refuse`. The names that the address may mean, the likeliest first.
        case describe(streams: [String])
        /// Answer with `setUp` or `refuse`.
        case setUp(track: Int, offers: [RTSPTransport])
        /// Send media after the answer.
        case play(RTSPResponse)
        /// Stop sending media, then answer.
        case pause(RTSPResponse)
        /// Answer, then end.
        case end(RTSPResponse)
    }

    public let id: String
    /// Seconds without a sign of life after which a session over UDP ends.
    public static let timeout = 60
    /// Tracks of one session at most.
    public static let maximumTracks = 8

    public private(set) var state = State.fresh
    /// It has played, and is `ready` to go on: as before, or with other transports.
    public private(set) var isPaused = false
    /// The names that the address of DESCRIBE or of the first SETUP may mean, the likeliest first.
    public private(set) var names: [String] = []
    /// The one of them that a stream has; told by the driver.
    public var stream: String?
    public private(set) var userAgent = ""
    public private(set) var transports: [Int: RTSPTransport] = [:]
    private var request: RTSPRequest?
    private var base = ""

    /// - Parameter id: what the client names the session by; unguessable.
    public init(id: String) { self.id = id }

    public mutating func receive(_ request: RTSPRequest) -> Step {
        self.request = request
        guard request.sequence != nil else { return .answer(answer(400, reason: "CSeq is missing")) }
        if let agent = request.headers["User-Agent"] { userAgent = String(agent.prefix(200)) }
        if let named = request.headers["Session"], named.split(separator: ";").first.map(String.init) != id, state != .fresh, state != .described {
            return .answer(answer(454))
        }
        switch request.method {
        case "OPTIONS":
            var response = answer(200)
            response.headers["Public"] = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER"
            return .answer(response)
        case "GET_PARAMETER", "SET_PARAMETER": return .answer(answer(200))
        case "DESCRIBE": return describe(request)
        case "SETUP": return setUp(request)
        case "PLAY":
            guard state == .ready || state == .playing else { return .answer(answer(455)) }
            // There is nothing to go back to: a live stream is played from now on.
            guard state == .ready else { return .answer(answer(200)) }
            state = .playing
            isPaused = false
            var response = answer(200)
            response.headers["Range"] = "npt=now-"
            return .play(response)
        case "PAUSE":
            // Where nothing is sent there is nothing to halt (RFC 7826 §13.6); what hasn't been set up can't be halted.
            guard state == .playing else { return .answer(answer(state == .ready ? 200 : 455)) }
            state = .ready
            isPaused = true
            return .pause(answer(200))
        case "TEARDOWN":
            state = .over
            return .end(answer(200))
        case "ANNOUNCE", "RECORD": return .answer(answer(405, reason: "Publishing by RTSP is not possible here"))
        default: return .answer(answer(501))
        }
    }

    private mutating func describe(_ request: RTSPRequest) -> Step {
        guard state == .fresh || state == .described else { return .answer(answer(455)) }
        let found = Self.streams(of: request.uri)
        guard !found.isEmpty else { return .answer(answer(404)) }
        names = found
        base = request.uri
        return .describe(streams: found)
    }

    private mutating func setUp(_ request: RTSPRequest) -> Step {
        guard state != .playing, state != .over else { return .answer(answer(455)) }
        guard let (path, track) = Self.track(of: request.uri), track < Self.maximumTracks else { return .answer(answer(404)) }
        // Clients that got nothing by UDP pause, forget the session and set the same tracks up by TCP.
        guard transports[track] == nil || isPaused else { return .answer(answer(455, reason: "The track is set up already")) }
        if names.isEmpty { names = Self.streams(of: path) }
        guard !names.isEmpty else { return .answer(answer(404)) }
        let offers = RTSPTransport.parse(request.headers["Transport"] ?? "", channel: UInt8(track * 2))
        guard !offers.isEmpty else { return .answer(answer(461)) }
        return .setUp(track: track, offers: offers)
    }

    /// The stream is there.
    public mutating func describe(_ text: String) -> RTSPResponse {
        state = .described
        var response = answer(200)
        response.headers["Content-Type"] = "application/sdp"
        response.headers["Content-Base"] = base.hasSuffix("/") ? base : base + "/"
        response.body = Array(text.utf8)
        return response
    }

    /// A track travels like this from now on; on the next free channels, when those that were asked for are another track's.
    public mutating func setUp(track: Int, _ wanted: RTSPTransport) -> RTSPResponse {
        state = .ready
        // One that is set up anew gives its channels back first.
        transports[track] = nil
        let transport = onFreeChannels(wanted)
        transports[track] = transport
        var response = answer(200)
        response.headers["Transport"] = transport.text
        response.headers["Session"] = "\(id);timeout=\(Self.timeout)"
        return response
    }

    /// It can't be done.
    public func refuse(_ status: Int, reason: String? = nil) -> RTSPResponse { answer(status, reason: reason) }

    private func answer(_ status: Int, reason: String? = nil) -> RTSPResponse {
        var response = RTSPResponse(status, reason: reason)
        if let sequence = request?.sequence { response.headers["CSeq"] = String(sequence) }
        response.headers["Server"] = "Martlet"
        if state == .ready || state == .playing { response.headers["Session"] = id }
        return response
    }

    private func onFreeChannels(_ wanted: RTSPTransport) -> RTSPTransport {
        guard case .interleaved(let rtp, let rtcp) = wanted.way else { return wanted }
        var taken: Set<UInt8> = []
        for case .interleaved(let one, let other) in transports.values.map(\.way) { taken.formUnion([one, other]) }
        guard taken.contains(rtp) || taken.contains(rtcp) else { return wanted }
        // Eight tracks at most take sixteen channels, so there is one.
        let free = stride(from: UInt8(0), to: 254, by: 2).first { !taken.contains($0) && !taken.contains($0 + 1) }
        return free.map { RTSPTransport(.interleaved(rtp: $0, rtcp: $0 + 1), ssrc: wanted.ssrc) } ?? wanted
    }

    /// `rtsp://host/name?…` → what a stream of that address may be called, the likeliest first: the path as it is, percent-decoded; without
    /// slashes at its ends, which clients add and leave out; and not decoded.
    static func streams(of uri: String) -> [String] {
        let path = RTSPAddress(uri)?.path ?? (uri.hasPrefix("/") ? uri : nil)
        guard let exact = path?.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).first?.dropFirst() else { return [] }
        var open = exact
        while open.hasSuffix("/") { open = open.dropLast() }
        let bare = open.drop { $0 == "/" }
        var names: [String] = []
        for name in [exact, open, bare].map({ RTSPAddress.decode(String($0)) }) + ["/" + RTSPAddress.decode(String(bare)), String(exact), String(bare)]
        where !name.isEmpty && !bare.isEmpty && name.utf8.count <= 1024 && !names.contains(name) { names.append(name) }
        return names
    }

    /// `…/trackID=n` → what is in front, and n.
    static func track(of uri: String) -> (String, Int)? {
        guard let range = uri.range(ofLast: "trackID="), let number = Int(uri[range.upperBound...].prefix { $0.isNumber }), number >= 0 else { return nil }
        return (String(uri[..<range.lowerBound]), number)
    }
}

extension String {
    fileprivate func range(ofLast text: String) -> Range<String.Index>? {
        var found: Range<String.Index>?
        var start = startIndex
        while let next = self[start...].firstRange(of: text) {
            found = next
            start = next.upperBound
        }
        return found
    }
}
