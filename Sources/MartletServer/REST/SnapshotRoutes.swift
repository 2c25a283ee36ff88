// SPDX-License-Identifier: Apache-2.0
// /stream/snapshot: a picture of a stream, as base64 in JSON or as a file for an <img>.
import Codecs
import Foundation
import Primitives
import Signalling
import Snapshots

struct SnapshotRoutes: RESTRouteProvider {
    let snapshots: StreamSnapshots

    var restRoutes: [RESTRoute] {
        [
            RESTRoute(path: "stream/snapshot", allowsGET: false, handleFor: { body, client in
                guard let body, body.objectValue != nil else { throw RESTFailure.badRequest("a JSON object is expected as the body") }
                guard let name = body["streamName"]?.stringValue, !name.isEmpty else {
                    throw RESTFailure.badRequest("\"streamName\" is missing or no text")
                }
                let format = try format { key in
                    guard let value = body[key], !value.isNull else { return nil }
                    guard let text = value.lenientString else { throw RESTFailure.badRequest("\"\(key)\" must be a text or a number") }
                    return text
                }
                let snapshot = try await take(name, format, for: client)
                return RESTReply(body: ["data": .string(Data(snapshot.picture.bytes).base64EncodedString())])
            })
        ]
    }

    var download: RESTDownload {
        RESTDownload(prefix: "stream/snapshot/", pattern: "stream/snapshot/{streamName}.png") { rest, query, client in
            guard let dot = rest.lastIndex(of: "."), dot != rest.startIndex else {
                throw RESTFailure.badRequest("the path has to end with a stream name and .png or .jpg")
            }
            let ending = String(rest[rest.index(after: dot)...])
            let format = try format { key in key == "format" ? ending : query[key] }
            let snapshot = try await take(String(rest[..<dot]), format, for: client)
            return RESTContent(mediaType: format.kind.mediaType, bytes: snapshot.picture.bytes)
        }
    }

    private func take(_ name: String, _ format: PictureFormat, for client: AddressKey) async throws(RESTFailure) -> Snapshot {
        guard snapshots.limiter?.take(client) ?? true else {
            throw .tooMany("too many snapshots were asked for from your address; try again in a moment (setting snapshots_per_address)")
        }
        do throws(SnapshotError) {
            return try await snapshots.take(name, as: format)
        } catch {
            switch error {
            case .noSuchStream: throw .notFound("there is no stream \"\(name.prefix(256))\"")
            case .busy, .shutDown: throw RESTFailure(status: 503, reason: "\(error)")
            default: throw .internalError("no snapshot of \"\(name.prefix(256))\": \(error)")
            }
        }
    }

    /// The options of a request; 400 names the one that is wrong.
    private func format(_ value: (String) throws -> String?) throws -> PictureFormat {
        func number(_ key: String, _ range: ClosedRange<Int>) throws -> Int? {
            guard let text = try value(key) else { return nil }
            guard let number = Int(text), range.contains(number) else {
                throw RESTFailure.badRequest("\"\(key)\" must be a whole number from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
        let kind: PictureFormat.Kind
        switch try value("format")?.lowercased() ?? "png" {
        case "png": kind = .png
        case "jpg", "jpeg": kind = .jpeg
        default: throw RESTFailure.badRequest("the format must be png or jpg")
        }
        return PictureFormat(
            kind, compression: snapshots.compression, quality: try number("quality", 1...100) ?? 85,
            maximumWidth: try number("width", 1...VideoFrame.maximumSide), maximumHeight: try number("height", 1...VideoFrame.maximumSide))
    }
}
