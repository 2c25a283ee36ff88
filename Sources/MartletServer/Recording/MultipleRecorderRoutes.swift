// SPDX-License-Identifier: Apache-2.0
// /multipleRecorder/*: several streams in one file, put together by REST.
import Recording
import Signalling

struct MultipleRecorderRoutes: RESTRouteProvider {
    let streams: StreamRegistry
    let recordings: StreamRecordings
    static let scheme = "multi-recorder://"

    var restRoutes: [RESTRoute] {
        [
            RESTRoute(path: "multipleRecorder/startup", allowsGET: false) { body in
                let uri = try address(body)
                do throws(RecordingError) {
                    guard try await recordings.service.startGroup(uri) else { throw RecordingError.failed("") }
                } catch {
                    if error == .shutDown { throw RESTFailure(status: 503, reason: "\(error)") }
                    throw RESTFailure.conflict("the recording \(uri) runs already")
                }
                return .empty
            },
            RESTRoute(path: "multipleRecorder/add", allowsGET: false) { body in
                let uri = try address(body), id = try mediaSession(body)
                guard await recordings.service.hasGroup(uri) else { throw RESTFailure.notFound("there is no recording \(uri)") }
                guard let entry = await streams.entry(id), entry.record.isPublished, let stream = entry.stream else {
                    throw RESTFailure.notFound("there is no published stream with mediaSessionId \"\(id.prefix(256))\"")
                }
                do throws(RecordingError) {
                    try await recordings.add(entry.record, owner: entry.owner, login: entry.owner.login, stream: stream, toGroup: uri)
                } catch {
                    switch error {
                    case .alreadyIn: throw RESTFailure.conflict("\(error)")
                    case .noSuchStream, .notRecording: throw RESTFailure.notFound("\(error)")
                    case .busy, .shutDown: throw RESTFailure(status: 503, reason: "\(error)")
                    default: throw RESTFailure.internalError("the stream can't be added: \(error)")
                    }
                }
                return .empty
            },
            RESTRoute(path: "multipleRecorder/remove", allowsGET: false) { body in
                let uri = try address(body), id = try mediaSession(body)
                switch await recordings.service.remove(id, fromGroup: uri) {
                case nil: throw RESTFailure.notFound("there is no recording \(uri)")
                case false?: throw RESTFailure.notFound("mediaSessionId \"\(id.prefix(256))\" is not in \(uri)")
                case true?: return .empty
                }
            },
            RESTRoute(path: "multipleRecorder/find_all", allowsGET: true) { _ in
                let groups = await recordings.service.activeGroups
                guard !groups.isEmpty else { throw RESTFailure.notFound("there are none") }
                return RESTReply(body: .array(groups.map { group in
                    [
                        "uri": .string(group.uri), "fileName": .string(group.fileName),
                        "mediaSessionsId": .array(group.mediaSessionIDs.map(JSONValue.string)),
                    ]
                }))
            },
            RESTRoute(path: "multipleRecorder/terminate", allowsGET: false) { body in
                let uri = try address(body)
                guard await recordings.service.hasGroup(uri) else { throw RESTFailure.notFound("there is no recording \(uri)") }
                await recordings.service.endGroup(uri)
                return .empty
            },
        ]
    }

    private func address(_ body: JSONValue?) throws(RESTFailure) -> String {
        guard let body, body.objectValue != nil else { throw .badRequest("a JSON object is expected as the body") }
        guard let uri = body["uri"]?.stringValue, uri.hasPrefix(Self.scheme), uri.utf8.count > Self.scheme.utf8.count, uri.utf8.count <= 512 else {
            throw .badRequest("\"uri\" must be a text such as \"multi-recorder://name\"")
        }
        return uri
    }

    private func mediaSession(_ body: JSONValue?) throws(RESTFailure) -> String {
        guard let id = body?["mediaSessionId"]?.stringValue, !id.isEmpty else { throw .badRequest("\"mediaSessionId\" is missing or no text") }
        return id
    }
}
