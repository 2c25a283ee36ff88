// SPDX-License-Identifier: Apache-2.0
// /recorder/* and the older /stream/startRecording, /stream/stopRecording: recording on demand. /record/*: what has been recorded.
import Foundation
import Recording
import Signalling

struct RecordingRoutes: RESTRouteProvider {
    let streams: StreamRegistry
    let recordings: StreamRecordings
    /// `terminate` waits this long for the file; one that takes longer to finish appears in the folder later.
    static let answerTime = Duration.seconds(10)

    var restRoutes: [RESTRoute] {
        [
            RESTRoute(path: "recorder/startup", allowsGET: false, handle: start),
            RESTRoute(path: "stream/startRecording", allowsGET: false, handle: start),
            RESTRoute(path: "recorder/terminate", allowsGET: false, handle: stop),
            RESTRoute(path: "stream/stopRecording", allowsGET: false, handle: stop),
            RESTRoute(path: "recorder/find_all", allowsGET: true) { _ in
                let active = await recordings.service.active
                guard !active.isEmpty else { throw RESTFailure.notFound("nothing is being recorded") }
                return RESTReply(body: .array(active.map { ["fileName": .string($0.fileName), "mediaSessionId": .string($0.mediaSessionID)] }))
            },
            RESTRoute(path: "record/find_all", allowsGET: true) { _ in
                let folder = recordings.service.folder
                let records = try await Task.detached { folder.list() }.value
                guard !records.isEmpty else { throw RESTFailure.notFound("there are no records") }
                return RESTReply(body: .array(records.map(\.json)))
            },
        ]
    }

    var thumbnails: RESTDownload {
        RESTDownload(prefix: "record/thumbnail/", pattern: "record/thumbnail/{fileName}") { name, _, _ in
            guard let picture = recordings.service.folder.thumbnail(of: name) else {
                throw RESTFailure.notFound("there is no picture of \"\(name.prefix(256))\"")
            }
            return RESTContent(mediaType: "image/jpeg", bytes: picture)
        }
    }

    private func mediaSession(_ body: JSONValue?) throws(RESTFailure) -> String {
        guard let body, body.objectValue != nil else { throw .badRequest("a JSON object is expected as the body") }
        guard let id = body["mediaSessionId"]?.stringValue, !id.isEmpty else { throw .badRequest("\"mediaSessionId\" is missing or no text") }
        return id
    }

    @Sendable private func start(_ body: JSONValue?) async throws -> RESTReply {
        let id = try mediaSession(body)
        let config = body?["config"]
        var template: RecordTemplate?, rotation: RecordRotation?
        if let value = config?["fileTemplate"], !value.isNull {
            guard let text = value.stringValue, let parsed = RecordTemplate(text) else {
                let known = RecordTemplate.elementNames.map { "{\($0)}" }.joined(separator: ", ")
                throw RESTFailure.badRequest("\"config.fileTemplate\" must be a text with elements out of \(known)")
            }
            template = parsed
        }
        if let value = config?["rotation"], !value.isNull {
            guard let text = value.lenientString, let parsed = RecordRotation(text) else {
                throw RESTFailure.badRequest("\"config.rotation\" must be a size such as \"20M\" or a time such as \"30m\"")
            }
            rotation = parsed
        }
        guard let entry = await streams.entry(id), entry.record.isPublished, let stream = entry.stream else {
            throw RESTFailure.notFound("there is no published stream with mediaSessionId \"\(id.prefix(256))\"")
        }
        do throws(RecordingError) {
            try await recordings.start(entry.record, owner: entry.owner, stream: stream, template: template, rotation: rotation)
        } catch {
            switch error {
            case .noSuchStream: throw RESTFailure.notFound("the stream ended meanwhile")
            case .busy, .shutDown: throw RESTFailure(status: 503, reason: "\(error)")
            default: throw RESTFailure.internalError("the recording can't be begun: \(error)")
            }
        }
        // Its end may have passed before there was a recording to end.
        guard await streams.entry(id) != nil else {
            _ = await recordings.service.stop(id, patience: .zero)
            throw RESTFailure.notFound("the stream ended meanwhile")
        }
        return .empty
    }

    @Sendable private func stop(_ body: JSONValue?) async throws -> RESTReply {
        let id = try mediaSession(body)
        guard await recordings.service.stop(id, patience: Self.answerTime) != nil else {
            throw RESTFailure.notFound("mediaSessionId \"\(id.prefix(256))\" is not being recorded")
        }
        return .empty
    }
}

extension StreamRegistry {
    func entry(_ mediaSessionID: String) -> Entry? { entries[mediaSessionID] }

    /// The recording of a stream has ended before the stream has: its publisher is told.
    func tellRecordingStopped(_ id: String, _ reason: String) {
        guard let entry = entries[id], entry.record.isPublished else { return }
        entry.owner.deliver(.recordingStopped(id, reason))
    }
}

extension StreamNotice {
    /// A stream is not recorded, or not any longer, for a reason.
    static func recordingStopped(_ mediaSessionID: String, _ reason: String) -> StreamNotice {
        .event(StreamEventMessage(mediaSessionID: mediaSessionID, type: .recordingStopped, payload: ["info": .string(reason)]))
    }
}

extension FinishedRecord {
    var json: JSONValue {
        var members: [String: JSONValue] = [
            "fileName": .string(fileName), "startTime": .integer(startTime), "endTime": .integer(endTime), "duration": .integer(milliseconds),
            "size": .integer(bytes), "width": JSONValue(width), "height": JSONValue(height), "streamName": .string(facts.streamName),
            "mediaSessionId": .string(facts.mediaSessionID), "participants": .array(participants.map(JSONValue.string)),
        ]
        if let videoCodec { members["videoCodec"] = .string(videoCodec) }
        if let audioCodec { members["audioCodec"] = .string(audioCodec) }
        if let mixedFrom { members["mixedFrom"] = .string(mixedFrom) }
        if let room = facts.room { members["room"] = .string(room) }
        return .object(members)
    }
}
