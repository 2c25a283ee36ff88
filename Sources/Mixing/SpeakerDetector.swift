// SPDX-License-Identifier: Apache-2.0
// Who speaks: the loudest voice, with some patience, so that the mark does not jump about.
import Foundation

struct SpeakerDetector {
    /// A pause of this many windows ends nobody's turn: 0.8 s.
    static let patience = 8
    /// Somebody else has to be louder by so much to take the mark at once, dB.
    static let margin = 6.0

    let threshold: Double
    private(set) var speaker: Int?
    private var silence = 0

    /// - Parameter threshold: dB below full scale.
    init(threshold: Double) { self.threshold = threshold }

    /// Takes the loudness (root mean square, 0…1) of each participant over the next window of 100 ms; gives who has the mark.
    mutating func next(_ loudness: [Float]) -> Int? {
        let levels = loudness.map { $0 > 0 ? 20 * log10(Double($0)) : -200 }
        let loudest = levels.indices.max { levels[$0] < levels[$1] }
        let own = speaker.map { levels[$0] } ?? -200
        if own > threshold { silence = 0 } else { silence += 1 }
        if let loudest, levels[loudest] > threshold, speaker == nil || levels[loudest] >= own + Self.margin {
            if speaker != loudest { silence = 0 }
            speaker = loudest
        } else if silence > Self.patience {
            speaker = nil
        }
        return speaker
    }
}
