// SPDX-License-Identifier: Apache-2.0
// Why something is not recorded, as sentences for whoever asked. Thrown by RecordingService and Recorder.

public enum RecordingError: Error, Sendable, Equatable, CustomStringConvertible {
    case noSuchStream
    /// No media has come yet, so nothing is known of the tracks.
    case notReady
    /// The stream has no track in a codec that can be recorded.
    case nothingToRecord
    /// Its pictures can't be recorded, and sound alone is not what anybody expects.
    case noSuchPictures(String)
    case notRecording
    /// The stream is in the group's recording.
    case alreadyIn
    /// More recordings than the server takes at once.
    case busy
    /// The publisher's address has filled what it may of the disk.
    case quota
    case diskFull(String)
    /// A file or folder can't be made or written; the second text is the system's reason.
    case file(String, String)
    case failed(String)
    case shutDown

    public var description: String {
        switch self {
        case .noSuchStream: "there is no such stream"
        case .notReady: "no media has arrived from the publisher yet"
        case .nothingToRecord: "the stream has no track in a codec that can be recorded"
        case .noSuchPictures(let codec): "pictures in \(codec) can't be recorded"
        case .notRecording: "it is not being recorded"
        case .alreadyIn: "the stream is in that recording already"
        case .busy: "as many recordings run as may (record_workers)"
        case .quota: "this address has recorded as much as it may (record_quota_per_address)"
        case .diskFull(let reason): "the disk is full: \(reason)"
        case .file(let path, let reason): "\(path) can't be written: \(reason)"
        case .failed(let reason): reason
        case .shutDown: "the server is stopping"
        }
    }
}

/// Why a recording has ended before its stream.
public enum RecordingStop: Sendable, Equatable, CustomStringConvertible {
    case diskFull
    /// Its workers keep failing.
    case givenUp
    /// The publisher's address has filled what it may of the disk.
    case quota

    public var description: String {
        switch self {
        case .diskFull: "The server's disk is full"
        case .givenUp: "The server can't go on recording"
        case .quota: "This address has recorded as much as it may (record_quota_per_address)"
        }
    }
}
