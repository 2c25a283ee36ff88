// SPDX-License-Identifier: Apache-2.0
// A picture of a stream, and the figures of all that were taken. Given out by SnapshotService.
import Codecs

public struct Snapshot: Sendable, Equatable {
    public var picture: EncodedPicture
    public var format: PictureFormat
    /// How long ago the last packet of what it shows had arrived when it was ready.
    public var age: Duration
}

/// What the service has done since its start.
public struct SnapshotCounters: Sendable, Equatable {
    public var requests = 0
    /// Requests answered with a picture; with an error; refused for their number.
    public var taken = 0, failed = 0, refused = 0
    /// Times a worker decoded something: fewer than `taken` when requests were served together.
    public var decodes = 0
    public var decodedFrames = 0
    public var keyFrameRequests = 0
    /// Of the last picture, microseconds inside the worker.
    public var lastDecodeMicroseconds = 0, lastEncodeMicroseconds = 0
}
