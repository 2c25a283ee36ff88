// SPDX-License-Identifier: Apache-2.0
// Why the server did not start, in sentences for the person who started it.

public struct StartError: Error, Sendable, CustomStringConvertible {
    public let problems: [String]
    public var description: String { problems.joined(separator: "\n") }

    public init(_ problems: [String]) { self.problems = problems }
}
