// SPDX-License-Identifier: Apache-2.0
// `snapshot` of a client: looked up by name, answered with the requester's id, which may belong to a stream object that was never
// played. Taken beside the mailbox, which must not wait for it.
import Foundation
import Signalling
import Snapshots

extension Session {
    /// Snapshots that one session may have under way.
    static let maximumSnapshots = 16

    func takeSnapshot(_ identity: StreamIdentity) async {
        guard state == .established else { return refuse(identity, StreamStatusInfo.sessionNotReady.rawValue) }
        guard await registry.isTaken(identity.name) else { return refuse(identity, StreamStatusInfo.streamNotFound.rawValue) }
        guard let snapshots else { return refuse(identity, "This server takes no snapshots") }
        // Who may not play a stream may not see it either.
        let request = StreamRequest(mediaSessionID: identity.mediaSessionID, name: identity.name, published: false, sdp: "")
        if case .refused(let info, _) = await application.admission(of: request, from: link) { return refuse(identity, info.rawValue) }
        guard snapshotsInHand < Self.maximumSnapshots else { return refuse(identity, "Too many snapshots at once") }
        if let limiter = snapshots.limiter, !limiter.take(hostOf: info.remoteAddress) {
            return refuse(identity, "Too many snapshots from this address (snapshots_per_address)")
        }
        snapshotsInHand += 1
        Task {
            do throws(SnapshotError) {
                answer(identity, try await snapshots.take(identity.name), snapshots)
            } catch {
                refuse(identity, error == .noSuchStream ? StreamStatusInfo.streamNotFound.rawValue : "Snapshot failed: \(error)")
            }
            snapshotsInHand -= 1
        }
    }

    private func answer(_ identity: StreamIdentity, _ snapshot: Snapshot, _ snapshots: StreamSnapshots) {
        let text = Data(snapshot.picture.bytes).base64EncodedString()
        guard text.utf8.count <= snapshots.maximumMessageSize else {
            return refuse(identity, "The picture is too large for a message; use REST, or raise max_send_queue")
        }
        send(.streamEvent(StreamEventMessage(
            mediaSessionID: identity.mediaSessionID, type: .snapshotCompleted, payload: ["snapshot": .string(text)])))
        // The form of clients from before the event; skipped where both would be too much.
        guard snapshots.tellsStatus, text.utf8.count <= snapshots.maximumMessageSize / 2 else { return }
        var status = StreamStatusMessage(
            mediaSessionID: identity.mediaSessionID, status: .snapshotComplete, info: text, name: identity.name,
            published: identity.published, hasVideo: true, hasAudio: false, record: false, mediaProvider: "WebRTC")
        status.appKey = info.appKey
        status.sessionID = id
        send(.streamStatus(status))
    }

    private func refuse(_ identity: StreamIdentity, _ info: String) {
        send(.streamEvent(StreamEventMessage(
            mediaSessionID: identity.mediaSessionID, type: .snapshotFailed, payload: ["info": .string(info)])))
    }
}
