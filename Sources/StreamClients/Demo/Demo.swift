// SPDX-License-Identifier: Apache-2.0
// The main job, shown: two servers, a stream published on the first, pushed to the second by REST, played from there.
// Run by `martlet demo`; `./dev demo` is the way people start it.
import Foundation
import MartletServer
import MediaTools

/// The demo and what it measured.
public struct Demo: Sendable {
    /// The figures of one run, printed as one JSON line.
    public struct Report: Codable, Sendable {
        public var push_status = 0
        public var push_ms = 0.0
        public var frames_decoded_a = 0
        public var frames_decoded_b = 0
        public var width_b = 0
        public var height_b = 0
        public var fps_b = 0.0
        public var bitrate_b = 0.0
        public var lost_packets_b = 0
        public var audio_rms_b = 0.0
        public var first_frame_ms_b = 0.0
        public var latency_ms_p50_b = 0.0
        public var hop_latency_ms_p50 = 0.0
        public var terminate_status = 0
        public var gone_from_b_ms = 0.0
        public var clean_shutdown = false
        public var ok = false
    }

    /// Unattended: stops by itself after the checks.
    public let isCheck: Bool
    /// The two nodes' state folders are made in here.
    public let folder: String

    static let streamName = "demo"
    static let framesWanted = 150

    public init(isCheck: Bool, folder: String) {
        self.isCheck = isCheck
        self.folder = folder
    }

    /// Runs it. Returns whether every step held.
    public func run() async -> Bool {
        let a = DemoNode(name: "A", ports: .choose(offset: 0), folder: "\(folder)/a")
        let b = DemoNode(name: "B", ports: .choose(offset: 1000), folder: "\(folder)/b")
        var report = Report()
        var failure: String?
        do {
            try await perform(a, b, &report)
        } catch {
            failure = "\(error)"
        }
        let stopped = (await a.stop(), await b.stop())
        report.clean_shutdown = stopped == (true, true)
        if failure == nil, !report.clean_shutdown { failure = "A node did not end cleanly; see \(a.log) and \(b.log)" }
        report.ok = failure == nil
        if let failure { Self.say("✘ \(failure)") } else if isCheck { Self.say("✔ Both nodes ended cleanly") }
        if isCheck, let json = try? JSONEncoder().encode(report) { print(String(decoding: json, as: UTF8.self)) }
        return report.ok
    }

    private func perform(_ a: DemoNode, _ b: DemoNode, _ report: inout Report) async throws {
        try await a.start()
        try await b.start()
        Self.say("✔ Node A is up: \(a.web)  (WebSocket \(a.webSocket), log \(a.log))")
        Self.say("✔ Node B is up: \(b.web)  (WebSocket \(b.webSocket), log \(b.log))")

        let clients = try ClientEngine()
        var options = PublishOptions()
        options.size = (640, 360)
        let publisher = try await StreamPublisher.start(
            options, to: try WCSAddress(a.webSocket), name: Self.streamName, using: clients)
        Self.say("✔ Published the test pattern with tone on A as \"\(Self.streamName)\" (H.264, Opus, 640×360)")

        let started = ContinuousClock.now
        let body = #"{"uri":"\#(b.webSocket)","localStreamName":"\#(Self.streamName)","remoteStreamName":"\#(Self.streamName)"}"#
        let push = try await HTTP.post("\(a.web)/rest-api/pull/push", json: body)
        report.push_ms = Self.milliseconds(since: started)
        report.push_status = push.status
        guard push.status == 200 else { throw DemoError("POST \(a.web)/rest-api/pull/push answered \(push.status): \(push.body)") }
        Self.say("✔ POST /rest-api/pull/push on A answered 200 in \(Self.text(report.push_ms)) ms: \(body)")

        let playerB = try await StreamPlayer.start(from: try WCSAddress(b.webSocket), name: Self.streamName, using: clients)
        let playerA = try await StreamPlayer.start(from: try WCSAddress(a.webSocket), name: Self.streamName, using: clients)
        let deadline = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < deadline {
            let (seen, heard) = (playerB.figures.framesDecoded, playerB.figures.audioRMS)
            if seen >= Self.framesWanted, heard > 0 { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        Self.read(playerA.figures, playerB.figures, playerB.pipeline.clock.hopLatencies(since: playerA.pipeline.clock), &report)
        guard report.frames_decoded_b >= 100 else {
            throw DemoError("Only \(report.frames_decoded_b) pictures were decoded from B within 30 s")
        }
        guard report.audio_rms_b > 0 else { throw DemoError("No sound was heard from B") }
        Self.say(
            "✔ Played from B: \(report.frames_decoded_b) pictures \(report.width_b)×\(report.height_b), \(Self.text(report.fps_b)) fps, "
                + "\(Int(report.bitrate_b / 1000)) kbit/s, \(report.lost_packets_b) packets lost, sound \(Self.text(playerB.figures.audioDecibels)) dBFS")
        Self.say(
            "✔ First picture \(Self.text(report.first_frame_ms_b)) ms after the play request; "
                + "the hop from A to B adds \(Self.text(report.hop_latency_ms_p50)) ms (median)")

        if !isCheck { try await stayUp(a, b, playerB) }
        await playerA.stop()

        let ending = ContinuousClock.now
        let end = try await HTTP.post("\(a.web)/rest-api/pull/terminate", json: #"{"uri":"\#(b.webSocket)"}"#)
        report.terminate_status = end.status
        guard end.status == 200 else { throw DemoError("POST \(a.web)/rest-api/pull/terminate answered \(end.status): \(end.body)") }
        let said = await playerB.ended()
        report.gone_from_b_ms = Self.milliseconds(since: ending)
        Self.say("✔ POST /rest-api/pull/terminate on A: the player on B was told \"\(said)\" after \(Self.text(report.gone_from_b_ms)) ms")
        await playerB.stop()
        await publisher.stop()
        await clients.shutdown()
    }

    /// Until Ctrl-C; says once a second what B's player sees when that is a terminal.
    private func stayUp(_ a: DemoNode, _ b: DemoNode, _ player: StreamPlayer) async throws {
        Self.say(
            """

            Watch it in a browser (press Start there):
              A  \(a.web)/player.html?streamName=\(Self.streamName)&autoplay=true
              B  \(b.web)/player.html?streamName=\(Self.streamName)&autoplay=true
            All pages: \(a.web)/  and  \(b.web)/
            Ctrl-C ends the demo.
            """)
        for await _ in Interrupt.signals() { return }
    }

    private static func read(_ a: PlayFigures, _ b: PlayFigures, _ hops: [Double], _ report: inout Report) {
        report.frames_decoded_a = a.framesDecoded
        report.frames_decoded_b = b.framesDecoded
        report.width_b = b.width
        report.height_b = b.height
        report.fps_b = rounded(b.framesPerSecond)
        report.bitrate_b = rounded(b.bitrate)
        report.lost_packets_b = b.lostPackets
        report.audio_rms_b = b.audioRMS
        report.first_frame_ms_b = rounded(b.firstFrameMilliseconds ?? 0)
        report.latency_ms_p50_b = rounded(b.latencyMedian ?? 0)
        let sorted = hops.sorted()
        report.hop_latency_ms_p50 = sorted.isEmpty ? 0 : rounded(sorted[sorted.count / 2])
    }

    private static func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }
    private static func text(_ value: Double) -> String { String(format: "%.1f", value) }

    private static func milliseconds(since start: ContinuousClock.Instant) -> Double {
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        return rounded(Double(seconds) * 1000 + Double(attoseconds) / 1e15)
    }

    private static func say(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
}
