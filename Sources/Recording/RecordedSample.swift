// SPDX-License-Identifier: Apache-2.0
// One encoded frame with its place in the file. Made by the lanes, written by RecordingPart.

struct RecordedSample: Equatable {
    enum Kind { case sound, picture }
    var kind: Kind
    /// Microseconds from the file's beginning.
    var time: Int64
    var duration: Int64
    var isKeyFrame: Bool
    var bytes: [UInt8]
}
