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

/// How long Opus packets last.
enum OpusDuration {
    /// Samples at 48 kHz by the packet's TOC byte (RFC 6716 §3.1); 0 for a malformed packet.
    static func samples(_ packet: [UInt8]) -> Int64 {
        guard let toc = packet.first else { return 0 }
        let configuration = Int(toc >> 3)
        let frame: Int64 = switch configuration {
        case 0..<12: [480, 960, 1920, 2880][configuration % 4]
        case 12..<16: [480, 960][configuration % 2]
        default: [120, 240, 480, 960][configuration % 4]
        }
        switch toc & 3 {
        case 0: return frame
        case 1, 2: return 2 * frame
        default: return packet.count > 1 ? min(5760, frame * Int64(packet[1] & 0x3f)) : 0
        }
    }
}
