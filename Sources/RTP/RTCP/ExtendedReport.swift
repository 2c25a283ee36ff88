// Extended reports are carried along unread: nobody here needs what is in them.

/// RTCP XR (RFC 3611) with its report blocks as they came.
public struct ExtendedReport: Equatable, Sendable {
    public var senderSSRC: UInt32
    /// The report blocks, a multiple of four bytes.
    public var blocks: [UInt8]

    public init(senderSSRC: UInt32, blocks: [UInt8]) {
        self.senderSSRC = senderSSRC
        self.blocks = blocks
    }
}
