// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import MartletServer
import MediaTools
import StreamClients

struct PlayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "play", abstract: "Play a stream of a WCS server without a screen: decode it and print what is seen and heard.")

    @Argument(help: "WebSocket of the server, e.g. ws://localhost:8080.") var server: String
    @Argument(help: "Name of the stream.") var name: String
    @Option(help: "Stop after this many seconds; 0: at Ctrl-C.") var seconds = 0.0
    @Option(help: "Stop after this many decoded pictures.") var frames: Int?
    @Flag(help: "Print one JSON line of figures at the end instead of a line each second.") var json = false
    @Flag(help: "Without sound.") var noAudio = false
    @Flag(help: "Without picture.") var noVideo = false
    @OptionGroup var trust: TrustOptions

    func validate() throws {
        guard (0...1e9).contains(seconds), (frames ?? 1) > 0 else { throw ValidationError("--seconds is 0 to 1e9, --frames at least 1.") }
    }

    func run() async throws {
        let clients = try ClientEngine(trust: try trust.value)
        let player = try await StreamPlayer.start(
            from: try WCSAddress(server), name: name, using: clients, audio: !noAudio, video: !noVideo)
        if !json { StandardError.print("PLAYING \(name) from \(server); Ctrl-C ends it") }
        let (ends, end) = AsyncStream.makeStream(of: String.self)
        Task { for await _ in Interrupt.signals() { end.yield("") } }
        Task { end.yield("the server ended it: \(await player.ended())") }
        let (limit, wanted, quiet) = (seconds, frames, json)
        Task {
            let start = ContinuousClock.now
            var nextLine = start + .seconds(1)
            while !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(50))
                let figures = player.figures
                if !quiet, ContinuousClock.now >= nextLine {
                    nextLine += .seconds(1)
                    print(Self.line(figures))
                }
                if wanted.map({ figures.framesDecoded >= $0 }) ?? false || (limit > 0 && ContinuousClock.now - start >= .seconds(limit)) {
                    end.yield("")
                    return
                }
            }
        }
        for await reason in ends {
            let figures = player.figures
            await player.stop()
            await clients.shutdown()
            if json { print(try Self.json(figures)) } else { print(Self.line(figures)) }
            if !reason.isEmpty {
                StandardError.print("martlet: \(reason)")
                throw ExitCode(1)
            }
            return
        }
    }

    private static func line(_ f: PlayFigures) -> String {
        String(
            format: "%dx%d  %.1f fps  %.0f kbit/s  lost %d (%.2f %%)  sound %.1f dBFS  latency %@ ms  %d frames  first frame %@ ms",
            f.width, f.height, f.framesPerSecond, f.bitrate / 1000, f.lostPackets, f.lossFraction * 100, f.audioDecibels,
            text(f.latencyMedian), f.framesDecoded, text(f.firstFrameMilliseconds))
    }

    private static func text(_ value: Double?) -> String { value.map { String(format: "%.0f", $0) } ?? "–" }

    private static func json(_ f: PlayFigures) throws -> String {
        var object: [String: Any] = [
            "width": f.width, "height": f.height, "fps": f.framesPerSecond, "bitrate": f.bitrate, "lost_packets": f.lostPackets,
            "frames_decoded": f.framesDecoded, "frames_dropped": f.framesDropped, "key_frames": f.keyFrames,
            "audio_rms": f.audioRMS, "audio_dbfs": f.audioDecibels, "audio_samples": f.audioSamples,
            "clocks_read": f.clocksRead, "clocks_unreadable": f.clocksUnreadable,
        ]
        object["latency_ms_p50"] = f.latencyMedian
        object["latency_ms_p95"] = f.latency95
        object["first_frame_ms"] = f.firstFrameMilliseconds
        return String(decoding: try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys]), as: UTF8.self)
    }
}
