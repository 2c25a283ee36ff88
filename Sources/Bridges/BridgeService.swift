// SPDX-License-Identifier: Apache-2.0
// All conversions of the server: made for the first sink that needs one, shared, ended some time after the last. Owned by the
// composition; asked by the registry of streams.
import Logging
import MediaIO
import Primitives
import RTP
import SDP
import Workers

public actor BridgeService {
    public struct Configuration: Sendable {
        public var isEnabled = true
        public var maximumBridges = 64
        /// Bridges that were begun for users of one address; 0 = any number.
        public var maximumPerAddress = 0
        /// A bridge that nobody uses any more is kept for this long.
        public var grace = Duration.seconds(5)
        public init() {}
    }

    public struct Counters: Sendable, Equatable {
        public var active = 0, started = 0, crashes = 0
        /// Asked for by an address that had as many as one may.
        public var refusedForAddress = 0
    }

    private struct Key: Hashable {
        let stream: StreamHandle
        let track: Int
        /// A track in the same place in another codec is another one.
        let source: CodecKind
        let target: CodecKind
    }
    private struct Entry {
        let number: Int
        let making: Task<Result<Bridge, BridgeError>, Never>
        /// Where the first user is.
        let address: AddressKey?
        var users: Set<String> = []
        /// Waits out the grace after the last user.
        var grace: Task<Void, Never>?
        /// Takes it out of the stream; nobody may come or go meanwhile. It has changed the table when it is done.
        var ending: Task<Void, Never>?
    }

    private let engine: any StreamConverting
    private let pool: WorkerPool
    public nonisolated let configuration: Configuration
    private let logger: Logger
    private var entries: [Key: Entry] = [:]
    private var lastNumber = 0
    private var counted = Counters()
    private var isShutDown = false

    public init(engine: any StreamConverting, pool: WorkerPool, configuration: Configuration, logger: Logger) {
        self.engine = engine
        self.pool = pool
        self.configuration = configuration
        self.logger = logger
    }

    public var counters: Counters {
        var result = counted
        result.active = entries.count
        return result
    }
    public var workers: WorkerPool.Counters { get async { await pool.counters } }
    /// For tests and statistics.
    public var workerProcessIDs: [Int32] { get async { await pool.processIDs } }

    /// Sees to it that the stream has a track of `target` made of its track `track`, until `release` of the same user.
    /// - Parameters:
    ///   - origin: the stream's publisher.
    ///   - address: where the user is; `nil`: inside the server, which no bound per address concerns.
    /// - Returns: the conversion's id.
    public func acquire(
        _ stream: StreamHandle, track: Int, source: TrackFormat, target: CodecKind, user: String, origin: WorkerOrigin = WorkerOrigin(),
        address: AddressKey? = nil
    ) async throws(BridgeError) -> EndpointID {
        guard configuration.isEnabled else { throw .disabled }
        let key = Key(stream: stream, track: track, source: CodecKind(encodingName: source.codec.name), target: target)
        while let ending = entries[key]?.ending { await ending.value }
        guard !isShutDown else { throw .shutDown }
        if entries[key] == nil {
            guard let format = BridgeFormats.format(from: source, track: track, to: target) else {
                throw .unsupported(from: source.codec.name, to: target.encodingName)
            }
            guard entries.count < configuration.maximumBridges else { throw .busy(configuration.maximumBridges) }
            let most = configuration.maximumPerAddress
            guard most == 0 || address == nil || entries.values.count(where: { $0.address == address }) < most else {
                counted.refusedForAddress += 1
                throw .busyForAddress(most)
            }
            begin(key, source, format, origin, address)
        }
        entries[key]?.grace?.cancel()
        entries[key]?.grace = nil
        entries[key]?.users.insert(user)
        guard let entry = entries[key] else { throw .shutDown }
        switch await entry.making.value {
        case .success(let bridge): return bridge.id
        case .failure(let error):
            if entries[key]?.number == entry.number { entries[key] = nil }
            throw error
        }
    }

    private func begin(_ key: Key, _ source: TrackFormat, _ format: TrackFormat, _ origin: WorkerOrigin, _ address: AddressKey?) {
        lastNumber += 1
        counted.started += 1
        let engine = engine, pool = pool, logger = logger
        logger.info("conversion started", metadata: ["from": "\(source.codec.name)", "to": "\(key.target.encodingName)", "stream": "\(key.stream.rawValue)"])
        let making = Task { () -> Result<Bridge, BridgeError> in
            do throws(EngineError) {
                let bridge = try await Bridge.make(
                    stream: key.stream, source: source, format: format, target: key.target, engine: engine, pool: pool, origin: origin, logger: logger)
                await bridge.run()
                return .success(bridge)
            } catch {
                return .failure(BridgeError(error))
            }
        }
        entries[key] = Entry(number: lastNumber, making: making, address: address)
    }

    /// The user needs none of its bridges any more.
    public func release(user: String) {
        for (key, entry) in entries where entry.users.contains(user) {
            entries[key]?.users.remove(user)
            guard entries[key]?.users.isEmpty ?? false else { continue }
            let grace = configuration.grace
            entries[key]?.grace = Task {
                try? await Task.sleep(for: grace)
                if !Task.isCancelled { await self.end(key, number: entry.number) }
            }
        }
    }

    /// The stream has other tracks: what was made of those that are gone ends.
    public func tracksChanged(_ stream: StreamHandle) async {
        for (key, entry) in entries where key.stream == stream {
            guard case .success(let bridge) = await entry.making.value, await !engine.isCurrent(bridge.id) else { continue }
            await end(key, number: entry.number, isForced: true)
        }
    }

    /// The stream is gone, and everything that was made of it.
    public func streamEnded(_ stream: StreamHandle) async {
        for (key, entry) in entries where key.stream == stream { await end(key, number: entry.number, isForced: true) }
    }

    private func end(_ key: Key, number: Int, isForced: Bool = false) async {
        while let ending = entries[key]?.ending { await ending.value }
        guard let entry = entries[key], entry.number == number, isForced || entry.users.isEmpty else { return }
        if isForced { entry.grace?.cancel() }
        // It stays in the table until it is out of the stream, so that no other is made beside it.
        let ending = Task { await self.takeOut(key, entry, isForced: isForced) }
        entries[key]?.ending = ending
        await ending.value
    }

    private func takeOut(_ key: Key, _ entry: Entry, isForced: Bool) async {
        guard case .success(let bridge) = await entry.making.value else {
            if entries[key]?.number == entry.number { entries[key] = nil }
            return
        }
        guard await bridge.end(isForced: isForced) else {
            // Players on other reactors' mirrors may come back to it: it lives as long as the stream.
            entries[key]?.ending = nil
            return
        }
        if entries[key]?.number == entry.number { entries[key] = nil }
        counted.crashes += await bridge.crashes
        logger.info("conversion ended", metadata: ["to": "\(key.target.encodingName)", "stream": "\(key.stream.rawValue)"])
    }

    public func shutdown() async {
        isShutDown = true
        for (key, entry) in entries { await end(key, number: entry.number, isForced: true) }
        await pool.shutdown()
    }
}
