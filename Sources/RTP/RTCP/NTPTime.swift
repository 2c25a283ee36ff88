// The timestamps of sender reports (RFC 3550 §4): seconds since 1900 in the upper, fractions in the lower 32 bits.

public enum NTPTime {
    /// ns from the beginning of 1900 to that of 1970.
    public static let unixEpoch: Int64 = 2_208_988_800 * 1_000_000_000

    /// - Parameter nanoseconds: since 1900; what lies before is taken for 1900.
    public static func timestamp(nanoseconds: Int64) -> UInt64 {
        let (seconds, rest) = UInt64(max(0, nanoseconds)).quotientAndRemainder(dividingBy: 1_000_000_000)
        return seconds << 32 | (rest << 32) / 1_000_000_000
    }

    /// ns since 1900.
    public static func nanoseconds(_ timestamp: UInt64) -> Int64 {
        Int64(timestamp >> 32) * 1_000_000_000 + Int64(((timestamp & 0xffff_ffff) * 1_000_000_000) >> 32)
    }
}
