// SPDX-License-Identifier: Apache-2.0
// The CORS headers that go on every REST answer, from settings. Pages and consoles live on other origins than the REST port.
import HTTPTypes

enum CrossOriginHeaders {
    /// The headers as set.
    static func make(from settings: Settings) -> HTTPFields {
        var fields = HTTPFields()
        if !settings.accessControlHeaders.isEmpty {
            for (name, value) in parse(settings.accessControlHeaders) ?? [] { fields.append(HTTPField(name: name, value: value)) }
            return fields
        }
        fields[.accessControlAllowOrigin] = settings.accessControlAllowOrigin
        fields[.accessControlAllowHeaders] = settings.accessControlAllowHeaders
        fields[.accessControlAllowMethods] = settings.accessControlAllowMethods
        return fields
    }

    /// `Name: value;Name: value` into pairs; `nil` when it is not of that form.
    static func parse(_ text: String) -> [(HTTPField.Name, String)]? {
        var fields: [(HTTPField.Name, String)] = []
        for part in text.split(separator: ";") {
            let part = part.trimmingWhitespace()
            if part.isEmpty { continue }
            guard let colon = part.firstIndex(of: ":"), let name = HTTPField.Name(part[..<colon].trimmingWhitespace()) else { return nil }
            let value = part[part.index(after: colon)...].trimmingWhitespace()
            guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else { return nil }
            fields.append((name, value))
        }
        return fields
    }
}
