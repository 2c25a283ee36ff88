// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Codecs
import MartletServer
import MediaTools
import StreamClients

struct PublishCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish",
        abstract: "Publish a test pattern with burnt-in clock and tone, or a media file, to a WCS server.")

    @Argument(help: "WebSocket of the server, e.g. ws://localhost:8080.") var server: String
    @Argument(help: "Name of the stream.") var name: String
    @Option(help: "Media file to publish instead of the test pattern.") var file: String?
    @Flag(help: "Begin the file anew when it ends.") var loop = false
    @Option(help: "Video codec: h264, vp8, vp9, av1.") var video: VideoCodec?
    @Option(help: "Size, e.g. 1280x720.") var size: String?
    @Option(help: "Frames per second of the pattern, 1…120.") var fps = 30
    @Option(help: "Video bitrate in kbit/s.") var bitrate = 1000
    @Flag(help: "Fill a part of the pattern with noise, so that all of the bitrate is used.") var noise = false
    @Option(help: "Seconds between key frames; 0: on request only.") var keyInterval = 0
    @Flag(help: "Without sound.") var noAudio = false
    @Flag(help: "Without picture.") var noVideo = false
    @Flag(help: "Ask the server to record it; the record's name is printed at the end.") var record = false
    @OptionGroup var trust: TrustOptions

    func validate() throws {
        guard (10...100_000).contains(bitrate), (0...86_400).contains(keyInterval) else {
            throw ValidationError("--bitrate is 10 to 100000 kbit/s, --key-interval 0 to 86400 seconds.")
        }
    }

    func run() async throws {
        var options = PublishOptions()
        if let file { options.source = .file(path: file, loops: loop) }
        options.videoCodec = video
        options.includesAudio = !noAudio
        options.includesVideo = !noVideo
        options.frameRate = fps
        options.videoBitrate = bitrate * 1000
        options.isNoisy = noise
        options.keyFrameSeconds = keyInterval
        if let size {
            let parts = size.split(separator: "x").compactMap { Int($0) }
            guard parts.count == 2 else { throw ValidationError("--size is written like 1280x720") }
            options.size = (parts[0], parts[1])
        }
        let clients = try ClientEngine(trust: try trust.value)
        let (ends, end) = AsyncStream.makeStream(of: String.self)
        let publisher = try await StreamPublisher.start(options, to: try WCSAddress(server), name: name, record: record, using: clients) { error in
            end.yield(error.map { "the source failed: \($0)" } ?? "the file is through")
        }
        StandardError.print("PUBLISHING \(name) on \(server); Ctrl-C ends it")
        Task { for await _ in Interrupt.signals() { end.yield("") } }
        Task { end.yield("the server ended it: \(await publisher.ended())") }
        for await reason in ends {
            let recordName = await publisher.stop()
            if record { StandardError.print(recordName.map { "RECORD \($0)" } ?? "martlet: the server has not recorded it") }
            await clients.shutdown()
            if reason.hasPrefix("the s") {
                StandardError.print("martlet: \(reason)")
                throw ExitCode(1)
            }
            return
        }
    }
}

extension VideoCodec: ExpressibleByArgument {
    public init?(argument: String) {
        switch argument.lowercased() {
        case "h264": self = .h264
        case "vp8": self = .vp8
        case "vp9": self = .vp9
        case "av1": self = .av1
        default: return nil
        }
    }
}

/// How far a wss server's certificate is trusted.
struct TrustOptions: ParsableArguments {
    @Option(help: "PEM file of the authority that signed the server's certificate (wss).") var caFile: String?
    @Flag(help: "Don't verify the server's certificate (wss).") var insecure = false

    var value: WCSTrust {
        get throws { insecure ? .none : caFile.map { .authorities(file: $0) } ?? .system }
    }
}
