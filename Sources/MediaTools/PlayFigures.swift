// SPDX-License-Identifier: Apache-2.0
// What a play pipeline has seen. A plain value, copied out for printing and comparing.

/// Figures of received media since the start, unless said otherwise.
public struct PlayFigures: Sendable, Equatable {
    public var videoPackets = 0
    public var audioPackets = 0
    /// All tracks, RTP headers included.
    public var bytes = 0
    /// Packets that never came, all tracks.
    public var lostPackets = 0
    /// Packets that were not RTP or not of a known track.
    public var malformedPackets = 0
    /// Packets thrown away because decoding could not keep up.
    public var queueDrops = 0

    /// Pictures decoded.
    public var framesDecoded = 0
    /// Pictures not shown: incomplete, or not decodable without an earlier one.
    public var framesDropped = 0
    public var keyFrames = 0
    public var keyFrameRequests = 0
    public var decodeErrors = 0
    /// Size of the newest picture; 0 before the first.
    public var width = 0
    public var height = 0
    /// Pictures a second over the last two seconds.
    public var framesPerSecond = 0.0
    /// Bit/s received over the last two seconds.
    public var bitrate = 0.0
    /// From the start, or `markStart`, to the first decoded picture; `nil` before it.
    public var firstFrameMilliseconds: Double?

    /// Samples decoded, all channels.
    public var audioSamples = 0
    /// 0…1 and dBFS, over the last second of sound.
    public var audioRMS = 0.0
    public var audioDecibels = -120.0

    /// Pictures whose burnt-in clock could be read, and not.
    public var clocksRead = 0
    public var clocksUnreadable = 0
    /// Burnt-in clock → decoded, ms, over the recent pictures.
    public var latencyMedian: Double?
    public var latency95: Double?

    public init() {}

    /// Lost packets as a fraction of those that should have come, 0…1.
    public var lossFraction: Double {
        let expected = videoPackets + audioPackets + lostPackets
        return expected > 0 ? Double(lostPackets) / Double(expected) : 0
    }
}
