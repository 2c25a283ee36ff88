// SPDX-License-Identifier: Apache-2.0
// What the registry of streams needs for sources and sinks inside the server, and for players that can't take a stream's codec.
import Bridges
import MediaIO

struct StreamDoors: Sendable {
    let taps: any StreamTapping
    let bridges: BridgeService
    /// Sources whose video has B-frames are refused rather than converted.
    var refusesReordered = false
}

extension StreamRefusal {
    init(_ error: BridgeError) {
        switch error {
        case .disabled: self = .refused(.transcodingDisabled, "\(error)")
        case .unsupported: self = .refused(.noCommonCodecs, "\(error)")
        case .busy, .busyForAddress, .failed: self = .refused(.noTranscoders, "\(error)")
        case .notReady: self = .refused(.publishNotReady, "\(error)")
        case .noSuchStream: self = .refused(.publisherStop, "\(error)")
        case .shutDown: self = .refused(.shutdownRequested, "\(error)")
        }
    }
}
