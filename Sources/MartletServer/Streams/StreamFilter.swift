// SPDX-License-Identifier: Apache-2.0
// The body of /stream/find and /stream/terminate: fields that a media session must have. Parsed once, then asked per record.
import Primitives
import Signalling

struct StreamFilter: Sendable, Equatable {
    private(set) var fields: [String: JSONValue] = [:]
    /// Any of these, when given.
    private(set) var mediaSessionIDs: [String]?
    private(set) var displaysMetrics = false

    /// Matches everything.
    static let all = StreamFilter()

    private init() {}

    init(mediaSessionID: String) { fields = ["mediaSessionId": .string(mediaSessionID)] }

    /// Reads a body. `null` members don't filter (the vendor's console sends them); a missing body matches everything.
    /// Throws 400 for anything that can't be a filter, naming the field.
    init(_ body: JSONValue?) throws(RESTFailure) {
        guard let body, !body.isNull else { return }
        guard let members = body.objectValue else { throw .badRequest("the body must be a JSON object") }
        for (key, value) in members where !value.isNull {
            switch key {
            case "display":
                guard let words = value.arrayValue else { throw .badRequest("\"display\" must be an array, such as [\"metrics\"]") }
                displaysMetrics = words.contains("metrics")
            case "mediaSessionIds":
                guard let ids = value.arrayValue else { throw .badRequest("\"mediaSessionIds\" must be an array of strings") }
                mediaSessionIDs = ids.compactMap(\.lenientString)
            case _ where StreamRecord.filterableKeys.contains(key):
                guard value.lenientString != nil else { throw .badRequest("\"\(key)\" must be a string, number or boolean") }
                if StreamRecord.booleanKeys.contains(key), value.lenientBool == nil {
                    throw .badRequest("\"\(key)\" must be true or false")
                }
                fields[key] = value
            default:
                throw .badRequest("there is no field \"\(key)\" to look for")
            }
        }
    }

    func matches(_ record: StreamRecord) -> Bool {
        if let mediaSessionIDs, !mediaSessionIDs.contains(record.mediaSessionID) { return false }
        if fields.isEmpty { return true }
        // The usual ones without making the whole record.
        if let name = fields["name"], name.lenientString.map(ExactText.init) != ExactText(record.name) { return false }
        if let id = fields["mediaSessionId"], id.lenientString != record.mediaSessionID { return false }
        if let published = fields["published"], published.lenientBool != record.isPublished { return false }
        let json = record.json()
        return fields.allSatisfy { key, wanted in json[key]?.lenientString == wanted.lenientString }
    }

    /// The filter in words, for "nothing found" reasons.
    var description: String {
        var parts = fields.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.lenientString ?? "")" }
        if let mediaSessionIDs { parts.append("mediaSessionIds=\(mediaSessionIDs.joined(separator: ","))") }
        return parts.isEmpty ? "any" : parts.joined(separator: " ")
    }
}
