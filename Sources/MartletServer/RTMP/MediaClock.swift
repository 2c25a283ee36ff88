// Unrolls the 32-bit milliseconds of RTMP, which wrap after 49 days, into times that don't.

struct MediaClock: Sendable {
    private var last: Int64?

    /// Milliseconds; those of one connection are on one clock, audio and video alike.
    mutating func unwrap(_ timestamp: UInt32) -> Int64 {
        guard let last else {
            self.last = Int64(timestamp)
            return Int64(timestamp)
        }
        let time = last + Int64(Int32(bitPattern: timestamp &- UInt32(truncatingIfNeeded: last)))
        self.last = time
        return time
    }
}
