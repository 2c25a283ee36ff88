// SPDX-License-Identifier: Apache-2.0
// Methods that answer GET with something else than JSON, for the OpenAPI document.
import Signalling

extension OpenAPIDocument {
    /// A method under a path with a placeholder.
    struct Download: Sendable {
        let pattern: String
        let summary: String
        /// Placeholder of the path and what it stands for.
        let parameter: (name: String, documentation: String)
        var query: [Field] = []
        let mediaTypes: [String]
        var failures: [Int: String] = [:]
    }

    static let downloads: [Download] = [
        Download(
            pattern: "stream/snapshot/{streamName}.png", summary: "A picture of what a stream shows now, as a file; .jpg gives a JPEG",
            parameter: ("streamName", "Name of the stream, percent-encoded"),
            query: [
                .optional("width", "The picture is made to fit this width", type: "integer"),
                .optional("height", "The picture is made to fit this height", type: "integer"),
                .optional("quality", "Of a JPEG, 1 to 100", type: "integer"),
            ],
            mediaTypes: ["image/png", "image/jpeg"],
            failures: [
                400: "The path or an option is malformed", 404: "There is no such stream",
                429: "Too many were asked for from this address",
                500: "No picture could be taken in time; the reason says why", 503: "Too many are being taken at the moment",
            ]),
        Download(
            pattern: "record/thumbnail/{fileName}", summary: "A small picture of a record's beginning",
            parameter: ("fileName", "Name of the file, percent-encoded"), mediaTypes: ["image/jpeg"],
            failures: [404: "There is no such record, or it has no picture"]),
    ]

    static func pathItem(_ download: Download) -> JSONValue {
        let path: JSONValue = [
            "name": .string(download.parameter.name), "in": "path", "required": true,
            "description": .string(download.parameter.documentation), "schema": ["type": "string"],
        ]
        let query = download.query.map { field -> JSONValue in
            [
                "name": .string(field.name), "in": "query", "description": .string(field.documentation),
                "schema": ["type": .string(field.type)],
            ]
        }
        let content = Dictionary(uniqueKeysWithValues: download.mediaTypes.map { type -> (String, JSONValue) in
            (type, ["schema": ["type": "string", "format": "binary"]])
        })
        var responses: [String: JSONValue] = ["200": ["description": "The picture", "content": .object(content)]]
        for (status, reason) in download.failures {
            responses[String(status)] = [
                "description": .string(reason),
                "content": ["application/json": ["schema": ["$ref": "#/components/schemas/Error"]]],
            ]
        }
        let identifier = download.pattern.split { !$0.isLetter && !$0.isNumber }.joined(separator: "_")
        return [
            "get": [
                "summary": .string(download.summary), "tags": [.string(String(download.pattern.split(separator: "/").first ?? ""))],
                "operationId": .string(identifier), "parameters": .array([path] + query), "responses": .object(responses),
            ]
        ]
    }
}
