// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTP
import SDP
import SRTP
import Testing

@testable import MediaGraph

@Suite("Tracks that come, change and go") struct ChangingTracksTests {
    private static func format(_ name: String, _ kind: SDPMediaKind = .video, rate: Int = 90_000, _ parameters: FormatParameters = [:]) -> TrackFormat {
        TrackFormat(kind: kind, codec: Codec(payloadType: 96, name: name, clockRate: rate, parameters: parameters))
    }

    private static func track(_ name: String, _ kind: SDPMediaKind = .video, rate: Int = 90_000) -> UplinkTrack {
        UplinkTrack(format: format(name, kind, rate: rate), codec: CodecKind(encodingName: name))
    }

    /// One VP8 packet, of a key frame or not.
    private static func packet(_ sequence: UInt16, timestamp: UInt32, ssrc: UInt8, isKey: Bool) -> [UInt8] {
        [0x80, 0x80 | 96, UInt8(sequence >> 8), UInt8(sequence & 255)] + withUnsafeBytes(of: timestamp.bigEndian, Array.init)
            + [0, 0, 0, ssrc, 0x10, isKey ? 0x10 : 0x11, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01] + [UInt8](repeating: 7, count: 100)
    }

    @Test("a track is silent while nothing comes of it, one that has not begun from the stream's first second on; what is made of it is so likewise")
    func silence() {
        let stream = MediaStream(handle: StreamHandle(rawValue: 1)), arena = SendArena(capacity: 64 * 1024, maximumRuns: 16) { _ in }
        let video = Self.track("VP8"), other = Self.track("VP8"), converted = Self.track("VP8")
        stream.setTracks([video, other])
        converted.setConverts(0)
        stream.addConverted(converted, source: NoSource())
        func send(_ sequence: UInt16, at now: Instant) {
            Self.packet(sequence, timestamp: 3600, ssrc: 1, isKey: true).withUnsafeBytes { raw in
                _ = video.receive(RTPView(raw)!, bytes: raw, isRetransmission: false, extensions: UplinkExtensions(), arena: arena, at: now)
            }
        }
        #expect(!stream.isSilent(video, at: Instant(nanoseconds: 50_000_000_000)))
        send(1, at: Instant(nanoseconds: 1_000_000_000))
        for track in [video, other, converted] { #expect(!stream.isSilent(track, at: Instant(nanoseconds: 2_000_000_000))) }
        send(2, at: Instant(nanoseconds: 1_500_000_000))
        #expect(stream.isSilent(other, at: Instant(nanoseconds: 2_000_000_001)))
        for track in [video, converted] { #expect(!stream.isSilent(track, at: Instant(nanoseconds: 2_500_000_000)) && stream.isSilent(track, at: Instant(nanoseconds: 2_500_000_001))) }
    }

    private final class NoSource: StreamSource {
        func keyFrameWanted(of track: UplinkTrack, arena: SendArena, at now: Instant) {}
    }

    @Test("a player's packets go on in number and time when its downlink moves to another track, which it gets from a key frame on")
    func moves() throws {
        var seen: [(sequence: UInt16, timestamp: UInt32, payloadType: UInt8, ssrc: UInt32)] = []
        let arena = SendArena { arena in
            for run in arena.runs {
                var offset = run.offset
                while offset < run.offset + run.length {
                    let length = min(run.segmentLength, run.offset + run.length - offset)
                    if let view = RTPView(UnsafeRawBufferPointer(start: arena.memory + offset, count: length)) {
                        seen.append((view.sequenceNumber, view.timestamp, view.payloadType, view.ssrc))
                    }
                    offset += length
                }
            }
        }
        let sender = try SRTPSender(profile: .aeadAES128GCM, key: .init(repeating: 1, count: 16), salt: .init(repeating: 2, count: 12))
        defer { sender.destroy() }
        var random = RandomSource.seeded(3)
        let path = PlayerPath(hasFeedback: false)
        let first = Self.track("VP8"), second = Self.track("VP8"), third = Self.track("VP8")
        let sink = first.addSink(
            DownlinkTrack.Parameters(ssrc: 5, payloadType: 100), sender: sender,
            destination: Destination(address: SocketAddress(ipv4: 1, port: 2), socket: 3), history: path.history, random: &random)
        var now = Instant.zero
        func send(_ track: UplinkTrack, _ sequences: ClosedRange<UInt16>, timestamp: UInt32, ssrc: UInt8, keyAt: UInt16) {
            for sequence in sequences {
                now += .milliseconds(40)
                let bytes = Self.packet(
                    sequence, timestamp: timestamp &+ UInt32(sequence - sequences.lowerBound) * 3600, ssrc: ssrc, isKey: sequence == keyAt)
                bytes.withUnsafeBytes { raw in
                    _ = track.receive(
                        RTPView(raw)!, bytes: raw, isRetransmission: false, extensions: UplinkExtensions(), arena: arena, at: now)
                }
                track.flush(into: arena, at: now)
            }
        }
        func move(_ from: UplinkTrack, _ to: UplinkTrack, _ payloadType: UInt8) {
            from.move(
                sink, to: to, AgreedCodec(codec: Codec(payloadType: payloadType, name: "VP8", clockRate: 90_000)), arena: arena, at: now)
            sink.pointee.resume()
            _ = to.open(sink, arena: arena, at: now)
        }
        _ = first.open(sink, arena: arena, at: now)
        send(first, 100...110, timestamp: 1_000_000, ssrc: 9, keyAt: 100)
        move(first, second, 101)
        // The old track has lost its player; the new one begins with packets that no decoder can use.
        send(first, 111...112, timestamp: 1_040_000, ssrc: 9, keyAt: 0)
        send(second, 40_000...40_010, timestamp: 77, ssrc: 10, keyAt: 40_003)
        // Back again, to numbers that were sent before.
        move(second, third, 100)
        send(third, 100...110, timestamp: 1_000_000, ssrc: 9, keyAt: 100)
        arena.flush()
        #expect(seen.map(\.payloadType) == [UInt8](repeating: 100, count: 11) + [UInt8](repeating: 101, count: 8) + [UInt8](repeating: 100, count: 11))
        #expect(seen.allSatisfy { $0.ssrc == 5 })
        // No number twice and none left out: the SRTP index only grows.
        #expect(zip(seen, seen.dropFirst()).allSatisfy { $1.sequence == $0.sequence &+ 1 })
        let steps = zip(seen, seen.dropFirst()).map { $1.timestamp &- $0.timestamp }
        // Five more frames went by before the second track's key frame; one frame's time lies between the others.
        #expect(steps == [UInt32](repeating: 3600, count: 10) + [6 * 3600] + [UInt32](repeating: 3600, count: 18))
        #expect(first.sinks.isEmpty && second.sinks.isEmpty)
    }

    @Test("tracks that go on keep their place among the players; what was made of a lost track goes with it")
    func keepsWhatGoesOn() {
        let stream = MediaStream(handle: StreamHandle(rawValue: 1))
        let audio = Self.track("mpeg4-generic", .audio, rate: 48_000), video = Self.track("VP8")
        stream.setTracks([audio])
        let arena = SendArena { _ in }
        #expect(!stream.settleTracks(arena: arena, at: .zero))
        var format = Self.format("opus", .audio, rate: 48_000)
        format.converts = 0
        let opus = UplinkTrack(format: format, codec: .opus)
        final class Nobody: StreamSource { func keyFrameWanted(of track: UplinkTrack, arena: SendArena, at now: Instant) {} }
        let source = Nobody()
        stream.addConverted(opus, source: source)
        stream.setTracks([video, audio])
        #expect(stream.settleTracks(arena: arena, at: .zero))
        #expect(stream.forms.map(ObjectIdentifier.init) == [video, audio, opus].map(ObjectIdentifier.init))
        #expect(opus.format.converts == 1)
        #expect(Set(stream.forms.map(\.number)).count == 3)
        stream.setTracks([video])
        #expect(stream.settleTracks(arena: arena, at: .zero))
        #expect(stream.forms.count == 1 && stream.info == MediaInfo(audioCodec: nil, videoCodec: "VP8", width: 0, height: 0))
        #expect(!stream.settleTracks(arena: arena, at: .zero))
    }

    @Test("new parameter sets are no other track, another profile or the order of frames is")
    func sameCoding() {
        let h264 = UplinkTrack(
            format: Self.format("H264", .video, ["profile-level-id": "42e01f", "sprop-parameter-sets": "Z0LAHtk=,aMuMsg=="]), codec: .h264)
        #expect(h264.carries(Self.format("h264", .video, ["profile-level-id": "42e01f", "sprop-parameter-sets": "Z0LAHto=,aMuMsg=="])))
        #expect(h264.carries(Self.format("H264", .video, ["profile-level-id": "42e01f"])))
        #expect(!h264.carries(Self.format("H264", .video, ["profile-level-id": "64001f"])))
        var reordered = Self.format("H264", .video, ["profile-level-id": "42e01f"])
        reordered.isReordered = true
        #expect(!h264.carries(reordered))
    }
}
