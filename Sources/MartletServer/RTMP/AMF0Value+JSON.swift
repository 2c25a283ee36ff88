// SPDX-License-Identifier: Apache-2.0
// Between AMF0 and JSON: room commands and events are the same values in both.
import RTMP
import Signalling

extension JSONValue {
    init(_ value: AMF0Value) {
        switch value {
        case .number(let number):
            self = number == number.rounded() && abs(number) < 9e15 ? .integer(Int64(number)) : .number(number)
        case .bool(let flag): self = .bool(flag)
        case .string(let text): self = .string(text)
        case .null, .undefined: self = .null
        case .object(let members), .ecmaArray(let members):
            self = .object(Dictionary(members.map { ($0.key, JSONValue($0.value)) }, uniquingKeysWith: { first, _ in first }))
        case .array(let values): self = .array(values.map { JSONValue($0) })
        case .date(let milliseconds): self = .number(milliseconds)
        }
    }
}

extension AMF0Value {
    init(_ value: JSONValue) {
        switch value {
        case .null: self = .null
        case .bool(let flag): self = .bool(flag)
        case .integer(let number): self = .number(Double(number))
        case .number(let number): self = .number(number)
        case .string(let text): self = .string(text)
        case .array(let values): self = .array(values.map { AMF0Value($0) })
        case .object(let members): self = .object(members.sorted { $0.key < $1.key }.map { Member($0.key, AMF0Value($0.value)) })
        }
    }
}
