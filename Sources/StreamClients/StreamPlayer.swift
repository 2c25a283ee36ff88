// SPDX-License-Identifier: Apache-2.0
// `martlet play` without its command line: plays a stream of any server that speaks the WCS protocol, decodes it and
// keeps figures.
import Clocks
import MartletServer
import MediaIO
import MediaTools
import Primitives

/// One played stream. Made by `start`; ends with `stop` or with the server.
public final class StreamPlayer: Sendable {
    public let pipeline: PlayPipeline
    private let client: WCSClient
    private let stream: WCSStream
    private let engine: ReactorEngine
    private let handle: StreamHandle

    private init(client: WCSClient, stream: WCSStream, pipeline: PlayPipeline, engine: ReactorEngine, handle: StreamHandle) {
        self.client = client
        self.stream = stream
        self.pipeline = pipeline
        self.engine = engine
        self.handle = handle
    }

    /// Connects, plays, and returns when the server says PLAYING. The time to the first frame counts from the play request.
    ///
    /// - Throws: `StreamClientError`.
    public static func start(
        from address: WCSAddress, name: String, using clients: ClientEngine, audio: Bool = true, video: Bool = true
    ) async throws -> StreamPlayer {
        let engine = clients.engine
        let handle = try engine.createStream()
        do {
            let client = try await WCSClient.connect(to: address, configuration: clients.configuration)
            do {
                let requested = WallClock.now()
                let endpoint = try await engine.offerPull(
                    into: handle, audio: audio, video: video, options: EndpointOptions()) { _ in }
                let stream = try await client.play(name: name, offer: endpoint.offer)
                try await engine.setAnswer(endpoint.id, answer: stream.answer)
                let pipeline = try PlayPipeline(tracks: await engine.tracks(of: handle)) { _ in engine.requestKeyFrame(of: handle) }
                pipeline.markStart(at: requested)
                _ = try await engine.addSink(to: handle) { packet in
                    pipeline.receive(track: packet.track, packet: Array(packet.bytes), arrival: WallClock.now())
                }
                try await stream.started()
                return StreamPlayer(client: client, stream: stream, pipeline: pipeline, engine: engine, handle: handle)
            } catch {
                client.close()
                throw error
            }
        } catch {
            await engine.destroyStream(handle)
            if let error = error as? WCSClientError { throw StreamClientError.server(error) }
            throw error
        }
    }

    public var figures: PlayFigures { pipeline.figures }

    /// Waits until the server ends the stream or the connection breaks; what it said last.
    public func ended() async -> String {
        for await status in stream.statuses {
            switch status.known {
            case .failed, .stopped, .unpublished: return status.info ?? status.status
            default: continue
            }
        }
        return "the connection to the server is closed"
    }

    /// Stops playing and gives everything back. The figures stay readable.
    public func stop() async {
        client.stop(stream)
        await engine.destroyStream(handle)
        pipeline.stop()
        await client.shutdown()
    }
}
