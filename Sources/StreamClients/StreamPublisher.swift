// SPDX-License-Identifier: Apache-2.0
// `martlet publish` without its command line: pattern or file → a stream on any server that speaks the WCS protocol.
import MartletServer
import MediaIO
import MediaTools
import Signalling

/// One published stream. Made by `start`; ends with `stop` or with the server.
public final class StreamPublisher: Sendable {
    private let client: WCSClient
    private let stream: WCSStream
    private let pipeline: PublishPipeline
    private let engine: ReactorEngine
    private let handle: StreamHandle
    private let isRecorded: Bool
    /// What the server says last; `nil` when the connection breaks.
    private let ending: Task<StreamStatusMessage?, Never>

    private init(
        client: WCSClient, stream: WCSStream, pipeline: PublishPipeline, engine: ReactorEngine, handle: StreamHandle, isRecorded: Bool
    ) {
        self.isRecorded = isRecorded
        ending = Task {
            for await status in stream.statuses {
                switch status.known {
                case .failed, .unpublished, .stopped: return status
                default: continue
                }
            }
            return nil
        }
        self.client = client
        self.stream = stream
        self.pipeline = pipeline
        self.engine = engine
        self.handle = handle
    }

    /// Connects, publishes, and returns when the server says PUBLISHING.
    ///
    /// - Parameters:
    ///   - address: the server's WebSocket.
    ///   - name: of the stream there.
    ///   - record: asks the server to record it.
    ///   - onEnd: a file came to its end, or the source failed. On the pipeline's thread.
    /// - Throws: `StreamClientError`, or `CodecError` for a source that can't be used.
    public static func start(
        _ options: PublishOptions, to address: WCSAddress, name: String, record: Bool = false, using clients: ClientEngine,
        onEnd: @escaping @Sendable ((any Error)?) -> Void = { _ in }
    ) async throws -> StreamPublisher {
        let engine = clients.engine
        let pipeline = try PublishPipeline(options)
        let handle = try engine.createStream()
        let source = try await engine.addSource(to: handle, tracks: pipeline.tracks)
        source.onKeyFrameRequest { pipeline.requestKeyFrame() }
        do {
            let client = try await WCSClient.connect(to: address, configuration: clients.configuration)
            do {
                let endpoint = try await engine.offerPush(of: handle, options: EndpointOptions()) { _ in }
                let stream = try await client.publish(
                    name: name, offer: endpoint.offer, hasAudio: options.includesAudio, hasVideo: options.includesVideo, record: record)
                try await engine.setAnswer(endpoint.id, answer: stream.answer)
                try pipeline.start(
                    onPacket: { _ = source.write(track: $0, packet: $1) },
                    onReport: { source.report(track: $0, ntp: $1, timestamp: $2) }, onEnd: onEnd)
                try await stream.started()
                return StreamPublisher(client: client, stream: stream, pipeline: pipeline, engine: engine, handle: handle, isRecorded: record)
            } catch {
                client.close()
                throw error
            }
        } catch {
            pipeline.stop()
            await engine.destroyStream(handle)
            if let error = error as? WCSClientError { throw StreamClientError.server(error) }
            throw error
        }
    }

    public var figures: PublishFigures { pipeline.figures }

    /// Waits until the server ends the stream or the connection breaks; what it said last.
    public func ended() async -> String {
        guard let status = await ending.value else { return "the connection to the server is closed" }
        return status.info ?? status.status
    }

    /// Unpublishes and gives everything back. Of a recorded stream the server is waited for, a minute at most.
    /// - Returns: the name of the record.
    @discardableResult
    public func stop() async -> String? {
        pipeline.stop()
        client.stop(stream)
        var recordName: String?
        if isRecorded { recordName = await recordNameWhenComplete() }
        await engine.destroyStream(handle)
        await client.shutdown()
        return recordName
    }

    private func recordNameWhenComplete() async -> String? {
        await withTaskGroup(of: String?.self) { group in
            group.addTask { [ending] in await ending.value?.recordName }
            group.addTask { [client] in
                // The connection's end brings the other to its.
                try? await Task.sleep(for: .seconds(60))
                if !Task.isCancelled { client.close() }
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }
}
