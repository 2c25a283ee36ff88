// SPDX-License-Identifier: Apache-2.0
// One payload type of an m-section: its rtpmap, fmtp and rtcp-fb lines together.

/// A payload format as negotiated in SDP.
public struct Codec: Sendable, Equatable {
    /// 0…127
    public var payloadType: UInt8
    /// Encoding name as written ("opus", "VP8", "rtx"); compare case-insensitively.
    public var name: String
    /// Hz
    public var clockRate: Int
    /// 1 when not written.
    public var channels: Int
    public var parameters: FormatParameters
    /// Feedback types as written: "nack", "nack pli", "ccm fir", "goog-remb", "transport-cc", …
    public var feedback: [String]

    public init(
        payloadType: UInt8, name: String, clockRate: Int, channels: Int = 1,
        parameters: FormatParameters = FormatParameters(), feedback: [String] = []
    ) {
        self.payloadType = payloadType; self.name = name; self.clockRate = clockRate; self.channels = channels
        self.parameters = parameters; self.feedback = feedback
    }

    public func isNamed(_ other: String) -> Bool { name.lowercased() == other.lowercased() }

    /// For "rtx": the payload type it repairs (RFC 4588 §8.1). `nil` when missing or out of range.
    public var apt: UInt8? {
        parameters["apt"].flatMap { UInt8($0) }.flatMap { $0 < 128 ? $0 : nil }
    }

    /// Formats that accompany a codec instead of being one.
    public var isAuxiliary: Bool {
        switch name.lowercased() {
        case "rtx", "red", "ulpfec", "flexfec", "flexfec-03", "telephone-event", "cn": true
        default: false
        }
    }

    /// The format that RFC 3551 gives a payload type below 96 without an rtpmap line.
    public static func statically(_ payloadType: UInt8) -> Codec? {
        switch payloadType {
        case 0: Codec(payloadType: 0, name: "PCMU", clockRate: 8000)
        case 8: Codec(payloadType: 8, name: "PCMA", clockRate: 8000)
        case 9: Codec(payloadType: 9, name: "G722", clockRate: 8000)
        case 13: Codec(payloadType: 13, name: "CN", clockRate: 8000)
        default: nil
        }
    }
}
