// SPDX-License-Identifier: Apache-2.0
// /push/* and /pull/rtmp/*: streams to and from other RTMP servers. 200 means that the far side has accepted.
import RTMP
import Signalling

struct RTMPRelayRoutes: RESTRouteProvider {
    let relays: RTMPRelays

    var restRoutes: [RESTRoute] {
        [
            RESTRoute(path: "push/startup", allowsGET: false) { body in
                let object = try Self.object(body)
                let request = try Self.push(
                    name: try Self.required("streamName", object), url: try Self.required("rtmpUrl", object),
                    isFullURL: try Self.flag("rtmpTransponderFullUrl", object, false), flashVersion: try Self.text("rtmpFlashVersion", object),
                    options: object["options"])
                return RESTReply(body: try await relays.begin(request).json)
            },
            RESTRoute(path: "push/find", allowsGET: false) { body in
                try await Self.found(relays.find(.push, try Self.pushFilter(body)), "no push matches")
            },
            RESTRoute(path: "push/find_all", allowsGET: true) { _ in try await Self.found(relays.find(.push), "there are no pushes") },
            RESTRoute(path: "push/terminate", allowsGET: false) { body in
                let id = try Self.required("mediaSessionId", try Self.object(body))
                guard await relays.terminate(.push, { $0.mediaSessionID == id }) > 0 else {
                    throw RESTFailure.notFound("there is no push with mediaSessionId \"\(id)\"")
                }
                return .empty
            },
            RESTRoute(path: "pull/rtmp/pull", allowsGET: false) { body in
                _ = try await relays.begin(try Self.pull(try Self.object(body)))
                return .empty
            },
            RESTRoute(path: "pull/rtmp/find_all", allowsGET: true) { _ in try await Self.found(relays.find(.pull), "there are no RTMP pulls") },
            RESTRoute(path: "pull/rtmp/terminate", allowsGET: false) { body in
                let uri = try Self.required("uri", try Self.object(body))
                guard await relays.terminate(.pull, { $0.request.shownURL == uri }) > 0 else {
                    throw RESTFailure.notFound("there is no pull of \(uri)")
                }
                return .empty
            },
        ]
    }

    // MARK: Requests

    /// - Parameter isFullURL: the address names the stream; otherwise the stream is published there as `rtmp_<name>`, as the vendor does.
    static func push(
        name: String, url text: String, isFullURL: Bool, flashVersion: String?, options: JSONValue?
    ) throws(RESTFailure) -> RTMPRelay.Request {
        guard var url = RTMPURL(text, hasStream: isFullURL), !url.app.isEmpty else {
            throw .badRequest("rtmpUrl: \"\(text)\" is no address like rtmp://host:1935/app")
        }
        try refuseLogin(url, "rtmpUrl")
        let shown: String
        if isFullURL {
            guard !url.stream.isEmpty else { throw .badRequest("rtmpUrl: \"\(text)\" names no stream, but rtmpTransponderFullUrl=true says so") }
            shown = url.stream
        } else {
            shown = "rtmp_\(name)"
            url.stream = shown
        }
        return RTMPRelay.Request(
            direction: .push, url: url, localName: name, flashVersion: flashVersion, options: options, shownName: shown, shownURL: text)
    }

    static func pull(_ object: JSONValue) throws(RESTFailure) -> RTMPRelay.Request {
        let uri = try required("uri", object)
        guard let url = RTMPURL(uri), !url.app.isEmpty, !url.stream.isEmpty else {
            throw .badRequest("uri: \"\(uri)\" is no address like rtmp://host:1935/app/stream")
        }
        try refuseLogin(url, "uri")
        let name = try text("localStreamName", object) ?? uri
        var request = RTMPRelay.Request(direction: .pull, url: url, localName: name, shownName: name, shownURL: uri)
        request.record = try flag("record", object, false)
        request.hasAudio = try flag("hasAudio", object, true)
        request.hasVideo = try flag("hasVideo", object, true)
        guard request.hasAudio || request.hasVideo else { throw .badRequest("hasAudio and hasVideo are both false") }
        return request
    }

    /// There is no standard way to log in by RTMP; platforms take a key in the stream's name.
    private static func refuseLogin(_ url: RTMPURL, _ key: String) throws(RESTFailure) {
        guard url.user == nil else {
            throw .badRequest("\(key): a login (user:password@) can't be sent by RTMP from here; give the key that the far side wants in the stream's name or as a parameter")
        }
    }

    private static func pushFilter(_ body: JSONValue?) throws(RESTFailure) -> @Sendable (RTMPRelay) -> Bool {
        let object = try object(body)
        let id = try text("mediaSessionId", object), name = try text("streamName", object), url = try text("rtmpUrl", object)
        return { relay in
            (id == nil || relay.mediaSessionID == id) && (url == nil || relay.request.shownURL == url)
                && (name == nil || relay.request.shownName == name || relay.request.localName == name)
        }
    }

    private static func found(_ relays: [JSONValue], _ none: String) throws(RESTFailure) -> RESTReply {
        guard !relays.isEmpty else { throw .notFound(none) }
        return RESTReply(body: .array(relays))
    }

    // MARK: Members

    private static func object(_ body: JSONValue?) throws(RESTFailure) -> JSONValue {
        guard let body, body.objectValue != nil else { throw .badRequest("a JSON object is expected as the body") }
        return body
    }

    private static func text(_ key: String, _ object: JSONValue) throws(RESTFailure) -> String? {
        guard let value = object[key], !value.isNull else { return nil }
        guard let text = value.stringValue, !text.isEmpty, text.utf8.count <= 2048 else {
            throw .badRequest("\"\(key)\" must be a text of 1 to 2048 bytes")
        }
        return text
    }

    private static func required(_ key: String, _ object: JSONValue) throws(RESTFailure) -> String {
        guard let value = try text(key, object) else { throw .badRequest("\"\(key)\" is missing") }
        return value
    }

    private static func flag(_ key: String, _ object: JSONValue, _ missing: Bool) throws(RESTFailure) -> Bool {
        guard let value = object[key], !value.isNull else { return missing }
        guard let flag = value.lenientBool else { throw .badRequest("\"\(key)\" must be true or false") }
        return flag
    }
}
