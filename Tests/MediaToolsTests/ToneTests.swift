// SPDX-License-Identifier: Apache-2.0
import Codecs
import Testing

@testable import MediaTools

@Suite("Tone and level")
struct ToneTests {
    @Test("the tone is -21 dBFS and the beep at each second is 12 dB louder")
    func levels() {
        var tone = Tone()
        var beep = AudioLevel(), rest = AudioLevel()
        for part in 0..<100 {
            let frame = tone.next(480)
            if part < 5 { beep.add(frame) } else if part >= 5 { rest.add(frame) }
        }
        #expect(abs(rest.decibels + 21) < 0.1)
        #expect(abs(beep.decibels + 9) < 0.1)
        #expect(tone.position == 48_000)
    }

    @Test("the loudness is right after Opus, to a decibel")
    func afterOpus() throws {
        var tone = Tone(), sent = AudioLevel(), received = AudioLevel()
        let encoder = try AudioEncoder(.init(codec: .opus))
        let decoder = try AudioDecoder(.opus)
        for _ in 0..<150 {
            let frame = tone.next(960)
            sent.add(frame)
            for packet in try encoder.encode(frame) {
                for decoded in try decoder.decode(packet.bytes, timestamp: packet.timestamp) { received.add(decoded) }
            }
        }
        #expect(abs(sent.decibels - received.decibels) < 1)
    }

    @Test("silence is -120 dBFS, not minus infinity")
    func silence() {
        var level = AudioLevel()
        level.add(AudioFrame(samples: [0, 0, 0], channels: 1, sampleRate: 48_000, timestamp: 0))
        #expect(level.decibels == -120)
        #expect(level.rms == 0)
    }
}
