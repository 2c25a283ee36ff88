// SPDX-License-Identifier: Apache-2.0
import MediaGraph
import Primitives
import RTP
import SDP
import Synchronization
import Testing

@testable import MediaIO

struct FrameSourceTests {
    /// Notes what a frame source does.
    final class Local: LocalSource {
        struct Notes {
            /// RTP timestamps of packets with a marker, by track.
            var ends: [Int: [UInt32]] = [:]
            var reports: [(track: Int, ntp: UInt64, timestamp: UInt32)] = []
            var reordered: [Int] = []
        }
        let notes = Mutex(Notes())
        let id = EndpointID(rawValue: 1)

        func write(track: Int, packet: [UInt8]) -> Bool { write(track: track, packets: [packet]) }
        func write(track: Int, packets: [[UInt8]]) -> Bool {
            notes.withLock { notes in
                for packet in packets {
                    packet.withUnsafeBytes { bytes in
                        if let view = RTPView(bytes), view.marker { notes.ends[track, default: []].append(view.timestamp) }
                    }
                }
            }
            return true
        }
        func report(track: Int, ntp: UInt64, timestamp: UInt32) { notes.withLock { $0.reports.append((track, ntp, timestamp)) } }
        func markReordered(track: Int) { notes.withLock { $0.reordered.append(track) } }
        func restart() {}
        func setTracks(_ tracks: [TrackFormat]) {}
        func onKeyFrameRequest(_ handler: @escaping @Sendable () -> Void) {}
    }

    static let key: [UInt8] = [0, 0, 0, 1, 0x65, 0xb8, 1], other: [UInt8] = [0, 0, 0, 1, 0x41, 0xe0, 2]
    let local = Local()

    private func source() throws -> FrameSource {
        try #require(FrameSource(local, tracks: [.h264(parameterSets: [[0x67, 0x42, 0xc0, 0x1e, 1], [0x68, 1]]), .pcmu]))
    }

    @Test("any time can be written", arguments: [
        Int64.min, .min + 1, -1_000_000_000, -1, 0, 1, 0x7fff_ffff * 1_000_000, 9_000_000_000_000_000_000, .max - 1, .max,
    ])
    func anyTime(nanoseconds: Int64) throws {
        let source = try source()
        for time in [MediaTime.zero, MediaTime(nanoseconds: nanoseconds), MediaTime(nanoseconds: 0 &- nanoseconds), .zero] {
            #expect(source.write(track: 0, frame: Self.key, time: time))
            #expect(source.write(track: 1, frame: [0xff], time: time))
        }
    }

    @Test("timestamps go on by the codec's clock, from below 0 as well")
    func timestamps() throws {
        let source = try source()
        for step in -3...3 as ClosedRange<Int64> { source.write(track: 0, frame: Self.key, time: MediaTime(milliseconds: step * 40)) }
        let ends = local.notes.withLock { $0.ends[0] ?? [] }
        #expect(zip(ends, ends.dropFirst()).map { $1 &- $0 } == Array(repeating: 3600, count: 6))
    }

    @Test("sender reports begin anew where the source's clock parts from ours, for all tracks at once")
    func reports() throws {
        let source = try source()
        for milliseconds in stride(from: Int64(0), through: 900, by: 20) {
            source.write(track: 0, frame: Self.key, time: MediaTime(milliseconds: milliseconds))
            source.write(track: 1, frame: [0xff], time: MediaTime(milliseconds: milliseconds))
        }
        #expect(local.notes.withLock { $0.reports.map(\.track) } == [0, 1])
        source.write(track: 0, frame: Self.key, time: MediaTime(milliseconds: 3_600_000))
        source.write(track: 1, frame: [0xff], time: MediaTime(milliseconds: 3_600_000))
        let reports = local.notes.withLock { $0.reports }
        #expect(reports.map(\.track) == [0, 1, 0, 1])
        // Both tracks' reports behind the jump are of one clock, and it is ours: within moments of those before.
        #expect(reports[2].ntp == reports[3].ntp)
        #expect(WallTime(ntp: reports[2].ntp) - WallTime(ntp: reports[0].ntp) < .seconds(60))
    }

    @Test("what comes late after a while is reported on the clock it was on")
    func late() throws {
        let source = try source()
        for milliseconds in stride(from: Int64(0), through: 20_000, by: 40) {
            source.write(track: 0, frame: Self.key, time: MediaTime(milliseconds: milliseconds))
        }
        let reports = local.notes.withLock { $0.reports }
        #expect(reports.count == 21)
        for (before, after) in zip(reports, reports.dropFirst()) {
            let walls = WallTime(ntp: after.ntp) - WallTime(ntp: before.ntp)
            #expect((walls - .seconds(1)).magnitude < .microseconds(1) && after.timestamp &- before.timestamp == 90_000)
        }
    }

    @Test("AAC whose channels a program config element says is described as stereo, with its configuration as it is")
    func programConfig() throws {
        // ffmpeg's quad.
        let config: [UInt8] = [
            0x11, 0x80, 0x04, 0xc4, 0x04, 0, 0x21, 0x10, 0x0d, 0x4c, 0x61, 0x76, 0x63, 0x35, 0x39, 0x2e, 0x33, 0x37, 0x2e, 0x31, 0x30, 0x30, 0x56,
            0xe5, 0,
        ]
        let format = try #require(SourceTrack.aac(config: config).format)
        #expect(format.codec.channels == 2 && format.codec.clockRate == 48_000 && format.aacConfig == config)
        #expect(FrameSource(local, tracks: [.aac(config: config)]) != nil)
        #expect(SourceTrack.aac(config: [0x11, 0x80]).format == nil)
    }

    @Test("a frame that goes back once is a clock set back a little; twice are B-frames", arguments: [1, 2])
    func reordering(times: Int) throws {
        let source = try source()
        var time: Int64 = 0
        for step in 0..<20 {
            time += step < times * 2 && step % 2 == 1 ? -40 : 80
            source.write(track: 0, frame: step == 0 ? Self.key : Self.other, time: MediaTime(milliseconds: time), isKeyFrame: step == 0)
        }
        #expect(local.notes.withLock { $0.reordered } == (times == 2 ? [0] : []))
    }
}
