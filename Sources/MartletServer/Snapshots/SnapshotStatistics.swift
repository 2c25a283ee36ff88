// SPDX-License-Identifier: Apache-2.0
// Figures of snapshots and their workers for the statistics page.
import Signalling
import Snapshots

struct SnapshotStatistics: StatSource {
    let snapshots: StreamSnapshots

    func statSections() async -> [StatSection] {
        let counters = await snapshots.service.counters, workers = await snapshots.service.workers
        return [
            StatSection("snapshot", [
                ("snapshots_requested", JSONValue(counters.requests)), ("snapshots_taken", JSONValue(counters.taken)),
                ("snapshots_failed", JSONValue(counters.failed)), ("snapshots_refused", JSONValue(counters.refused)),
                ("snapshot_decodes", JSONValue(counters.decodes)), ("snapshot_decoded_frames", JSONValue(counters.decodedFrames)),
                ("snapshot_key_frame_requests", JSONValue(counters.keyFrameRequests)),
                ("snapshot_last_decode_us", JSONValue(counters.lastDecodeMicroseconds)),
                ("snapshot_last_encode_us", JSONValue(counters.lastEncodeMicroseconds)),
                ("snapshots_refused_for_address", .integer(Int64(clamping: snapshots.limiter?.refused ?? 0))),
                ("snapshot_workers_killed", JSONValue(workers.kills)),
                ("snapshot_workers", JSONValue(workers.processes)), ("snapshot_workers_started", JSONValue(workers.started)),
                ("snapshot_worker_jobs", JSONValue(workers.jobs)), ("snapshot_workers_crashed", JSONValue(workers.crashes)),
            ])
        ]
    }
}
