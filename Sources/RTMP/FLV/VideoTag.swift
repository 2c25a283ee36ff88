// SPDX-License-Identifier: Apache-2.0
// The body of a video message: an FLV VIDEODATA, in its old form or that of Enhanced RTMP (ExVideoTagHeader). Read from
// publishers; written, in its old form, for players.

/// What one video message carries.
public struct VideoTag: Sendable, Equatable {
    public enum Content: Sendable, Equatable {
        /// AVCDecoderConfigurationRecord and its kind.
        case configuration
        /// One access unit, for H.264 with lengths in front of its units.
        case frame
        case endOfSequence
        /// Colour information, and commands of the old form.
        case other
    }

    public var codec: VideoFourCC
    public var isKeyFrame: Bool
    public var content: Content
    /// Presentation time minus decoding time, milliseconds.
    public var compositionTime: Int32
    /// Where the codec's bytes begin in the message's payload.
    public var offset: Int
    /// Where they end; `nil`: with the payload.
    public var end: Int?
    /// Of a message with several tracks: the one that this tag is of.
    public var trackID: UInt8 = 0
    /// The message holds tracks besides this one.
    public var hasOtherTracks = false

    /// The codec's bytes in the payload that the tag was read from.
    public func body(of payload: [UInt8]) -> Range<Int> {
        let end = min(end ?? payload.count, payload.count)
        return min(offset, end)..<end
    }

    /// Names of the old codecs by their number (FLV E.4.3.1).
    private static let oldCodecs = [
        1: "JPEG", 2: "Sorenson H.263", 3: "Screen Video", 4: "On2 VP6", 5: "On2 VP6 with alpha", 6: "Screen Video 2", 12: "H.265 in its old Chinese form",
    ]

    public init(codec: VideoFourCC, isKeyFrame: Bool, content: Content, compositionTime: Int32 = 0, offset: Int = 5) {
        self.codec = codec
        self.isKeyFrame = isKeyFrame
        self.content = content
        self.compositionTime = compositionTime
        self.offset = offset
    }

    /// Reads the head. `nil`: an empty message, which some send as a sign of life.
    public init?(_ payload: [UInt8]) throws(RTMPError) {
        guard let first = payload.first else { return nil }
        if first & 0x80 != 0 { try self.init(enhanced: payload) } else { try self.init(plain: payload) }
    }

    private init(plain payload: [UInt8]) throws(RTMPError) {
        let frameType = payload[0] >> 4, codec = Int(payload[0] & 0x0f)
        guard codec == 7 else {
            throw .unsupported("video codec \(Self.oldCodecs[codec] ?? "number \(codec)"); send H.264")
        }
        // Frame type 5 is a command for the player.
        guard frameType != 5 else {
            self.init(codec: .avc, isKeyFrame: false, content: .other, offset: payload.count)
            return
        }
        guard payload.count >= 5 else { throw .malformed("an H.264 message of \(payload.count) bytes") }
        let content: Content = switch payload[1] {
        case 0: .configuration
        case 1: .frame
        case 2: .endOfSequence
        default: .other
        }
        self.init(
            codec: .avc, isKeyFrame: frameType == 1, content: content, compositionTime: Self.int24(payload, at: 2), offset: 5)
    }

    private init(enhanced payload: [UInt8]) throws(RTMPError) {
        let frameType = payload[0] >> 4 & 7
        // A command for the player, without a codec; only metadata has one beside it.
        guard frameType != 5 || payload[0] & 0x0f == 4 else {
            self.init(codec: .avc, isKeyFrame: false, content: .other, offset: payload.count)
            return
        }
        let head = try EnhancedTagHead(payload, kind: "video", multitrack: 6)
        guard let codec = VideoFourCC(head.codec) else { throw .unsupported("video codec \"\(head.codecName)\"; send H.264") }
        var offset = head.body.lowerBound
        var compositionTime: Int32 = 0
        let content: Content
        switch head.packetType {
        case 0: content = .configuration
        case 1:
            content = .frame
            if codec == .avc || codec == .hevc || codec == .vvc {
                guard head.body.count >= 3 else { throw .malformed("an enhanced video message of \(payload.count) bytes") }
                compositionTime = Self.int24(payload, at: offset)
                offset += 3
            }
        case 2: content = .endOfSequence
        case 3: content = .frame
        default: content = .other
        }
        self.init(
            codec: codec, isKeyFrame: frameType == 1, content: frameType == 5 ? .other : content, compositionTime: compositionTime, offset: offset)
        if head.body.upperBound < payload.count { end = head.body.upperBound }
        trackID = head.trackID
        hasOtherTracks = head.hasOtherTracks
    }

    private static func int24(_ bytes: [UInt8], at offset: Int) -> Int32 {
        Int32(bitPattern: UInt32(bytes[offset]) << 24 | UInt32(bytes[offset + 1]) << 16 | UInt32(bytes[offset + 2]) << 8) >> 8
    }

    /// A message of H.264 in the old form, which every player knows.
    public static func payload(_ content: Content, isKeyFrame: Bool, compositionTime: Int32 = 0, _ body: some Collection<UInt8>) -> [UInt8] {
        var payload: [UInt8] = []
        payload.reserveCapacity(body.count + 5)
        let packetType: UInt8 = content == .configuration ? 0 : content == .endOfSequence ? 2 : 1
        let time = UInt32(bitPattern: compositionTime)
        payload += [
            (isKeyFrame ? 1 : 2) << 4 | 7, packetType, UInt8(truncatingIfNeeded: time >> 16), UInt8(truncatingIfNeeded: time >> 8),
            UInt8(truncatingIfNeeded: time),
        ]
        payload += body
        return payload
    }
}
