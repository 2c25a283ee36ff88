// SPDX-License-Identifier: Apache-2.0
// The profiles that profile-level-id can name, as far as they matter for compatibility.

/// An H.264 profile (RFC 6184 §8.1, table 5).
enum H264Profile {
    case constrainedBaseline, baseline, main, constrainedHigh, high
    /// High 4:4:4 Predictive: what Chromium declares for its software decoder, which takes everything below it.
    case high444
    case other(UInt8)

    /// `nil` when `text` is not six hexadecimal digits.
    init?(_ text: String?) {
        guard let text, text.utf8.count == 6, let value = UInt32(text, radix: 16) else { return nil }
        let profile = UInt8(value >> 16), constraints = UInt8(value >> 8 & 255)
        switch (profile, constraints) {
        case (0x42, _) where constraints & 0x40 != 0: self = .constrainedBaseline
        case (0x4d, _) where constraints & 0x80 != 0: self = .constrainedBaseline
        case (0x58, _) where constraints & 0xc0 == 0xc0: self = .constrainedBaseline
        case (0x42, _): self = .baseline
        case (0x58, _) where constraints & 0x80 != 0: self = .baseline
        case (0x4d, _): self = .main
        case (0x64, _) where constraints & 0x0c == 0x0c: self = .constrainedHigh
        case (0x64, _): self = .high
        case (0xf4, _): self = .high444
        default: self = .other(profile)
        }
    }

    var isBaseline: Bool {
        switch self {
        case .constrainedBaseline, .baseline: true
        default: false
        }
    }

    /// How many receivers can decode it, for choosing what a publisher shall send.
    var reach: Int {
        switch self {
        case .constrainedBaseline: 5
        case .baseline: 4
        case .main: 3
        case .constrainedHigh: 2
        case .high: 1
        case .high444, .other: 0
        }
    }

    /// How well a decoder of this profile fits a stream of profile `source`: 3 the same, 2 a superset,
    /// 1 formally less but what is really sent fits (browsers call their constrained streams "42001f", encoders progressive ones "6400xx").
    func fit(for source: H264Profile) -> Int? {
        switch (source, self) {
        case (.constrainedBaseline, .constrainedBaseline), (.baseline, .baseline), (.main, .main),
            (.constrainedHigh, .constrainedHigh), (.high, .high), (.high444, .high444): 3
        case (.other(let a), .other(let b)): a == b ? 3 : nil
        case (.constrainedBaseline, .baseline), (.constrainedBaseline, .main), (.constrainedBaseline, .constrainedHigh),
            (.constrainedBaseline, .high), (.main, .high), (.constrainedHigh, .high), (.constrainedBaseline, .high444), (.main, .high444),
            (.constrainedHigh, .high444), (.high, .high444): 2
        case (.baseline, .constrainedBaseline), (.baseline, .main), (.baseline, .constrainedHigh), (.baseline, .high),
            (.baseline, .high444), (.main, .constrainedHigh), (.high, .constrainedHigh): 1
        default: nil
        }
    }
}
