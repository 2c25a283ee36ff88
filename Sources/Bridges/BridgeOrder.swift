// SPDX-License-Identifier: Apache-2.0
// What a bridge's job in the worker is told, and what it gives back. Made by Bridge, read by the jobs; and the other way round.
import RTP
import Workers

/// The parameters of a job "bridge-sound" or "bridge-picture".
struct BridgeOrder: Equatable, Sendable {
    var source: CodecKind
    /// Hz, of the source's timestamps.
    var clockRate: Int
    var channels: Int
    /// AAC: the AudioSpecificConfig. H.264: the parameter sets as Annex B.
    var header: [UInt8] = []
    var aac = AACPayloadFormat()
    var target: CodecKind
    /// A count of the source's ticks near the present one, from a job before; 0 = none.
    var reference: Int64 = 0
    /// bit/s for sound that is made; for pictures an upper bound.
    var bitrate: Int

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.write(source.rawValue)
        writer.write(UInt32(clockRate))
        writer.write(UInt8(truncatingIfNeeded: channels))
        writer.write(header)
        for field in aac.fields { writer.write(field) }
        writer.write(target.rawValue)
        writer.write(reference)
        writer.write(UInt32(bitrate))
        return writer.bytes
    }

    init(source: CodecKind, clockRate: Int, channels: Int, target: CodecKind, bitrate: Int) {
        self.source = source
        self.clockRate = clockRate
        self.channels = channels
        self.target = target
        self.bitrate = bitrate
    }

    init(decoding bytes: [UInt8]) throws(WorkerError) {
        var reader = WireReader(bytes)
        func codec(_ number: UInt8) throws(WorkerError) -> CodecKind {
            guard let codec = CodecKind(rawValue: number) else { throw .malformed("codec \(number)") }
            return codec
        }
        source = try codec(try reader.integer())
        clockRate = Int(try reader.integer(UInt32.self))
        channels = Int(try reader.integer(UInt8.self))
        header = try reader.array()
        aac.fields = [try reader.integer(), try reader.integer(), try reader.integer(), try reader.integer()]
        target = try codec(try reader.integer())
        reference = try reader.integer()
        bitrate = Int(try reader.integer(UInt32.self))
    }
}

/// What the server sends to a running job.
enum BridgeInput {
    static let tapped: UInt8 = 0, keyFrameWanted: UInt8 = 1
}

/// What a job sends to the server.
enum BridgeOutput: Equatable, Sendable {
    /// - Parameter ticks: of the new track's clock, counted on beyond 32 bits.
    case frame(ticks: Int64, startsTalk: Bool, isKeyFrame: Bool, bytes: [UInt8])
    /// The source's sender report.
    case report(ntp: UInt64, ticks: Int64)
    /// The newest count of the source's ticks, for a job that may have to follow.
    case reference(Int64)
    /// The decoder can't go on without one.
    case keyFrameWanted

    var encoded: [UInt8] {
        var writer = WireWriter()
        switch self {
        case .frame(let ticks, let startsTalk, let isKeyFrame, let bytes):
            writer.write(UInt8(1))
            writer.write(ticks)
            writer.write(startsTalk)
            writer.write(isKeyFrame)
            writer.append(bytes)
        case .report(let ntp, let ticks):
            writer.write(UInt8(2))
            writer.write(ntp)
            writer.write(ticks)
        case .reference(let ticks):
            writer.write(UInt8(3))
            writer.write(ticks)
        case .keyFrameWanted: writer.write(UInt8(4))
        }
        return writer.bytes
    }

    init(decoding bytes: [UInt8]) throws(WorkerError) {
        var reader = WireReader(bytes)
        switch try reader.integer(UInt8.self) {
        case 1:
            let ticks: Int64 = try reader.integer(), startsTalk = try reader.flag(), isKeyFrame = try reader.flag()
            self = .frame(ticks: ticks, startsTalk: startsTalk, isKeyFrame: isKeyFrame, bytes: Array(reader.rest()))
        case 2:
            let ntp: UInt64 = try reader.integer()
            self = .report(ntp: ntp, ticks: try reader.integer())
        case 3: self = .reference(try reader.integer())
        case 4: self = .keyFrameWanted
        case let kind: throw .malformed("bridge output \(kind)")
        }
    }
}
