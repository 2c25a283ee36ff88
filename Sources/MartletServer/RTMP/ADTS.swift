// SPDX-License-Identifier: Apache-2.0
// AAC behind ADTS heads (ISO/IEC 14496-3 §1.A.2.2), which some encoders leave in RTMP, where frames should be bare. Used by IngestState.
import RTP

enum ADTS {
    /// What a message holds: the AudioSpecificConfig that its heads stand for, and the bare frames. `nil` when it doesn't begin with a head.
    static func parse(_ bytes: ArraySlice<UInt8>) -> (config: [UInt8], frames: [ArraySlice<UInt8>])? {
        var rest = bytes, frames: [ArraySlice<UInt8>] = [], config: [UInt8]?
        while let head = Head(rest) {
            config = config ?? head.config
            frames.append(rest[(rest.startIndex + head.length)..<(rest.startIndex + head.frameLength)])
            rest = rest.dropFirst(head.frameLength)
        }
        return config.map { ($0, frames) }
    }

    private struct Head {
        let length: Int
        /// With the head.
        let frameLength: Int
        let config: [UInt8]

        private static let rates = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350]

        /// A bare frame can't begin with twelve ones: that would be an end in front of everything.
        init?(_ bytes: ArraySlice<UInt8>) {
            let head = Array(bytes.prefix(7))
            guard head.count == 7, head[0] == 0xff, head[1] & 0xf6 == 0xf0 else { return nil }
            length = head[1] & 1 == 0 ? 9 : 7
            frameLength = Int(head[3] & 3) << 11 | Int(head[4]) << 3 | Int(head[5] >> 5)
            // Several blocks behind one head would have to be decoded to be taken apart.
            guard frameLength > length, frameLength <= bytes.count, head[6] & 3 == 0, Self.rates.indices.contains(Int(head[2] >> 2 & 0xf)),
                let config = AudioSpecificConfig(
                    objectType: Int(head[2] >> 6) + 1, sampleRate: Self.rates[Int(head[2] >> 2 & 0xf)],
                    channels: Int(head[2] & 1) << 2 | Int(head[3] >> 6)
                ).bytes
            else { return nil }
            self.config = config
        }
    }
}
