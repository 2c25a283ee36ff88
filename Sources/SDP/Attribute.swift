// SPDX-License-Identifier: Apache-2.0
// An a= line without a meaning of its own here.

/// `a=name` or `a=name:value`.
public struct Attribute: Sendable, Equatable {
    public var name: String
    public var value: String?
    public init(name: String, value: String? = nil) { self.name = name; self.value = value }
}
