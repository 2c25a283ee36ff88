// SPDX-License-Identifier: Apache-2.0
// Requests of who fetches a stream: numbered, with session and login; and what is answered to a server that wants one.

extension RTSPClientSession {
    /// A request whose answer the next step waits for.
    mutating func step(_ method: String, _ uri: String, _ headers: RTSPHeaders = [:]) -> Action {
        let request = request(method, uri, headers)
        awaited = Pending(request: request, sequence: sequence)
        return .send(request)
    }

    mutating func request(_ method: String, _ uri: String, _ headers: RTSPHeaders = [:]) -> RTSPRequest {
        // Ours, one for each request: no connection lives long enough to overflow it.
        sequence += 1
        var request = RTSPRequest(method, uri, headers: headers)
        request.headers["CSeq"] = String(sequence)
        request.headers["User-Agent"] = "Martlet"
        if let session { request.headers["Session"] = session }
        if let user = address.user {
            request.headers["Authorization"] = authentication?.authorization(
                method: method, uri: uri, user: user, password: address.password ?? "", clientNonce: clientNonce)
        }
        return request
    }

    /// The request again with a login, or `nil` when there is none, or the server has refused it: a nonce may become stale, but a login that
    /// was refused is refused again, and cameras lock out who tries often.
    mutating func answerChallenge(_ response: RTSPResponse, _ pending: Pending) -> Pending? {
        guard address.user != nil, let challenge = RTSPAuthentication(challenges: response.headers.all("WWW-Authenticate")) else { return nil }
        let wasGiven = pending.request.headers["Authorization"] != nil
        let isNew = challenge.nonce != nil && challenge.nonce != authentication?.nonce
        let mayAnswer = challenge.isStale ? pending.challengesAnswered < 3 : pending.challengesAnswered == 0 && (!wasGiven || isNew) && !isLoginRefused
        guard mayAnswer else {
            isLoginRefused = true
            return nil
        }
        authentication = challenge
        var headers = pending.request.headers
        for name in ["CSeq", "User-Agent", "Authorization", "Session"] { headers[name] = nil }
        let request = request(pending.request.method, pending.request.uri, headers)
        return Pending(request: request, sequence: sequence, challengesAnswered: pending.challengesAnswered + 1)
    }
}
