// SPDX-License-Identifier: Apache-2.0
// Percentiles of a handful of samples, for the figures of the tools.

/// Nearest-rank percentiles.
public enum Percentile {
    /// The smallest sample that at least `fraction` (0…1) of all samples don't exceed; `nil` without samples.
    public static func of(_ samples: [Double], _ fraction: Double) -> Double? {
        guard !samples.isEmpty else { return nil }
        let rank = Int((min(1, max(0, fraction)) * Double(samples.count)).rounded(.up))
        return samples.sorted()[min(samples.count, max(1, rank)) - 1]
    }
}
