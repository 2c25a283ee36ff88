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
        var packetType = payload[0] & 0x0f
        var offset = 1
        while packetType == 7 {
            guard payload.count > offset else { throw .malformed("an enhanced audio message ends in its head") }
            var size = Int(payload[offset]) + 1
            offset += 1
            if size == 256 {
                guard payload.count >= offset + 2 else { throw .malformed("an enhanced audio message ends in its head") }
                size = (Int(payload[offset]) << 8 | Int(payload[offset + 1])) + 1
                offset += 2
            }
            offset += size
            guard payload.count > offset else { throw .malformed("an enhanced audio message ends in its head") }
            packetType = payload[offset] & 0x0f
            offset += 1
        }
        guard packetType != 5 else { throw .unsupported("multitrack sound; send one track") }
        guard payload.count >= offset + 4 else { throw .malformed("an enhanced audio message of \(payload.count) bytes") }
        let code = String(payload[offset..<offset + 4].map { $0 >= 32 && $0 < 127 ? Character(UnicodeScalar($0)) : "?" })
        let codec: Codec
        switch code {
        case "mp4a": codec = .aac
        case "Opus": codec = .opus
        default: throw .unsupported("audio codec \"\(code)\"; send AAC or Opus")
        }
        let content: Content = switch packetType {
        case 0: .configuration
        case 1: .frame
        case 2: .endOfSequence
        default: .other
        }
        self.init(codec: codec, content: content, offset: offset + 4)
    }

    /// A message of AAC in the old form.
    public static func payload(_ content: Content, _ body: some Collection<UInt8>) -> [UInt8] {
        // AAC is always called 44 kHz, 16 bit, stereo here; its configuration says what it is (FLV E.4.2.1).
        [0xaf, content == .configuration ? 0 : 1] + body
    }
}
