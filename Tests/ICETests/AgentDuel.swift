// SPDX-License-Identifier: Apache-2.0
// Test support: two agents joined by two emulated links, run in virtual time. A failure is replayed by its seed.
import ICE
import NetworkEmulator
import Primitives

/// One side of a duel.
struct Duellist {
    var agent: ICEAgent
    /// Where its packets come from and where it can be reached, as the other side sees it. May change (NAT).
    var address: SocketAddress
    /// Packets of the peer on their way here.
    var inbound: Link
    var connectedAt: Instant?
    var changes: [SocketAddress] = []
    var failure: ICEFailure?
    /// Sizes of the datagrams it has sent.
    var sent: [Int] = []
    /// Called with each datagram before it is sent; may change it.
    var tamper: (@Sendable ([UInt8]) -> [UInt8])?
}

struct AgentDuel {
    enum Side { case a, b }
    var a: Duellist
    var b: Duellist
    var now = Instant(milliseconds: 1000)
    /// Addresses a link's packets carry in their first byte, so that a packet keeps the source it was sent with.
    private var addresses: [SocketAddress] = []

    static let addressA = SocketAddress(ipv4: 0xc000_0201, port: 40_000)
    static let addressB = SocketAddress(ipv4: 0xc633_6401, port: 31_001)

    /// `a` is controlling; `b` as given. Both get each other's credentials when `introduce` is called.
    init(b roleOfB: ICEAgent.Role, profile: LinkProfile = .perfect, seed: UInt64) {
        let start = Instant(milliseconds: 1000)
        func make(_ role: ICEAgent.Role, _ address: SocketAddress, _ salt: UInt64) -> Duellist {
            var random = RandomSource.seeded(seed &* 1_000_003 &+ salt)
            let local = ICECredentials.random(using: &random)
            return Duellist(
                agent: ICEAgent(configuration: .init(role: role, local: local), random: random, now: start),
                address: address, inbound: Link(profile: profile, seed: seed &* 7 &+ salt))
        }
        a = make(.controlling, Self.addressA, 1)
        b = make(roleOfB, Self.addressB, 2)
    }

    var credentialsA: ICECredentials { a.agent.configuration.local }
    var credentialsB: ICECredentials { b.agent.configuration.local }

    /// Exchanges session descriptions: by default `a` knows b's address and `b` learns a's from its checks.
    mutating func introduce(candidatesOfB: [SocketAddress] = [addressB], candidatesOfA: [SocketAddress] = []) {
        introduceA(candidatesOfB: candidatesOfB)
        introduceB(candidatesOfA: candidatesOfA)
    }
    mutating func introduceA(candidatesOfB: [SocketAddress] = [addressB]) {
        a.agent.setRemote(
            credentialsB, candidates: candidatesOfB, isLite: b.agent.configuration.role == .lite, at: now)
    }
    mutating func introduceB(candidatesOfA: [SocketAddress] = []) {
        b.agent.setRemote(credentialsA, candidates: candidatesOfA, isLite: false, at: now)
    }

    mutating func setProfile(_ profile: LinkProfile) {
        a.inbound.profile = profile
        b.inbound.profile = profile
    }

    /// Runs until `condition` holds or `duration` has passed; `false` in the latter case.
    @discardableResult
    mutating func run(for duration: Duration, until condition: (AgentDuel) -> Bool = { _ in false }) -> Bool {
        let end = now + duration
        var steps = 0
        while true {
            step()
            if condition(self) { return true }
            let next = [
                a.agent.nextDeadline, b.agent.nextDeadline, a.inbound.nextDeadline, b.inbound.nextDeadline,
            ].compactMap { $0 }.min()
            guard let next, next <= end else {
                now = end
                return false
            }
            // A deadline that stays in the past after advance(to:) would spin a reactor.
            steps = next <= now ? steps + 1 : 0
            precondition(steps < 1000, "an agent's deadline does not move")
            now = max(now, next)
        }
    }

    private mutating func step() {
        for bytes in a.inbound.deliver(at: now) { hand(bytes, to: .a) }
        for bytes in b.inbound.deliver(at: now) { hand(bytes, to: .b) }
        if let due = a.agent.nextDeadline, due <= now { perform(a.agent.advance(to: now), of: .a) }
        if let due = b.agent.nextDeadline, due <= now { perform(b.agent.advance(to: now), of: .b) }
    }

    private mutating func hand(_ bytes: [UInt8], to side: Side) {
        let source = addresses[Int(bytes[0])]
        let actions = bytes[1...].withUnsafeBytes { datagram in
            side == .a
                ? a.agent.receive(datagram, from: source, at: now) : b.agent.receive(datagram, from: source, at: now)
        }
        perform(actions, of: side)
    }

    mutating func perform(_ actions: [ICEAction], of side: Side) {
        for action in actions {
            var me = side == .a ? a : b
            switch action {
            case .send(let bytes, let destination):
                let datagram = me.tamper?(bytes) ?? bytes
                me.sent.append(datagram.count)
                let source = addressIndex(me.address)
                if side == .a, destination == b.address { b.inbound.send([source] + datagram, at: now) }
                if side == .b, destination == a.address { a.inbound.send([source] + datagram, at: now) }
            case .connected: me.connectedAt = now
            case .remoteChanged(let address): me.changes.append(address)
            case .failed(let failure): me.failure = failure
            }
            // Sending touched only the other side's link.
            if side == .a {
                let link = a.inbound
                a = me
                a.inbound = link
            } else {
                let link = b.inbound
                b = me
                b.inbound = link
            }
        }
    }

    private mutating func addressIndex(_ address: SocketAddress) -> UInt8 {
        if let index = addresses.firstIndex(of: address) { return UInt8(index) }
        addresses.append(address)
        return UInt8(addresses.count - 1)
    }

    var bothConnected: Bool { a.agent.state == .connected && b.agent.state == .connected }
}
