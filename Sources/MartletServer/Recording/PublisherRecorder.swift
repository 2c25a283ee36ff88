// SPDX-License-Identifier: Apache-2.0
// How the registry of streams has publishers recorded that asked for it. Implemented by StreamRecordings.
import MediaIO

protocol PublisherRecorder: Sendable {
    /// A publisher with `record: true` is on air.
    func begin(_ record: StreamRecord, owner: StreamOwner, stream: StreamHandle) async
    /// A publisher's tracks have changed: its recordings go on in a new file with what there is now.
    func tracksChanged(_ mediaSessionID: String) async
    /// A publisher has ended: so do its recordings, whoever began them. The name of the (first) file, `nil` if there is none.
    func end(_ mediaSessionID: String) async -> String?
}
