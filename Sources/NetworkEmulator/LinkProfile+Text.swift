// SPDX-License-Identifier: Apache-2.0
// Link profiles as people type them for `martlet relay`.
public import Primitives

extension LinkProfile {
    /// What is wrong with a text, in a sentence.
    public struct TextError: Error, CustomStringConvertible, Sendable {
        public let description: String
    }

    static let keys = "loss, burst, burst-length, delay, jitter, reorder, reorder-delay, duplicate, rate, queue"

    /// Reads `key=value` pairs separated by commas or spaces; what is not named keeps its value.
    ///
    /// `loss`, `burst` (loss in bursts), `reorder`, `duplicate`: per cent. `burst-length`: packets. `delay`, `jitter`,
    /// `reorder-delay`: ms. `rate`: kbit/s, 0 = unlimited. `queue`: KiB. The word `perfect` takes everything back.
    public mutating func apply(_ text: String) throws(TextError) {
        var burst = bursts?.meanLoss ?? 0
        var burstLength = bursts.map { 1 / $0.leaveBad } ?? 4
        for pair in text.split(whereSeparator: { $0 == "," || $0 == " " }) {
            if pair == "perfect" {
                self = .perfect
                burst = 0
                continue
            }
            let parts = pair.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, let value = Double(parts[1]), value >= 0, value <= 1e9 else {
                throw TextError(description: "\"\(pair)\" is not of the form key=number")
            }
            func share() throws(TextError) -> Double {
                guard value <= 100 else { throw TextError(description: "\(parts[0]) is per cent, 0 to 100, not \(parts[1])") }
                return value / 100
            }
            switch parts[0] {
            case "loss": loss = try share()
            case "burst": burst = min(try share(), 0.99)
            case "burst-length": burstLength = max(1, value)
            case "delay": delay = .microseconds(Int64(value * 1000))
            case "jitter": jitter = .microseconds(Int64(value * 1000))
            case "reorder": reorder = try share()
            case "reorder-delay": reorderDelay = .microseconds(Int64(value * 1000))
            case "duplicate": duplicate = try share()
            case "rate": rate = value == 0 ? nil : Int(value * 1000)
            case "queue": queueLimit = Int(value * 1024)
            default: throw TextError(description: "there is no \"\(parts[0])\"; known are \(Self.keys)")
            }
        }
        bursts = burst == 0 ? nil : GilbertElliott(enterBad: burst / (burstLength * (1 - burst)), leaveBad: 1 / burstLength)
    }
}
