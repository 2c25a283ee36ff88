// SPDX-License-Identifier: Apache-2.0
// How a Link treats datagrams. Made by tests, which may change it while the link runs.

/// The properties of one direction of a network path. The default is perfect: no delay, no loss, no limit.
public struct LinkProfile: Equatable, Sendable {
    /// Probability, 0…1, that a datagram is lost, independently of the others.
    public var loss: Double
    /// Loss in bursts, on top of `loss`.
    public var bursts: GilbertElliott?
    /// One-way delay.
    public var delay: Duration
    /// Added to `delay`: uniform between zero and this. Keeps the order.
    public var jitter: Duration
    /// Probability, 0…1, that a datagram is held back by `reorderDelay`, so that later ones overtake it.
    public var reorder: Double
    public var reorderDelay: Duration
    /// Probability, 0…1, that a datagram arrives twice.
    public var duplicate: Double
    /// Bit/s, IP and UDP headers not counted; `nil`: unlimited.
    public var rate: Int?
    /// Bytes that may wait for a limited link; what doesn't fit is dropped at the tail.
    public var queueLimit: Int

    public init(
        loss: Double = 0, bursts: GilbertElliott? = nil, delay: Duration = .zero, jitter: Duration = .zero,
        reorder: Double = 0, reorderDelay: Duration = .milliseconds(20), duplicate: Double = 0, rate: Int? = nil,
        queueLimit: Int = 256 * 1024
    ) {
        self.loss = loss
        self.bursts = bursts
        self.delay = delay
        self.jitter = jitter
        self.reorder = reorder
        self.reorderDelay = reorderDelay
        self.duplicate = duplicate
        self.rate = rate
        self.queueLimit = queueLimit
    }

    public static let perfect = LinkProfile()
    /// Nothing gets through.
    public static let down = LinkProfile(loss: 1)
}

/// The two-state loss model of Gilbert and Elliott: a good and a bad state, each with its own loss.
public struct GilbertElliott: Equatable, Sendable {
    /// Probability per datagram of entering the bad state; its inverse is the mean length of a good spell in datagrams.
    public var enterBad: Double
    /// Probability per datagram of leaving it; its inverse is the mean burst length.
    public var leaveBad: Double
    public var lossWhenGood: Double
    public var lossWhenBad: Double

    public init(enterBad: Double, leaveBad: Double, lossWhenGood: Double = 0, lossWhenBad: Double = 1) {
        self.enterBad = enterBad
        self.leaveBad = leaveBad
        self.lossWhenGood = lossWhenGood
        self.lossWhenBad = lossWhenBad
    }

    /// The share of datagrams lost in the long run.
    public var meanLoss: Double {
        guard enterBad + leaveBad > 0 else { return lossWhenGood }
        let bad = enterBad / (enterBad + leaveBad)
        return lossWhenGood * (1 - bad) + lossWhenBad * bad
    }
}
