// SPDX-License-Identifier: Apache-2.0
// The sessions that were begun by HTTP: publishers by WHIP (RFC 9725), players by WHEP. Each owns one media session of the
// registry and ends with it. Called by WHIPResponder; owned by the composition.
import Logging
import MediaIO
import Primitives
import SDP
import Signalling

/// Which of the two a request is for.
enum WHIPKind: String, Sendable, CaseIterable {
    /// Publishes.
    case whip
    /// Plays.
    case whep

    var publishes: Bool { self == .whip }
}

/// Decides who may publish and play by HTTP. The place for tokens; everybody may until one is put in.
protocol WHIPAuthorizer: Sendable {
    /// - Parameter token: what stood behind `Authorization: Bearer`; `nil` when nothing did.
    func authorize(_ kind: WHIPKind, stream: String, token: String?) async throws(WHIPFailure)
}

struct OpenWHIPAuthorizer: WHIPAuthorizer {
    func authorize(_ kind: WHIPKind, stream: String, token: String?) async throws(WHIPFailure) {}
}

actor WHIPService {
    /// What a new session is told.
    struct Created: Sendable {
        let id: String
        let answer: String
        let tag: String
    }

    private struct Session {
        let kind: WHIPKind
        let stream: String
        let owner: StreamOwner
        /// Of the ICE session: changes with each restart.
        var tag: String
        var ufrag: String
        /// The m-line that speaks for the transport.
        let medium: String
        let mid: String
        /// Until the client is connected.
        let handshake: MemoryAccount
    }

    private let streams: StreamRegistry
    private let engine: any MediaEngineProtocol
    private let membersOnly: Bool
    private let memory: MemoryBudget
    private let logger: Logger
    private var sessions: [String: Session] = [:]

    /// - Parameter membersOnly: streams of rooms are for their participants, who don't come by HTTP.
    init(streams: StreamRegistry, engine: any MediaEngineProtocol, membersOnly: Bool, memory: MemoryBudget = .unlimited, logger: Logger) {
        self.memory = memory
        self.streams = streams
        self.engine = engine
        self.membersOnly = membersOnly
        self.logger = logger
    }

    var count: Int { sessions.count }

    /// Publishes or plays with the client's offer.
    func begin(_ kind: WHIPKind, stream: String, offer: String, transport: String?, from network: AddressKey = .other("unknown")) async throws(WHIPFailure) -> Created {
        let handshake: MemoryAccount
        switch HandshakeMemory.take(from: memory, for: network) {
        case .success(let account): handshake = account
        case .failure(.address): throw .tooMany(MemoryBudget.Refusal.address.description, retryAfter: 5)
        case .failure(let refusal): throw .unavailable(refusal.description, retryAfter: 5)
        }
        let description: SessionDescription
        do { description = try SessionDescription(parsing: offer) } catch { throw .badRequest("\(error)") }
        let wanted = description.media.filter { kind.publishes ? $0.direction.sends : $0.direction.receives }
        guard let speaker = description.media.first(where: { $0.iceUfrag != nil }), let ufrag = speaker.iceUfrag else {
            throw .unprocessable("the offer has no ICE credentials (a=ice-ufrag, a=ice-pwd)")
        }
        if kind == .whep, membersOnly, await streams.room(ofStream: stream) != nil {
            throw .forbidden("stream \"\(stream.prefix(256))\" belongs to a room")
        }
        let id = Identifier.uuid()
        var request = StreamRequest(
            mediaSessionID: id, name: stream, published: kind.publishes, hasAudio: wanted.contains { $0.kind == .audio },
            hasVideo: wanted.contains { $0.kind == .video }, sdp: offer)
        request.transport = transport
        let owner = StreamOwner(id: "\(kind.rawValue)-\(id)", appKey: kind.rawValue, address: network, choosesCodec: true) { [weak self] notice in
            switch notice {
            case .started: handshake.close()
            case .ended:
                handshake.close()
                Task { await self?.forget(id) }
            default: break
            }
        }
        let tag = Identifier.uuid()
        sessions[id] = Session(
            kind: kind, stream: stream, owner: owner, tag: tag, ufrag: ufrag, medium: speaker.kind.token, mid: speaker.mid ?? "0", handshake: handshake)
        do throws(StreamRefusal) {
            let answer = kind.publishes ? try await streams.publish(request, owner: owner) : try await streams.play(request, owner: owner)
            return Created(id: id, answer: answer, tag: tag)
        } catch {
            sessions[id] = nil
            let failure = WHIPFailure(error)
            logger.info("\(kind.publishes ? "publish" : "play") refused", metadata: [
                "stream": "\(stream.prefix(256))", "by": "\(kind.rawValue)", "peer": "\(network)", "reason": "\(failure.detail)",
            ])
            throw failure
        }
    }

    /// Ends a session for its client.
    func end(_ kind: WHIPKind, stream: String, id: String) async throws(WHIPFailure) {
        let session = try find(kind, stream, id)
        sessions[id] = nil
        await streams.stop(id, ownerID: session.owner.id)
    }

    /// Takes candidates (which an ICE-lite server does not need), or restarts ICE. Gives back our half of a restart with its tag.
    func patch(
        _ kind: WHIPKind, stream: String, id: String, fragment: TrickleFragment, ifMatch: String
    ) async throws(WHIPFailure) -> (body: String, tag: String)? {
        let session = try find(kind, stream, id)
        let tags = ifMatch.split(separator: ",").map { $0.trimmingWhitespace() }
        let isRestart = fragment.ufrag.map { $0 != session.ufrag } ?? false
        guard tags.contains("*") || tags.contains("\"\(session.tag)\"") else {
            throw .preconditionFailed("the ICE session has been restarted since; the tag of the present one is another")
        }
        guard isRestart, let ufrag = fragment.ufrag, let password = fragment.password else { return nil }
        let restart: ICERestart?
        do throws(StreamRefusal) {
            restart = try await streams.restartICE(id, ownerID: session.owner.id, ufrag: ufrag, password: password)
        } catch {
            throw WHIPFailure(error)
        }
        guard let restart, sessions[id] != nil else { throw .notFound("the session is over") }
        let tag = Identifier.uuid()
        sessions[id]?.tag = tag
        sessions[id]?.ufrag = ufrag
        logger.debug("ICE restarted", metadata: ["stream": "\(stream.prefix(256))", "media_session": "\(id)"])
        return (TrickleFragment.answer(restart, kind: session.medium, mid: session.mid), tag)
    }

    /// Throws 404 unless there is such a session.
    func check(_ kind: WHIPKind, stream: String, id: String) throws(WHIPFailure) { _ = try find(kind, stream, id) }

    private func find(_ kind: WHIPKind, _ stream: String, _ id: String) throws(WHIPFailure) -> Session {
        guard let session = sessions[id], session.kind == kind, session.stream == stream else {
            throw .notFound("there is no such session; it may have ended")
        }
        return session
    }

    private func forget(_ id: String) { sessions[id] = nil }
}
