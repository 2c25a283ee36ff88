// SPDX-License-Identifier: Apache-2.0
import Codecs
import Foundation
import Logging
import MediaIO
import Primitives
import MediaTools
import Primitives
import RTP
import SDP
import Testing

@testable import Bridges
@testable import Workers

private let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// The worker that the build has made beside the tests.
private func workerCommand() -> [String]? {
    let beside = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")).map { URL(fileURLWithPath: $0).deletingLastPathComponent() }
    return [beside, own].compactMap { $0?.appending(path: "martlet").path }
        .first { FileManager.default.isExecutableFile(atPath: $0) }.map { [$0, "worker"] }
}

@Suite(.enabled(if: workerCommand() != nil), .timeLimit(.minutes(2))) struct BridgeServiceTests {
    private func engine() throws -> ReactorEngine {
        var configuration = MediaEngineConfiguration()
        configuration.reactors = 2
        configuration.portFrom = 0
        configuration.tcp.isOpen = false
        return try ReactorEngine(configuration: configuration)
    }

    private func service(_ engine: ReactorEngine, _ change: (inout BridgeService.Configuration) -> Void = { _ in }) throws -> BridgeService {
        var configuration = BridgeService.Configuration()
        configuration.grace = .milliseconds(50)
        change(&configuration)
        return BridgeService(
            engine: engine, pool: WorkerPool(configuration: .init(command: try #require(workerCommand())), logger: silent),
            configuration: configuration, logger: silent)
    }

    /// Writes AAC with a beep each second for as long as it lives, in real time.
    private func feed(_ source: FrameSource, _ encoder: AudioEncoder) -> Task<Void, Never> {
        nonisolated(unsafe) let encoder = encoder
        return Task {
            var tone = Tone(channels: 2)
            let start = ContinuousClock.now
            for step in 0... where !Task.isCancelled {
                for packet in (try? encoder.encode(tone.next(960))) ?? [] {
                    source.write(track: 0, frame: packet.bytes, time: MediaTime(ticks: 7 * 44_100 + packet.timestamp - Int64(encoder.delay), clockRate: 44_100))
                }
                try? await Task.sleep(until: start + .milliseconds(20 * step), clock: .continuous)
            }
        }
    }

    @Test("AAC written by a source is heard as Opus by a sink, through a worker; its death costs a moment; one bridge serves all; the last user ends it")
    func life() async throws {
        let engine = try engine()
        let service = try service(engine)
        let stream = try engine.createStream()
        let encoder = try AudioEncoder(.init(codec: .aac, sampleRate: 44_100, channels: 2))
        let track = SourceTrack.aac(config: encoder.extradata)
        let format = try #require(track.format)
        let local = try await engine.addSource(to: stream, tracks: [format])
        let source = try #require(FrameSource(local, tracks: [track]))
        let feeder = feed(source, encoder)
        defer { feeder.cancel() }

        let id = try await service.acquire(stream, track: 0, source: format, target: .opus, user: "one")
        #expect(try await service.acquire(stream, track: 0, source: format, target: .opus, user: "two") == id)
        #expect(await engine.forms(of: stream).map(\.codec.name) == ["mpeg4-generic", "opus"])
        var choice = TapChoice()
        choice.conversions[0] = id
        let (_, subscription) = try await engine.subscribe(to: stream, choice: choice)
        #expect(subscription.tracks.map(\.codec) == [.opus])

        let decoder = try AudioDecoder(.opus)
        var level = AudioLevel(), count = 0, last: Int64 = 0, killed = false, after = 0
        while let item = await subscription.next() {
            guard case .frame(let frame) = item else { continue }
            #expect(frame.time >= last)
            last = frame.time
            for sound in try decoder.decode(frame.bytes, timestamp: 0) { level.add(sound) }
            count += 1
            if count == 50 {
                let pid = try #require(await service.workerProcessIDs.first)
                kill(pid, SIGKILL)
                killed = true
            }
            if killed { after += 1 }
            if after > 60 { break }
        }
        #expect(level.decibels > -30)
        #expect(await service.counters == .init(active: 1, started: 1, crashes: 0))

        await service.release(user: "one")
        #expect(await engine.forms(of: stream).count == 2)
        await service.release(user: "two")
        while await service.counters.crashes == 0 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(await engine.forms(of: stream).map(\.codec.name) == ["mpeg4-generic"])
        #expect(await service.counters == .init(active: 0, started: 1, crashes: 1))
        await service.shutdown()
        await engine.shutdown()
    }

    @Test("H.264 of any profile is converted to H.264 that every receiver takes")
    func profiles() async throws {
        let engine = try engine()
        let stream = try engine.createStream()
        let format = try #require(SourceTrack.h264(parameterSets: [[0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78], [0x68, 0xcb, 0x83, 0xcb, 0x20]]).format)
        _ = try await engine.addSource(to: stream, tracks: [format])
        let service = try service(engine)
        _ = try await service.acquire(stream, track: 0, source: format, target: .h264, user: "a")
        let forms = await engine.forms(of: stream)
        #expect(forms.map { $0.codec.parameters["profile-level-id"] } == ["640028", "42e01f"] && forms.last?.converts == 0)
        await service.shutdown()
        await engine.shutdown()
    }

    @Test("one address may have so many conversions begun, and no more; the server itself any number")
    func addresses() async throws {
        let engine = try engine()
        let service = try service(engine) { $0.maximumPerAddress = 1 }
        let stream = try engine.createStream()
        let aac = try #require(SourceTrack.aac(config: [0x11, 0x90]).format), pcmu = try #require(SourceTrack.pcmu.format)
        _ = try await engine.addSource(to: stream, tracks: [aac, pcmu])
        let here = AddressKey("192.0.2.1:5000")
        _ = try await service.acquire(stream, track: 0, source: aac, target: .opus, user: "a", address: here)
        // What runs already is shared.
        _ = try await service.acquire(stream, track: 0, source: aac, target: .opus, user: "b", address: here)
        await #expect(throws: BridgeError.busyForAddress(1)) {
            _ = try await service.acquire(stream, track: 1, source: pcmu, target: .opus, user: "a", address: here)
        }
        #expect(await service.counters.refusedForAddress == 1)
        _ = try await service.acquire(stream, track: 1, source: pcmu, target: .opus, user: "c", address: AddressKey("192.0.2.2"))
        _ = try await service.acquire(stream, track: 1, source: pcmu, target: .aac, user: "d")
        await service.shutdown()
        await engine.shutdown()
    }

    @Test("a worker that dies is followed at once, one that dies again and again without a frame a minute later")
    func pauses() {
        var pause = Duration.zero, pauses: [Duration] = []
        for fruitless in 1...10 {
            pause = Bridge.pause(after: pause, lasted: .seconds(5), fruitless: fruitless)
            pauses.append(pause)
        }
        #expect(pauses[0] <= .milliseconds(100) && pauses[2] >= .seconds(5) && pauses[9] == .seconds(60))
        #expect(Bridge.pause(after: pause, lasted: .seconds(40), fruitless: 0) == .zero)
        #expect(Bridge.pause(after: .seconds(4), lasted: .seconds(5), fruitless: 0) == .seconds(5))
    }

    @Test("who comes while a conversion is being ended gets one, and none is left over in the stream")
    func comingWhileEnding() async throws {
        let engine = try engine()
        let service = try service(engine) { $0.grace = .zero }
        let stream = try engine.createStream()
        let aac = try #require(SourceTrack.aac(config: [0x11, 0x90]).format)
        _ = try await engine.addSource(to: stream, tracks: [aac])
        for round in 0..<20 {
            _ = try await service.acquire(stream, track: 0, source: aac, target: .opus, user: "\(round)")
            #expect(await engine.forms(of: stream).count { $0.converts != nil } == 1)
            await service.release(user: "\(round)")
        }
        let end = ContinuousClock.now + .seconds(20)
        while await service.counters.active > 0, ContinuousClock.now < end { await Task.yield() }
        #expect(await service.counters.active == 0)
        #expect(await engine.forms(of: stream).count { $0.converts != nil } == 0)
        await service.shutdown()
        await engine.shutdown()
    }

    @Test("what is disabled, impossible or too much is refused by name")
    func refusals() async throws {
        let engine = try engine()
        let stream = try engine.createStream()
        let track = SourceTrack.aac(config: [0x11, 0x90])
        let format = try #require(track.format)
        _ = try await engine.addSource(to: stream, tracks: [format, try #require(SourceTrack.pcmu.format)])
        await #expect(throws: BridgeError.disabled) {
            _ = try await service(engine) { $0.isEnabled = false }.acquire(stream, track: 0, source: format, target: .opus, user: "a")
        }
        await #expect(throws: BridgeError.unsupported(from: "mpeg4-generic", to: "H264")) {
            _ = try await service(engine).acquire(stream, track: 0, source: format, target: .h264, user: "a")
        }
        // A configuration that can't be read: no worker could make anything of it.
        var changed = format
        changed.codec.parameters["config"] = "14"
        let unreadable = changed
        for target in [CodecKind.opus, .pcmu, .pcma] {
            await #expect(throws: BridgeError.unsupported(from: "mpeg4-generic", to: target.encodingName)) {
                _ = try await service(engine).acquire(stream, track: 0, source: unreadable, target: target, user: "a")
            }
        }
        let one = try service(engine) { $0.maximumBridges = 1 }
        _ = try await one.acquire(stream, track: 0, source: format, target: .opus, user: "a")
        await #expect(throws: BridgeError.busy(1)) {
            _ = try await one.acquire(stream, track: 1, source: try #require(SourceTrack.pcmu.format), target: .opus, user: "a")
        }
        await engine.destroyStream(stream)
        await one.streamEnded(stream)
        #expect(await one.counters.active == 0)
        await #expect(throws: BridgeError.noSuchStream) {
            _ = try await one.acquire(stream, track: 0, source: format, target: .opus, user: "a")
        }
        await one.shutdown()
        await engine.shutdown()
    }
}
