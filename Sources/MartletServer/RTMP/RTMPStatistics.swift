// SPDX-License-Identifier: Apache-2.0
// Figures of the RTMP doors for the statistics page.
import Signalling

struct RTMPStatistics: StatSource {
    let service: RTMPService
    let relays: RTMPRelays

    func statSections() async -> [StatSection] {
        let (now, since) = service.statistics
        let running = await relays.counts()
        return [StatSection("rtmp", [
            ("rtmp_connections", JSONValue(now)), ("rtmp_connections_accepted", JSONValue(since.connections)),
            ("rtmp_connections_refused", JSONValue(since.refused)), ("rtmp_connections_failed", JSONValue(since.failed)),
            ("rtmp_messages_unusable", JSONValue(service.ingestCounters.unusable)), ("rtmp_clock_jumps", JSONValue(service.ingestCounters.rebases)),
            ("rtmp_pushes", JSONValue(running.pushes)), ("rtmp_pulls", JSONValue(running.pulls)),
        ])]
    }
}
