// SPDX-License-Identifier: Apache-2.0
// The body of an audio message: an FLV AUDIODATA, in its old form or that of Enhanced RTMP. Read from publishers; written, as
// AAC, for players.

public struct AudioTag: Sendable, Equatable {
    public enum Codec: Sendable, Equatable {
        case aac, opus
        case g711A, g711U
        /// Wide-band Speex, 16 kHz.
        case speex
    }

    public enum Content: Sendable, Equatable {
        /// AudioSpecificConfig, or OpusHead.
        case configuration
        case frame
        case endOfSequence
        case other
    }

    public var codec: Codec
    public var content: Content
    /// Of the old form, where the codec doesn't say it.
    public var isStereo: Bool
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

    private static let oldCodecs = [
        0: "PCM", 1: "ADPCM", 2: "MP3", 3: "PCM", 4: "Nellymoser 16 kHz", 5: "Nellymoser 8 kHz", 6: "Nellymoser", 14: "MP3 8 kHz", 15: "device-specific sound",
    ]

    public init(codec: Codec, content: Content, isStereo: Bool = true, offset: Int = 2) {
        self.codec = codec
        self.content = content
        self.isStereo = isStereo
        self.offset = offset
    }

    /// Reads the head. `nil`: an empty message.
    public init?(_ payload: [UInt8]) throws(RTMPError) {
        guard let first = payload.first else { return nil }
        let isStereo = first & 1 != 0
        switch Int(first >> 4) {
        case 10:
            guard payload.count >= 2 else { return nil }
            self.init(codec: .aac, content: payload[1] == 0 ? .configuration : payload[1] == 1 ? .frame : .other, isStereo: isStereo)
        case 7: self.init(codec: .g711A, content: .frame, isStereo: isStereo, offset: 1)
        case 8: self.init(codec: .g711U, content: .frame, isStereo: isStereo, offset: 1)
        case 11: self.init(codec: .speex, content: .frame, isStereo: isStereo, offset: 1)
        case 9: try self.init(enhanced: payload)
        case let number: throw .unsupported("audio codec \(Self.oldCodecs[number] ?? "number \(number)"); send AAC")
        }
    }

    private init(enhanced payload: [UInt8]) throws(RTMPError) {
        let head = try EnhancedTagHead(payload, kind: "audio", multitrack: 5)
        let codec: Codec
        switch head.codecName {
        case "mp4a": codec = .aac
        case "Opus": codec = .opus
        case let name: throw .unsupported("audio codec \"\(name)\"; send AAC or Opus")
        }
        let content: Content = switch head.packetType {
        case 0: .configuration
        case 1: .frame
        case 2: .endOfSequence
        default: .other
        }
        self.init(codec: codec, content: content, offset: head.body.lowerBound)
        if head.body.upperBound < payload.count { end = head.body.upperBound }
        trackID = head.trackID
        hasOtherTracks = head.hasOtherTracks
    }

    /// A message of AAC in the old form.
    public static func payload(_ content: Content, _ body: some Collection<UInt8>) -> [UInt8] {
        // AAC is always called 44 kHz, 16 bit, stereo here; its configuration says what it is (FLV E.4.2.1).
        [0xaf, content == .configuration ? 0 : 1] + body
    }
}
