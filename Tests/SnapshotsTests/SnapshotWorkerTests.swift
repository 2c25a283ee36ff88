// SPDX-License-Identifier: Apache-2.0
import Codecs
import MediaTools
import Primitives
import RTP
import Testing

@testable import Snapshots
@testable import Workers

struct SnapshotWorkerTests {
    /// What a PNG or JPEG shows, by FFmpeg's decoders… which are not those that wrote it.
    private func decode(_ picture: EncodedPicture) throws -> RGBImage { try PictureReader.rgb(picture.bytes) }

    /// The mean error of the eight bars' colours.
    private func error(_ image: RGBImage, _ pattern: TestPattern, rotated: PictureRotation = .none) -> Double {
        var sum = 0.0, count = 0.0
        for (index, bar) in TestPattern.bars.enumerated() {
            let area = TestPattern.barArea(index, width: pattern.width, height: pattern.height)
            // The inner part: edges smear.
            for y in stride(from: area.y + area.height / 4, to: area.y + area.height * 3 / 4, by: 3) {
                for x in stride(from: area.x + area.width / 4, to: area.x + area.width * 3 / 4, by: 3) {
                    let place = switch rotated {
                    case .none: (x, y)
                    case .quarter: (pattern.height - 1 - y, x)
                    case .half: (pattern.width - 1 - x, pattern.height - 1 - y)
                    case .threeQuarters: (y, pattern.width - 1 - x)
                    }
                    guard let colour = image[place.0, place.1] else { continue }
                    sum += abs(Double(colour.red) - Double(bar.red)) + abs(Double(colour.green) - Double(bar.green))
                        + abs(Double(colour.blue) - Double(bar.blue))
                    count += 3
                }
            }
        }
        return count > 0 ? sum / count : .infinity
    }

    @Test("the picture has the stream's size and colours, in every codec and at odd sizes", arguments: VideoCodec.allCases, [
        [320, 240], [641, 481], [1280, 720],
    ])
    func colours(codec: VideoCodec, size: [Int]) throws {
        var source = try PatternSource(codec, width: size[0], height: size[1])
        var packets: [[UInt8]] = []
        // Rate control needs a few frames to get from rough to right.
        for number in 0..<12 { packets += try source.frame(clock: Int64(number) * 33) }
        let cache = DecoderCache()
        let reply = try SnapshotWorker.take(request(codec, packets, formats: [PictureFormat(), PictureFormat(.jpeg, quality: 95)]), cache)
        for picture in reply.pictures {
            let image = try decode(picture)
            #expect((image.width, image.height) == source.encoder.configuration.encodedSize)
            #expect((picture.width, picture.height) == (image.width, image.height))
            let error = error(image, source.pattern)
            #expect(error <= 4)
        }
    }

    @Test("the newest whole frame is shown, and what is missing of the next one does no harm")
    func newest() throws {
        var source = try PatternSource(.vp8)
        var packets: [[UInt8]] = []
        for number in 1...10 { packets += try source.frame(clock: Int64(number)) }
        let cache = DecoderCache()
        #expect(try clock(SnapshotWorker.take(request(.vp8, packets), cache)) == 10)
        // Half of a frame.
        let torn = try source.frame(clock: 11, key: true)
        #expect(try clock(SnapshotWorker.take(request(.vp8, packets + torn.dropLast()), DecoderCache())) == 10)
    }

    @Test("a warm decoder decodes only what is new", arguments: VideoCodec.allCases)
    func warm(codec: VideoCodec) throws {
        var source = try PatternSource(codec)
        var packets: [[UInt8]] = []
        for number in 1...10 { packets += try source.frame(clock: Int64(number)) }
        let cache = DecoderCache()
        #expect(try SnapshotWorker.take(request(codec, packets), cache).decodedFrames == 10)
        for number in 11...13 { packets += try source.frame(clock: Int64(number)) }
        let reply = try SnapshotWorker.take(request(codec, packets), cache)
        #expect(reply.decodedFrames == 3)
        #expect(try clock(reply) == 13)
        // The same again costs nothing, and gives the same.
        let again = try SnapshotWorker.take(request(codec, packets), cache)
        #expect(again.decodedFrames == 0)
        #expect(again.pictures == reply.pictures)
    }

