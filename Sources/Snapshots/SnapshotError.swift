// SPDX-License-Identifier: Apache-2.0
// Why there is no picture, as sentences for whoever asked. Thrown by SnapshotService.

public enum SnapshotError: Error, Sendable, Equatable, CustomStringConvertible {
    case noSuchStream
    /// The stream carries sound only.
    case noVideo
    case unsupportedCodec(String)
    /// The time was over; the text says what was missing.
    case timedOut(String)
    /// The worker could not do it, or died of it.
    case failed(String)
    /// More requests than are taken at once.
    case busy
    case shutDown

    public var description: String {
        switch self {
        case .noSuchStream: "there is no such stream"
        case .noVideo: "the stream has no video"
        case .unsupportedCodec(let name): "video in \(name) can't be decoded here"
        case .timedOut(let reason): "no picture in time: \(reason)"
        case .failed(let reason): reason
        case .busy: "too many snapshots are being taken; try again in a moment"
        case .shutDown: "the server is stopping"
        }
    }
}
