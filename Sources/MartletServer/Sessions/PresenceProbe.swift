// SPDX-License-Identifier: Apache-2.0
// Finding out whether a client is still there: one ping, and the wait for its pong. Because both ways of a socket keep their
// order, the pong also says that everything sent before it has been handled.
import Signalling
import Synchronization

/// A question that is answered once.
final class PresenceProbe: Sendable {
    private let waiting: Mutex<CheckedContinuation<SessionPresence, Never>?>

    init(_ continuation: CheckedContinuation<SessionPresence, Never>) { waiting = Mutex(continuation) }

    /// The first answer counts.
    func resolve(_ presence: SessionPresence) {
        let continuation = waiting.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
        continuation?.resume(returning: presence)
    }
}

/// Which pong answers which ping. Clients answer each ping once, in order.
struct PingCounter {
    private var sent = 0
    private var answered = 0
    private var probes: [(ping: Int, probe: PresenceProbe)] = []

    mutating func sentPing(for probe: PresenceProbe? = nil) {
        sent += 1
        if let probe { probes.append((sent, probe)) }
    }

    mutating func receivedPong() {
        answered = min(answered + 1, sent)
        while let first = probes.first, first.ping <= answered {
            probes.removeFirst()
            first.probe.resolve(.present)
        }
    }

    /// The client is gone.
    mutating func giveUp() {
        for (_, probe) in probes { probe.resolve(.gone) }
        probes = []
    }
}

extension Session {
    /// Pings in a row whose loss makes a client count as silent.
    private static let silentPings = 2

    /// Asks the client. Returns within the presence timeout of the limits. Any task.
    nonisolated func presence() async -> SessionPresence {
        await withCheckedContinuation { continuation in
            let probe = PresenceProbe(continuation)
            post(.probe(probe))
            // Not bound to the caller: the answer has to come in any case.
            Task {
                try? await Task.sleep(for: limits.presenceTimeout)
                probe.resolve(await presenceWithoutAnswer)
            }
        }
    }

    private var presenceWithoutAnswer: SessionPresence {
        if state == .closing { return .gone }
        return unansweredPings >= Self.silentPings ? .silent : .present
    }

    /// This session for applications.
    var link: SessionLink {
        SessionLink(
            info: info,
            send: { [weak self] text in self?.post(.frame(text)) },
            presence: { [weak self] in await self?.presence() ?? .gone },
            drop: { [weak self] reason in self?.post(.drop(reason)) })
    }
}
