// SPDX-License-Identifier: Apache-2.0
// Figures of RTSP and of the conversions for the statistics page.
import Bridges
import Signalling

struct DoorStatistics: StatSource {
    let rtsp: RTSPServer?
    let pulls: RTSPPulls
    let bridges: BridgeService

    func statSections() async -> [StatSection] {
        let counters = await bridges.counters, workers = await bridges.workers
        var figures: [(String, JSONValue)] = [("rtsp_pulls", JSONValue(await pulls.count))]
        if let server = rtsp?.statistics {
            figures += [
                ("rtsp_clients", JSONValue(server.clients)), ("rtsp_clients_playing", JSONValue(server.playing)),
                ("rtsp_clients_accepted", .integer(Int64(clamping: server.accepted))), ("rtsp_clients_refused", .integer(Int64(clamping: server.refused))),
                ("rtsp_clients_malformed", .integer(Int64(clamping: server.malformed))), ("rtsp_clients_too_slow", .integer(Int64(clamping: server.slow))),
            ]
        }
        return [
            StatSection("rtsp", figures),
            StatSection("bridges", [
                ("bridges", JSONValue(counters.active)), ("bridges_started", JSONValue(counters.started)),
                ("bridges_worker_crashes", JSONValue(counters.crashes)), ("bridges_refused_for_address", JSONValue(counters.refusedForAddress)),
                ("bridges_workers_killed", JSONValue(workers.kills)), ("bridges_jobs_sharing_a_worker", JSONValue(workers.shared)),
            ]),
        ]
    }
}
