// SPDX-License-Identifier: Apache-2.0
// Why a track is not converted.
import MediaIO

public enum BridgeError: Error, Sendable, Equatable, CustomStringConvertible {
    /// By the setting `transcoding_disabled`.
    case disabled
    /// There is no way from the one codec to the other.
    case unsupported(from: String, to: String)
    /// As many bridges as may be.
    case busy(Int)
    /// The same address has as many running as one may.
    case busyForAddress(Int)
    case noSuchStream
    /// The stream has no tracks yet.
    case notReady
    /// The media engine's reason.
    case failed(String)
    case shutDown

    public var description: String {
        switch self {
        case .disabled: "transcoding is required, but disabled (transcoding_disabled)"
        case .unsupported(let from, let to): "\(from) can't be converted to \(to)"
        case .busy(let count): "there are \(count) conversions already (max_transcoders)"
        case .busyForAddress(let count): "this address has \(count) conversions already (max_transcoders_per_address)"
        case .noSuchStream: "the stream has ended"
        case .notReady: "no media has arrived from the publisher yet"
        case .failed(let reason): "the conversion can't be begun: \(reason)"
        case .shutDown: "the server stops"
        }
    }
}

extension BridgeError {
    init(_ error: EngineError) {
        switch error {
        case .noSuchStream, .noSuchEndpoint: self = .noSuchStream
        case .notReady: self = .notReady
        case .shutDown: self = .shutDown
        case .negotiation(let reason): self = .failed("\(reason)")
        case .alreadyPublished: self = .failed("the track is there already")
        case .limit(let bound): self = .failed("a bound was reached: \(bound)")
        }
    }
}
