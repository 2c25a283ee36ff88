// SPDX-License-Identifier: Apache-2.0
// What clients of a server ask for, in plain fields.

/// `connect`: who it is and which application it wants.
public struct RTMPConnectRequest: Sendable, Equatable {
    /// Without its query.
    public let app: String
    public let tcURL: String
    public let flashVersion: String
    public let pageURL: String
    /// Behind the application's `?`, from the command object (texts, numbers and flags) and from an object given as the
    /// first argument; later ones win.
    public let parameters: [String: String]
    /// `connect` as it came, without the application's name.
    public let query: String
    let transaction: Double
    let hasEnhancedCodecs: Bool

    init(_ call: RTMPCall, limits: RTMPLimits) throws(RTMPError) {
        guard let object = call.arguments.first, object.members != nil else { throw .malformed("connect without a command object that can be read") }
        func text(_ key: String) throws(RTMPError) -> String {
            let text = object[key]?.stringValue ?? ""
            guard text.utf8.count <= limits.maximumName else { throw .limit("\(key) of connect is longer than \(limits.maximumName) bytes") }
            return text
        }
        let given = try text("app")
        tcURL = try text("tcUrl")
        flashVersion = try text("flashVer")
        pageURL = try text("pageUrl")
        var (app, query) = RTMPURL.split(given)
        // Some encoders keep the query for tcUrl.
        if query.isEmpty, let url = RTMPURL(tcURL, hasStream: false) { query = url.connectQuery }
        while app.hasSuffix("/") { app.removeLast() }
        while app.hasPrefix("/") { app.removeFirst() }
        self.app = RTMPURL.decoded(app)
        self.query = query
        var parameters = RTMPURL.parameters(of: query)
        let own: Set<String> = [
            "app", "tcUrl", "flashVer", "pageUrl", "swfUrl", "fpad", "capabilities", "audioCodecs", "videoCodecs", "videoFunction",
            "objectEncoding", "type", "capsEx", "fourCcList", "audioFourCcInfoMap", "videoFourCcInfoMap",
        ]
        for member in (object.members ?? []) + (call.argument(0)?.members ?? []) where !own.contains(member.key) {
            switch member.value {
            case .string(let text) where text.utf8.count <= limits.maximumName: parameters[member.key] = text
            case .number(let number): parameters[member.key] = number == number.rounded() && abs(number) < 1e15 ? "\(Int64(number))" : "\(number)"
            case .bool(let flag): parameters[member.key] = flag ? "true" : "false"
            default: break
            }
        }
        self.parameters = parameters
        transaction = call.transaction
        hasEnhancedCodecs = object["fourCcList"] != nil || object["videoFourCcInfoMap"] != nil
    }
}

/// `publish` or `play`.
public struct RTMPStreamRequest: Sendable, Equatable {
    public let streamID: UInt32
    /// Without its query; decoded as in other addresses (`%20`).
    public let name: String
    public let query: String
    /// Of `publish`: the client asks for a recording ("record" or "append" instead of "live").
    public let wantsRecord: Bool

    public var parameters: [String: String] { RTMPURL.parameters(of: query) }

    init(_ call: RTMPCall, limits: RTMPLimits) throws(RTMPError) {
        guard let given = call.argument(0)?.stringValue else { throw .malformed("\(call.name) without the name of a stream") }
        guard given.utf8.count <= limits.maximumName else { throw .limit("a stream name longer than \(limits.maximumName) bytes") }
        let (name, query) = RTMPURL.split(given)
        self.name = RTMPURL.decoded(name)
        self.query = query
        streamID = call.streamID
        wantsRecord = call.name == "publish" && ["record", "append"].contains(call.argument(1)?.stringValue ?? "live")
    }
}
