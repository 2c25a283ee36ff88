// SPDX-License-Identifier: Apache-2.0
// Gives the sound of a file times without jitter. Owned by a FileProducer.

/// Containers round times (WebM to milliseconds); sound has to follow on sample by sample, unless there is a real gap.
struct AudioTimeline {
    /// Ticks per second.
    let rate: Int64
    private var next: Int64?

    init(rate: Int) { self.rate = Int64(max(1, rate)) }

    /// Where a piece of sound belongs that the file places at `microseconds` and that lasts `ticks`.
    /// `isGap`: it does not follow on the one before (more than 100 ms away), or it is the first.
    mutating func place(microseconds: Int64, ticks: Int64) -> (time: Int64, isGap: Bool) {
        let stated = microseconds * rate / 1_000_000
        guard let next, abs(stated - next) <= rate / 10 || stated < next else {
            self.next = stated + ticks
            return (stated, true)
        }
        self.next = next + ticks
        return (next, false)
    }
}
