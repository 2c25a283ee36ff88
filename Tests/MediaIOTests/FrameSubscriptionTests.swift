// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import SDP
import Testing

@testable import MediaIO

@Suite("FrameSubscription") struct FrameSubscriptionTests {
    private static let keyFrame: [UInt8] = [0x10, 0x10, 2, 0, 0x9d, 0x01, 0x2a, 64, 0, 48, 0], other: [UInt8] = [0x10, 0x11, 2, 0]
    private static let wall: UInt64 = 3_900_000_000

    private func record(_ track: Int, _ number: UInt8, at arrival: Int64, ticks: UInt32, _ payload: [UInt8]) -> TapRecord {
        var rtp: [UInt8] = [0x80, 0x80, 0, number]
        for shift in [24, 16, 8, 0] { rtp.append(UInt8(truncatingIfNeeded: ticks >> UInt32(shift))) }
        rtp += [0, 0, 0, UInt8(track + 1)] + payload
        return TapRecord(track: track, arrival: Instant(nanoseconds: arrival), content: .packet(orientation: 0xff, audioLevel: 0xff, rtp: rtp[...]))
    }

    private func subscription(_ records: [TapRecord], silent: Set<Int> = []) throws -> FrameSubscription {
        let opus = try #require(SourceTrack.opus(channels: 2).format), vp8 = try #require(SourceTrack.vp8.format)
        let pipe = PacketPipe(capacity: 1 << 16)
        for record in records {
            record.encoded.withUnsafeBytes { bytes in _ = pipe.write(bytes, UnsafeRawBufferPointer(start: nil, count: 0)) }
        }
        return FrameSubscription(formats: [opus, vp8], silent: silent, pipe: pipe, signal: WakeSignal(), requestKeyFrame: {})
    }

    private func frames(_ subscription: FrameSubscription, _ count: Int) async -> [SubscribedFrame] {
        var frames: [SubscribedFrame] = []
        while frames.count < count, case .frame(let frame)? = await next(subscription) { frames.append(frame) }
        return frames
    }

    private func next(_ subscription: FrameSubscription) async -> FrameSubscription.Item? {
        while let item = await subscription.next() { if case .frame = item { return item } }
        return nil
    }

    private var reports: [TapRecord] {
        [0, 1].map { TapRecord(track: $0, arrival: Instant(milliseconds: 1000), content: .report(ntp: Self.wall << 32, timestamp: 0)) }
    }

    @Test("the key frame comes first even when sound of later has overtaken it; sound of before it is left out")
    func overtaken() async throws {
        let subscription = try subscription(reports + [
            record(0, 1, at: 1_000_000_000, ticks: 480, [0xfc, 1]), record(0, 2, at: 1_020_000_000, ticks: 2400, [0xfc, 2]),
            record(1, 1, at: 1_030_000_000, ticks: 1800, Self.keyFrame), record(1, 2, at: 1_070_000_000, ticks: 5400, Self.other),
        ])
        let frames = await frames(subscription, 3)
        #expect(frames.map(\.track) == [0, 1, 1])
        #expect(frames.map(\.time) == [30_000_000, 0, 40_000_000])
        #expect(frames.map(\.isKeyFrame) == [true, true, false])
    }

    @Test("the reports of a track of which nothing comes are not waited for", .timeLimit(.minutes(1)))
    func silent() async throws {
        let subscription = try subscription([reports[0], record(0, 1, at: 1_000_000_000, ticks: 480, [0xfc, 1])], silent: [1])
        #expect(subscription.tracks.map(\.isSilent) == [false, true])
        let frame = try #require(await frames(subscription, 1).first)
        #expect(frame.track == 0 && frame.arrival == Instant(nanoseconds: 1_000_000_000))
    }

    @Test("a picture that comes after sound has begun is given out though its time lies before that")
    func late() async throws {
        let opus = try #require(SourceTrack.opus(channels: 2).format), vp8 = try #require(SourceTrack.vp8.format)
        let pipe = PacketPipe(capacity: 1 << 16)
        let subscription = FrameSubscription(formats: [opus, vp8], pipe: pipe, signal: WakeSignal(), requestKeyFrame: {})
        func write(_ records: [TapRecord]) {
            for record in records { record.encoded.withUnsafeBytes { bytes in _ = pipe.write(bytes, UnsafeRawBufferPointer(start: nil, count: 0)) } }
        }
        write(reports + [record(0, 1, at: 1_000_000_000, ticks: 4800, [0xfc, 1])])
        #expect(await frames(subscription, 1).map(\.time) == [0])
        write([record(1, 1, at: 1_030_000_000, ticks: 1800, Self.keyFrame), record(1, 2, at: 1_130_000_000, ticks: 18_000, Self.other)])
        let pictures = await frames(subscription, 2)
        #expect(pictures.map(\.isKeyFrame) == [true, false])
        #expect(pictures.map(\.time) == [0, 100_000_000])
    }
}
