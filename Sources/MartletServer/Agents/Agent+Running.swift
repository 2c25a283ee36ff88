// SPDX-License-Identifier: Apache-2.0
// The life of an agent: first attempt, running, reconnecting with growing pauses, end. AgentLife decides, `run` carries out.
import Logging
import Signalling

extension Agent {
    /// How long the far side may take to say why it closed the peer connection.
    private static let goodbyeTime = Duration.milliseconds(500)

    /// A link that has run for so long has not failed: the next pause is short again.
    static let steadySpan = Duration.seconds(5)

    /// Lives until the local stream, the far stream or REST ends it. Returns why.
    func run() async -> AgentEnd {
        let end = await withDiscardingTaskGroup { group -> AgentEnd in
            var life = AgentLife(direction: request.direction)
            startAttempt(life.generation, &group)
            for await input in mailbox {
                switch life.take(input) {
                case .nothing: break
                case .watch(let link): watch(link, life.generation, &group)
                case .discard(let link): close(link)
                case .running:
                    life.runningSince = .now
                    await showRunning(life)
                case .forward(let event): forward(event, life.link)
                case .publish(let event):
                    var event = event
                    event.mediaSessionID = localMediaSessionID
                    await registry.send(event, ownerID: owner.id)
                case .attempt: startAttempt(life.generation, &group)
                case .expectGoodbye: wait(Self.goodbyeTime, .mediaClosed(generation: life.generation), &group)
                case .broken(let reason):
                    await dropLink(&life)
                    if let end = retry(after: reason, &life, &group) { return await conclude(&life, end, &group) }
                case .end(let reason): return await conclude(&life, reason, &group)
                }
            }
            return await conclude(&life, .terminated, &group)
        }
        // An attempt that was under way at the end may have opened a media session since.
        await registry.stop(localMediaSessionID, ownerID: owner.id)
        return end
    }

    private func startAttempt(_ generation: Int, _ group: inout DiscardingTaskGroup) {
        group.addTask {
            let result = await self.attempt()
            if Task.isCancelled, case .success(let link) = result { self.close(link) }
            self.post(.attempted(generation: generation, result))
        }
        wait(settings.timeout, .overdue(generation: generation), &group)
    }

    private func wait(_ duration: Duration, _ input: Input, _ group: inout DiscardingTaskGroup) {
        group.addTask {
            do { try await self.clock.sleep(for: duration) } catch { return }
            self.post(input)
        }
    }

    /// Carries what the far side says into the mailbox.
    private func watch(_ link: Link, _ generation: Int, _ group: inout DiscardingTaskGroup) {
        group.addTask {
            for await status in link.stream.statuses { self.post(.far(generation: generation, status)) }
            self.post(.farGone(generation: generation))
        }
        group.addTask {
            var allowance = StreamEventAllowance()
            for await event in link.stream.events where allowance.takes(event) { self.post(.farEvent(generation: generation, event)) }
        }
    }

    private func showRunning(_ life: AgentLife) async {
        show(request.direction == .push ? .processedLocal : .processedRemote, remote: life.link?.stream.mediaSessionID)
        logger.info("agent runs", metadata: ["media_session": "\(localMediaSessionID)"])
        settle(.success(()))
        // The far side's players learn what was muted before.
        for type in life.mutes { forward(StreamEventMessage(mediaSessionID: "", type: type), life.link) }
    }

    private func forward(_ event: StreamEventMessage, _ link: Link?) {
        guard let link else { return }
        link.client.sendEvent(event.type, payload: event.payload, of: link.stream)
    }

    private func close(_ link: Link) {
        link.client.stop(link.stream)
        link.client.close()
    }

    /// Lets go of a broken link. What is local and worth keeping is kept: a pulled stream has players.
    private func dropLink(_ life: inout AgentLife) async {
        if let link = life.link { close(link) }
        life.link = nil
        if request.direction == .push {
            await registry.closePush(localMediaSessionID, ownerID: owner.id)
        }
    }

    /// Prepares the next attempt, or says why there is none.
    private func retry(after reason: AgentEnd, _ life: inout AgentLife, _ group: inout DiscardingTaskGroup) -> AgentEnd? {
        guard life.hasRun, settings.reconnects, reason.isWorthRetrying else { return reason }
        let now = ContinuousClock.now
        if let running = life.runningSince, now - running >= Self.steadySpan { life.forgetFailures() }
        life.runningSince = nil
        let since = life.brokenSince ?? now
        life.brokenSince = since
        if request.direction == .pull, now - since > settings.longestPullGap { return reason }
        life.prepareRetry()
        if settings.maximumAttempts > 0, life.failures > settings.maximumAttempts { return reason }
        let delay = settings.delay(beforeAttempt: life.failures)
        logger.notice("link broken, reconnecting", metadata: ["reason": "\(reason.failure(for: request).reason)", "delay": "\(delay)"])
        show(.reconnecting)
        wait(delay, .retryDue(generation: life.generation), &group)
        return nil
    }

    /// Ends both halves: the far stream is told, the local media session goes.
    private func conclude(_ life: inout AgentLife, _ reason: AgentEnd, _ group: inout DiscardingTaskGroup) async -> AgentEnd {
        if let link = life.link { close(link) }
        life.link = nil
        await registry.stop(localMediaSessionID, ownerID: owner.id)
        logger.info("agent ended", metadata: ["reason": "\(reason.failure(for: request).reason)"])
        settle(.failure(reason))
        group.cancelAll()
        return reason
    }
}
