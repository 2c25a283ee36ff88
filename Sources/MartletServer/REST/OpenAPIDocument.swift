// SPDX-License-Identifier: Apache-2.0
// The description of the REST interface (OpenAPI 3), served as /rest-api/openapi.json and kept in docs/openapi.json.
// A test holds it against the routes.
import Signalling

/// The operations of the interface and the document made from them.
public enum OpenAPIDocument {
    /// A field of a request body.
    struct Field: Sendable {
        let name: String
        let type: String
        let isRequired: Bool
        let documentation: String

        static func required(_ name: String, _ documentation: String, type: String = "string") -> Field {
            Field(name: name, type: type, isRequired: true, documentation: documentation)
        }
        static func optional(_ name: String, _ documentation: String, type: String = "string") -> Field {
            Field(name: name, type: type, isRequired: false, documentation: documentation)
        }
    }

    /// One method.
    struct Operation: Sendable {
        /// Relative to `/rest-api/`.
        let path: String
        let summary: String
        var allowsGET = false
        var fields: [Field] = []
        /// Schema of the body of a 200; `nil` = empty body.
        var result: String?
        var isList = false
        /// Status to the situation it stands for. 200 and 400 are added where they apply.
        var failures: [Int: String] = [:]
    }

    /// The document as JSON.
    static func document() -> JSONValue {
        var paths: [String: JSONValue] = [:]
        for operation in operations { paths["/" + operation.path] = pathItem(operation) }
        for download in downloads { paths["/" + download.pattern] = pathItem(download) }
        paths.merge(httpStreamPaths) { first, _ in first }
        return [
            "openapi": "3.0.3",
            "info": [
                "title": "Martlet REST interface", "version": .string(Version.current),
                "description": "Methods take a JSON object by POST; methods that need none are answered to GET as well. An error carries the schema Error.",
            ],
            "servers": [["url": "/rest-api"]],
            "paths": .object(paths),
            "components": ["schemas": .object(OpenAPISchemas.all)],
        ]
    }

    /// The document as indented text with a line feed at the end, as docs/openapi.json holds it.
    public static func text() -> String { PrettyJSON.text(document()) + "\n" }

    private static func pathItem(_ operation: Operation) -> JSONValue {
        let identifier = operation.path.split(whereSeparator: { $0 == "/" || $0 == "." }).joined(separator: "_")
        var description: [String: JSONValue] = [
            "summary": .string(operation.summary),
            "tags": [.string(String(operation.path.split(separator: "/").first ?? ""))],
            "responses": responses(operation),
        ]
        var item: [String: JSONValue] = [:]
        if operation.allowsGET {
            description["operationId"] = .string(identifier + "_get")
            item["get"] = .object(description)
        }
        if !operation.fields.isEmpty {
            let needsBody = operation.fields.contains(where: \.isRequired)
            description["requestBody"] = ["required": .bool(needsBody), "content": ["application/json": ["schema": bodySchema(operation.fields)]]]
        }
        description["operationId"] = .string(identifier)
        item["post"] = .object(description)
        return .object(item)
    }

    private static func bodySchema(_ fields: [Field]) -> JSONValue {
        var properties: [String: JSONValue] = [:]
        for field in fields {
            var schema: [String: JSONValue] = ["description": .string(field.documentation)]
            if field.type.hasPrefix("[") {
                schema["type"] = "array"
                schema["items"] = ["type": .string(String(field.type.dropFirst().dropLast()))]
            } else {
                schema["type"] = .string(field.type)
            }
            properties[field.name] = .object(schema)
        }
        var schema: [String: JSONValue] = ["type": "object", "properties": .object(properties)]
        let required = fields.filter(\.isRequired).map { JSONValue.string($0.name) }
        if !required.isEmpty { schema["required"] = .array(required) }
        return .object(schema)
    }

    private static func responses(_ operation: Operation) -> JSONValue {
        var responses: [String: JSONValue] = [:]
        if let result = operation.result {
            let reference: JSONValue = ["$ref": .string("#/components/schemas/" + result)]
            let schema: JSONValue = operation.isList ? ["type": "array", "items": reference] : reference
            responses["200"] = ["description": "Found", "content": ["application/json": ["schema": schema]]]
        } else {
            responses["200"] = ["description": "Done; the body is empty"]
        }
        var failures = operation.failures
        if !operation.fields.isEmpty, failures[400] == nil { failures[400] = "The body is not JSON, or a field is missing or malformed" }
        for (status, reason) in failures {
            responses[String(status)] = [
                "description": .string(reason),
                "content": ["application/json": ["schema": ["$ref": "#/components/schemas/Error"]]],
            ]
        }
        return .object(responses)
    }
}
