// SPDX-License-Identifier: Apache-2.0
// How loud published streams are, and telling their players which of them is the loudest. Asked by RoomSpeakers.
import MediaIO
import Signalling

extension StreamRegistry {
    /// −dBov (RFC 6464) by media session id; of those that don't exist or have no levels, nothing.
    func audioLevels(of ids: [String]) async -> [String: UInt8] {
        let handles = ids.compactMap { id in entries[id]?.stream.map { (id, $0) } }
        guard !handles.isEmpty else { return [:] }
        let levels = await engine.audioLevels(of: handles.map(\.1))
        return Dictionary(handles.compactMap { id, handle in levels[handle].map { (id, $0) } }) { first, _ in first }
    }

    /// Players of that stream get no sound from now on while it is silent.
    func withholdSilence(of id: String) {
        if let stream = entries[id]?.stream { engine.withholdSilence(of: stream) }
    }

    /// A stream has become the loudest of its room, or is it no longer: its publisher and its players are told.
    func setLoudest(_ id: String, _ isLoudest: Bool, level: UInt8) {
        guard let entry = entries[id], entry.record.isPublished, isLoudest || entry.loudestLevel != nil else { return }
        entries[id]?.loudestLevel = isLoudest ? level : nil
        for listener in [id] + entry.players { tellLevel(level, isLoudest, to: listener) }
    }

    /// Who begins to play the loudest stream hears that it is.
    func tellIfLoudest(_ publisherID: String?, to player: String) {
        if let level = publisherID.flatMap({ entries[$0]?.loudestLevel }) { tellLevel(level, true, to: player) }
    }

    private func tellLevel(_ level: UInt8, _ isLoudest: Bool, to id: String) {
        guard let entry = entries[id], entry.record.status == .playing || entry.record.status == .publishing else { return }
        entry.owner.deliver(.event(StreamEventMessage(
            mediaSessionID: id, type: .audioLevel, payload: ["level": .integer(Int64(level)), "loudest": .bool(isLoudest)])))
    }
}
