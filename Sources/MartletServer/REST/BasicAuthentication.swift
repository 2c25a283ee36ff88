// SPDX-License-Identifier: Apache-2.0
// HTTP Basic (RFC 7617) for REST and statistics, switched on by `disable_rest_auth=false`.
import Foundation

/// Users of the REST interface, from the `rest_users` file.
struct BasicAuthentication: Sendable {
    private let passwords: [String: String]

    /// Reads `name:password` lines; `#` starts a comment line.
    /// - Throws: `SettingsError` when the file can't be read, names no user, or a line has no colon.
    init(file: String) throws(SettingsError) {
        guard let data = FileManager.default.contents(atPath: file), data.count <= 1_048_576 else {
            throw SettingsError(problems: ["\(file): the file of REST users (rest_users) can't be read"])
        }
        try self.init(parsing: String(decoding: data, as: UTF8.self), file: file)
    }

    init(parsing text: String, file: String) throws(SettingsError) {
        var passwords: [String: String] = [:]
        for (index, raw) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let line = raw.trimmingWhitespace()
            if line.isEmpty || line.hasPrefix("#") { continue }
            guard let colon = line.firstIndex(of: ":"), colon != line.startIndex else {
                throw SettingsError(problems: ["\(file):\(index + 1): a user must be written as name:password"])
            }
            passwords[String(line[..<colon])] = String(line[line.index(after: colon)...])
        }
        guard !passwords.isEmpty else { throw SettingsError(problems: ["\(file): the file of REST users (rest_users) names no user"]) }
        self.passwords = passwords
    }

    /// Whether an `Authorization` header carries a known user's password.
    func accepts(_ authorization: String?) -> Bool {
        guard let authorization, authorization.utf8.count <= 4_096,
            authorization.prefix(6).lowercased() == "basic ",
            let data = Data(base64Encoded: authorization.dropFirst(6).trimmingWhitespace()),
            let text = String(data: data, encoding: .utf8), let colon = text.firstIndex(of: ":")
        else { return false }
        let expected = passwords[String(text[..<colon])]
        let matches = Self.equalInConstantTime(expected ?? "", String(text[text.index(after: colon)...]))
        return matches && expected != nil
    }

    /// Compares without telling by its duration how much of the password was right.
    private static func equalInConstantTime(_ expected: String, _ given: String) -> Bool {
        let a = Array(expected.utf8)
        let b = Array(given.utf8)
        var difference = UInt8(a.count == b.count ? 0 : 1)
        for (index, byte) in b.enumerated() { difference |= byte ^ (a.isEmpty ? 0 : a[index % a.count]) }
        return difference == 0
    }
}
