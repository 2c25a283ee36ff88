// SPDX-License-Identifier: Apache-2.0
// Figures of recordings and their workers for the statistics page.
import Recording
import Signalling

struct RecordingStatistics: StatSource {
    let recordings: StreamRecordings

    func statSections() async -> [StatSection] {
        let counters = await recordings.service.counters, workers = await recordings.service.workers
        return [
            StatSection("record", [
                ("recordings_active", JSONValue(counters.active)), ("recordings_started", JSONValue(counters.started)),
                ("recordings_failed", JSONValue(counters.failed)), ("record_files_finished", JSONValue(counters.finished)),
                ("record_files_repaired", JSONValue(counters.repaired)), ("record_packets_lost", JSONValue(counters.droppedPackets)),
                ("record_disk_full", JSONValue(counters.diskFull)), ("record_worker_crashes", JSONValue(counters.workerCrashes)),
                ("record_over_quota", JSONValue(counters.overQuota)), ("record_workers_killed", JSONValue(workers.kills)),
                ("record_jobs_sharing_a_worker", JSONValue(workers.shared)),
                ("record_workers", JSONValue(workers.processes)), ("record_workers_started", JSONValue(workers.started)),
            ])
        ]
    }
}