    @Test("frames behind a missing packet are not shown")
    func gap() throws {
        var source = try PatternSource(.h264)
        var packets: [[UInt8]] = []
        for number in 1...5 { packets += try source.frame(clock: Int64(number)) }
        let whole = packets.count
        for number in 6...8 { packets += try source.frame(clock: Int64(number)) }
        var writer = WireWriter()
        for (index, packet) in packets.enumerated() where index != whole {
            writer.write(UInt32(index))
            writer.write(UInt8(0xff))
            writer.write(UInt16(packet.count))
            writer.append(packet)
        }
        var holed = request(.h264, [])
        holed.packets = writer.bytes
        let cache = DecoderCache()
        #expect(try clock(SnapshotWorker.take(holed, cache)) == 5)
        // Once it is there after all, the rest follows.
        #expect(try clock(SnapshotWorker.take(request(.h264, packets), cache)) == 8)
    }

    @Test("the picture stands upright, whatever way the camera lay", arguments: [
        PictureRotation.none, .quarter, .half, .threeQuarters,
    ])
    func rotation(rotation: PictureRotation) throws {
        var source = try PatternSource(.h264, width: 320, height: 200)
        let packets = try source.frame(clock: 1)
        let reply = try SnapshotWorker.take(request(.h264, packets, orientation: rotation.rawValue), DecoderCache())
        let image = try decode(reply.pictures[0])
        #expect((image.width, image.height) == (rotation == .quarter || rotation == .threeQuarters ? (200, 320) : (320, 200)))
        #expect(error(image, source.pattern, rotated: rotation) <= 4)
    }

    @Test("a box makes the picture smaller, never larger, and keeps its shape")
    func fitting() throws {
        var source = try PatternSource(.vp8, width: 640, height: 360)
        let packets = try source.frame(clock: 1)
        let formats = [
            PictureFormat(maximumWidth: 160), PictureFormat(maximumHeight: 90), PictureFormat(maximumWidth: 4000),
            PictureFormat(.jpeg, maximumWidth: 100, maximumHeight: 100),
        ]
        let reply = try SnapshotWorker.take(request(.vp8, packets, formats: formats), DecoderCache())
        #expect(reply.pictures.map(\.width) == [160, 160, 640, 100])
        #expect(reply.pictures.map(\.height) == [90, 90, 360, 56])
        for picture in reply.pictures { #expect(try decode(picture).width == picture.width) }
        let turned = try SnapshotWorker.take(
            request(.vp8, packets, stream: 2, formats: [PictureFormat(maximumHeight: 160)], orientation: 1), DecoderCache())
        #expect((turned.pictures[0].width, turned.pictures[0].height) == (90, 160))
    }

    @Test("a change of size in mid-stream is followed")
    func resize() throws {
        var small = try PatternSource(.vp8, width: 320, height: 240), large = try PatternSource(.vp8, width: 640, height: 480)
        let cache = DecoderCache()
        let first = try small.frame(clock: 1)
        #expect(try SnapshotWorker.take(request(.vp8, first), cache).pictures[0].width == 320)
        var next = request(.vp8, try large.frame(clock: 2))
        next.groupStart = 2000
        #expect(try SnapshotWorker.take(next, cache).pictures[0].width == 640)
    }

    @Test("a message that is cut off anywhere is refused, or shows nothing")
    func truncated() throws {
        var source = try PatternSource(.vp8)
        let whole = request(.vp8, try source.frame(clock: 1)).encoded
        for count in 0..<60 {
            let reply = try? SnapshotWorker.take(try SnapshotRequest(decoding: Array(whole.prefix(count))), DecoderCache())
            // Cut just behind the head it is a group without packets.
            #expect(reply == nil || reply?.pictures == [])
        }
    }

    @Test("damaged video gives a picture or a sentence, in every codec", arguments: VideoCodec.allCases)
    func fuzzed(codec: VideoCodec) throws {
        var source = try PatternSource(codec)
        var packets: [[UInt8]] = []
        for number in 1...4 { packets += try source.frame(clock: Int64(number)) }
        var random = RandomSource.seeded(7)
        let cache = DecoderCache()
        for round in 0..<150 {
            var damaged = packets
            for _ in 0..<(1 + round % 20) {
                let packet = Int(random.next() % UInt64(damaged.count))
                let place = 12 + Int(random.next() % UInt64(max(1, damaged[packet].count - 12)))
                if place < damaged[packet].count { damaged[packet][place] = UInt8(truncatingIfNeeded: random.next()) }
            }
            do {
                let reply = try SnapshotWorker.take(request(codec, damaged, stream: UInt64(round)), cache)
                #expect(reply.pictures.allSatisfy { !$0.bytes.isEmpty })
            } catch {
                #expect("\(error)".count > 10)
            }
        }
    }

    private func clock(_ reply: SnapshotReply) throws -> UInt32? { try PictureReader.clock(reply.pictures[0].bytes) }
}
