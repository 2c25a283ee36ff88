// SPDX-License-Identifier: Apache-2.0
// What the benchmark's streams look like on the wire: the sizes of recorded frames, and how they are cut into packets.

/// The shape of one stream: frame sizes, frame rate, key frame interval, sound.
public struct StreamShape: Sendable, Equatable {
    /// Bytes of the H.264 access units, in a loop. The first of them is a key frame.
    let frames: [Int]
    let framesPerSecond: Int
    /// Key frames only at the start and when the server asks for one.
    let isKeyOnDemand: Bool
    /// Bytes of an Opus packet of 20 ms; 0 = no sound.
    let audioBytes: Int
    let name: String
    /// Bytes that may leave in 5 ms; 0 = a picture leaves at once.
    var pacedBytes = 0

    /// Paced as browsers do it: two and a half times the stream's bitrate, in bursts of 5 ms. A key frame takes its time then.
    public var paced: StreamShape {
        var shape = self
        let average = frames.reduce(0, +) / frames.count
        shape.pacedBytes = max(Self.maximumPayload, average * framesPerSecond * 5 / 2 / 200)
        return shape
    }

    /// 1280×720, 25 frames/s, 2.5 Mbit/s H.264 with a key frame every two seconds, and Opus at 64 kbit/s.
    public static let full = StreamShape(
        frames: recorded, framesPerSecond: 25, isKeyOnDemand: false, audioBytes: 160, name: "720p 25 fps 2.5 Mbit/s + Opus")
    /// 200 kbit/s with sound: hardly ever more than one packet at a time.
    public static let thin = StreamShape(
        frames: recorded.map { max(64, $0 * 168 / 2500) }, framesPerSecond: 25, isKeyOnDemand: false, audioBytes: 80,
        name: "25 fps 168 kbit/s + Opus 32 kbit/s")

    /// The same with key frames on demand only.
    public var withKeyFramesOnDemand: StreamShape {
        StreamShape(
            frames: frames, framesPerSecond: framesPerSecond, isKeyOnDemand: true, audioBytes: audioBytes,
            name: name + ", key frames on demand", pacedBytes: pacedBytes)
    }

    /// Largest payload of a packet, as browsers choose it for a path of 1200 bytes.
    static let maximumPayload = 1180

    /// Lengths of the RTP payloads of a frame of `bytes`: as few as possible, differing by one byte at most.
    static func payloads(of bytes: Int) -> [Int] {
        let count = max(1, (bytes + maximumPayload - 3) / (maximumPayload - 2))
        let (share, rest) = bytes.quotientAndRemainder(dividingBy: count)
        return (0..<count).map { 2 + share + ($0 < rest ? 1 : 0) }
    }

    /// Sizes of two groups of pictures (4 s) recorded from x264 3095 (veryfast, zerolatency, baseline, 2.5 Mbit/s with a
    /// buffer of one second) on FFmpeg's `mandelbrot` source with noise at 1280×720, 25 frames/s.
    private static let recorded = [
        57189, 2474, 5770, 7283, 8471, 8908, 10139, 11026, 11323, 11441, 11447, 11159, 11834, 11402, 11816, 11448, 11605, 11854,
        11833, 12089, 11822, 11357, 12030, 12536, 12393, 12591, 12515, 12953, 12798, 12514, 12794, 12641, 12843, 13089, 13101,
        12823, 12897, 12704, 12543, 12134, 12386, 12423, 13217, 12000, 12394, 12453, 12654, 12079, 12488, 12033, 55072, 2509,
        5723, 6657, 8492, 8936, 9367, 9776, 10349, 10436, 10756, 10972, 11553, 12023, 11759, 12254, 11683, 11998, 11774, 11907,
        12501, 12041, 12279, 12146, 12071, 12515, 12061, 12071, 12650, 12251, 12315, 12380, 12369, 12643, 12842, 11930, 12396,
        12165, 12013, 12272, 12744, 12196, 12019, 12573, 12384, 12403, 12141, 12258, 12040, 12394,
    ]
    /// Frames between two key frames of the recording.
    static let keyFrameInterval = 50
}
