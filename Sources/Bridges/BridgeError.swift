// Why a track is not converted.

public enum BridgeError: Error, Sendable, Equatable, CustomStringConvertible {
    /// By the setting `transcoding_disabled`.
    case disabled
    /// There is no way from the one codec to the other.
    case unsupported(from: String, to: String)
    /// As many bridges as may be.
    case busy(Int)
    case noSuchStream
    case shutDown

    public var description: String {
        switch self {
        case .disabled: "transcoding is required, but disabled (transcoding_disabled)"
        case .unsupported(let from, let to): "\(from) can't be converted to \(to)"
        case .busy(let count): "there are \(count) conversions already (max_bridges)"
        case .noSuchStream: "the stream has ended"
        case .shutDown: "the server stops"
        }
    }
}
