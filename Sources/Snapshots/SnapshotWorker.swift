// SPDX-License-Identifier: Apache-2.0
// The worker's half of snapshots: request in, pictures out. Keeps the decoders of the streams asked for last, so that the next
// picture of the same group costs only the frames since. Runs inside `martlet worker`.
import Codecs
import Foundation
import Synchronization
import Workers

/// The job kind "snapshot".
public enum SnapshotWorker {
    static let name = "snapshot"
    /// Decoders kept; each holds a handful of pictures.
    static let maximumWarm = 8
    /// A decoder not asked for this long is dropped at the next job.
    static let warmth = Duration.seconds(15)

    public static func kind() -> WorkerJobKind {
        let cache = DecoderCache()
        return WorkerJobKind(name: name) { parameters, output in
            output.send(try take(try SnapshotRequest(decoding: parameters), cache).encoded)
            return nil
        }
    }

    static func take(_ request: SnapshotRequest, _ cache: DecoderCache) throws -> SnapshotReply {
        let start = ContinuousClock.now
        let decoder = try cache.borrow(request)
        let decoded = try decoder.decode(request.packets)
        let decodedAt = ContinuousClock.now
        if let failure = decoder.failure { throw WorkerError.failed(failure) }
        let encoder = PictureEncoder()
        let pictures = try decoder.newest.map { picture in
            try request.formats.map { try encoder.encode(picture, as: $0, rotation: decoder.rotation) }
        }
        let reply = SnapshotReply(
            pictures: pictures ?? [], timestamp: decoder.timestamp, decodedFrames: decoded,
            decodeMicroseconds: Int((decodedAt - start) / .microseconds(1)),
            encodeMicroseconds: Int((ContinuousClock.now - decodedAt) / .microseconds(1)))
        cache.giveBack(decoder, stream: request.stream)
        return reply
    }
}

/// The warm decoders. One job at a time has a decoder: whoever finds none makes a new one.
final class DecoderCache: Sendable {
    private struct Entry {
        let stream: UInt64
        let decoder: GroupDecoder
        let since: ContinuousClock.Instant
    }
    private let entries = Mutex<[Entry]>([])

    func borrow(_ request: SnapshotRequest) throws(CodecError) -> GroupDecoder {
        let now = ContinuousClock.now
        let found = entries.withLock { entries -> GroupDecoder? in
            entries.removeAll { now - $0.since > SnapshotWorker.warmth }
            guard let index = entries.firstIndex(where: { $0.stream == request.stream }) else { return nil }
            return entries.remove(at: index).decoder
        }
        if let found, found.groupStart == request.groupStart, found.codec == request.codec { return found }
        return try GroupDecoder(codec: request.codec, extradata: request.extradata, groupStart: request.groupStart)
    }

    func giveBack(_ decoder: GroupDecoder, stream: UInt64) {
        entries.withLock { entries in
            entries.removeAll { $0.stream == stream }
            if entries.count >= SnapshotWorker.maximumWarm { entries.removeFirst() }
            entries.append(Entry(stream: stream, decoder: decoder, since: .now))
        }
    }
}
