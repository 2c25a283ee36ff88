// SPDX-License-Identifier: Apache-2.0
// Sequences of what a source sends to the parts that follow its numbers: the time line of its tracks and the finder of gaps.
import Primitives
@testable import RTP

/// Packets, reports, restarts and settling in any order: nothing traps.
func fuzzTimeline(_ bytes: UnsafeRawBufferPointer) {
    var events = EventReader(bytes)
    guard let setting = events.byte() else { return }
    var timeline = StreamTimeline(clockRates: setting & 1 == 0 ? [48_000, 90_000] : [8000, 90_000], weighsArrivals: setting & 2 != 0)
    var timestamps: [UInt32] = [setting & 4 == 0 ? 0 : 0xffff_fff0, 77]
    var now: Int64 = setting & 8 == 0 ? 0 : 1 << 50, repetitions = 60_000
    while let kind = events.byte() {
        let track = Int(kind >> 7)
        switch kind & 0x1f {
        case 0..<20:
            guard let step = events.step(), let elapsed = events.elapsed() else { return }
            // Single steps are harmless; what traps is many of them added up.
            let count = kind & 0x60 == 0x60 ? min(20_000, repetitions) : 1
            repetitions -= count - 1
            for _ in 0..<count {
                timestamps[track] &+= step
                now &+= elapsed / Int64(max(1, count))
                timeline.note(timestamps[track], track: track, arrival: Instant(nanoseconds: now))
                let media = timeline.media(timestamps[track], track: track)
                _ = timeline.time(media, track: track)
            }
        case 20..<26:
            guard let ntp = events.long() else { return }
            timeline.report(ntp: ntp, timestamp: timestamps[track], track: track, arrival: Instant(nanoseconds: now))
        case 26, 27:
            // A report that agrees with the clock.
            timeline.report(ntp: WallTime(nanoseconds: now).ntp, timestamp: timestamps[track], track: track, arrival: Instant(nanoseconds: now))
        case 28: timeline.restart()
        case 29: timeline.settle()
        default: _ = timeline.hasReports(of: track)
        }
    }
}

/// Any order of packets, time and forgetting: what is missing stays bounded, and what is asked for is asked in order and once a turn.
func fuzzNACK(_ bytes: UnsafeRawBufferPointer) {
    var events = EventReader(bytes)
    var generator = NACKGenerator(), sequence: UInt16 = 65_000, now = Instant.zero
    while let kind = events.byte() {
        switch kind & 7 {
        case 0, 1, 2, 3:
            sequence &+= UInt16(kind >> 3 & 3)
            generator.receive(sequence, isRetransmission: kind & 0x80 != 0, at: now)
        case 4:
            guard let step = events.step() else { return }
            sequence &+= UInt16(truncatingIfNeeded: step)
            generator.receive(sequence, isRetransmission: kind & 0x80 != 0, at: now)
        case 5:
            guard let elapsed = events.elapsed() else { return }
            now = now.advanced(byNanoseconds: elapsed)
            let asked = generator.pending(at: now, rtt: .milliseconds(Int64(kind)))
            hold(Set(asked).count == asked.count, "one packet is asked for twice at once")
        case 6: generator.forget(before: sequence &- UInt16(kind))
        default: kind > 0xe0 ? generator.restart() : generator.receive(sequence &- UInt16(kind), isRetransmission: true, at: now)
        }
        hold(generator.count <= NACKGenerator.maximumMissing, "more packets are missing than the bound")
    }
}
