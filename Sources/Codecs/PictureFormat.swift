// SPDX-License-Identifier: Apache-2.0
// The file formats a picture can be written in, and how. Used by PictureEncoder and those who ask for pictures.

/// How a picture is written.
public struct PictureFormat: Sendable, Hashable {
    public enum Kind: UInt8, Sendable, CaseIterable {
        case png = 1, jpeg
        /// For HTTP.
        public var mediaType: String { self == .png ? "image/png" : "image/jpeg" }
        public var fileExtension: String { self == .png ? "png" : "jpg" }
    }
    public var kind: Kind
    /// PNG: 0 (none, large files) … 9 (smallest, slow). zlib's levels.
    public var compression: Int
    /// JPEG: 1 (poor) … 100 (best).
    public var quality: Int
    /// The picture is made smaller to fit into this box, keeping its shape; never larger. `nil`: as wide or high as it is.
    public var maximumWidth: Int?
    public var maximumHeight: Int?

    public init(_ kind: Kind = .png, compression: Int = 1, quality: Int = 85, maximumWidth: Int? = nil, maximumHeight: Int? = nil) {
        self.kind = kind
        self.compression = min(9, max(0, compression))
        self.quality = min(100, max(1, quality))
        self.maximumWidth = maximumWidth
        self.maximumHeight = maximumHeight
    }

    /// The size of a picture of `width` x `height` in the box; at least 1 x 1.
    public func fitted(width: Int, height: Int) -> (width: Int, height: Int) {
        let scale = min(
            1, Double(maximumWidth ?? width) / Double(max(1, width)), Double(maximumHeight ?? height) / Double(max(1, height)))
        guard scale < 1 else { return (width, height) }
        return (max(1, Int((Double(width) * scale).rounded())), max(1, Int((Double(height) * scale).rounded())))
    }
}

/// How far a picture has to be turned clockwise to stand upright (RTP video orientation, 3GPP TS 26.114 §7.4.5).
public enum PictureRotation: UInt8, Sendable {
    case none = 0, quarter, half, threeQuarters

    /// From the byte of the header extension. The flip bit is left alone, as browsers do.
    public init(orientation: UInt8) { self = PictureRotation(rawValue: orientation & 3) ?? .none }

    var swapsSides: Bool { self == .quarter || self == .threeQuarters }
}

/// A picture as a file.
public struct EncodedPicture: Sendable, Equatable {
    public var bytes: [UInt8]
    public var width: Int
    public var height: Int

    public init(bytes: [UInt8], width: Int, height: Int) {
        self.bytes = bytes
        self.width = width
        self.height = height
    }
}
