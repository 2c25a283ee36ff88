// SPDX-License-Identifier: Apache-2.0
import Codecs
import Foundation
import Logging
import MediaIO
import MediaTools
import Primitives
import RTP
import SDP
import Synchronization

@testable import Snapshots
@testable import Workers

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Frames of the test pattern in RTP, as a publisher would send them.
struct PatternSource {
    let pattern: TestPattern
    let encoder: VideoEncoder
    let codec: VideoCodec
    private var sequence: UInt16 = 65_000
    private var index: Int64 = 0

    init(_ codec: VideoCodec, width: Int = 320, height: Int = 240) throws {
        self.codec = codec
        pattern = try TestPattern(width: width, height: height)
        encoder = try VideoEncoder(.init(codec: codec, width: width, height: height, bitrate: 4_000_000))
    }

    static func payloads(_ codec: VideoCodec, _ bytes: [UInt8]) -> [[UInt8]] {
        bytes.withUnsafeBytes { frame in
            switch codec {
            case .h264: var packetizer = H264Packetizer(); return packetizer.packetize(frame)
            case .vp8: var packetizer = VP8Packetizer(); return packetizer.packetize(frame)
            case .vp9: var packetizer = VP9Packetizer(); return packetizer.packetize(frame)
            case .av1: var packetizer = AV1Packetizer(); return packetizer.packetize(frame)
            }
        }
    }

    /// The next frame's packets. `clock` is burnt in.
    mutating func frame(clock: Int64, key: Bool = false, orientation: UInt8? = nil) throws -> [[UInt8]] {
        index += 1
        let timestamp = index * 3000
        let picture = try pattern.frame(unixMilliseconds: clock, timestamp: timestamp)
        let encoded = try encoder.encode(picture, forceKeyFrame: key || index == 1)
        var packets: [[UInt8]] = []
        for packet in encoded {
            let payloads = Self.payloads(codec, packet.bytes)
            for (number, payload) in payloads.enumerated() {
                packets.append(rtp(payload, timestamp: UInt32(packet.timestamp), marker: number == payloads.count - 1))
            }
        }
        return packets
    }

    private mutating func rtp(_ payload: [UInt8], timestamp: UInt32, marker: Bool) -> [UInt8] {
        defer { sequence &+= 1 }
        return [0x80, marker ? 0xe0 : 0x60, UInt8(sequence >> 8), UInt8(sequence & 0xff)]
            + withUnsafeBytes(of: timestamp.bigEndian, Array.init) + [0, 0, 0, 9] + payload
    }
}

/// Packets as RecentVideo describes them.
func records(_ packets: [[UInt8]], orientation: UInt8 = 0xff) -> [UInt8] {
    var writer = WireWriter()
    for (index, packet) in packets.enumerated() {
        writer.write(UInt32(index))
        writer.write(orientation)
        writer.write(UInt16(packet.count))
        writer.append(packet)
    }
    return writer.bytes
}

func request(
    _ codec: VideoCodec, _ packets: [[UInt8]], stream: UInt64 = 1, formats: [PictureFormat] = [PictureFormat()], orientation: UInt8 = 0xff
) -> SnapshotRequest {
    SnapshotRequest(
        stream: stream, codec: codec, extradata: [], groupStart: 1000, formats: formats, packets: records(packets, orientation: orientation))
}

/// The worker that the package builds, beside the tests.
func workerCommand() -> [String]? {
    let beside = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")).map { URL(fileURLWithPath: $0).deletingLastPathComponent() }
    return [beside, own].compactMap { $0?.appending(path: "martlet").path }
        .first { FileManager.default.isExecutableFile(atPath: $0) }.map { [$0, "worker"] }
}
