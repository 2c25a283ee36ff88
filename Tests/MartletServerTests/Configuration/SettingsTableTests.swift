// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import MartletServer

struct SettingsTableTests {
    @Test("no key, alias or environment variable stands for two settings")
    func unique() {
        let names = SettingsTable.all.flatMap { [$0.key] + $0.aliases }.map { $0.lowercased() }
        #expect(Set(names).count == names.count)
        // An alias may differ from its key by nothing that a variable's name could show.
        let variables = SettingsTable.all.flatMap { definition in
            Set(([definition.key] + definition.aliases).map(SettingDefinition.environmentName))
        }
        #expect(Set(variables).count == variables.count)
        #expect(names.allSatisfy { KnownKeys.remark(for: $0) == nil || SettingsTable.byName[$0] != nil })
    }

    @Test("every default is allowed by its own rule and survives being written and read")
    func defaultsRoundTrip() {
        for definition in SettingsTable.all {
            var settings = Settings()
            #expect(definition.assign(&settings, definition.defaultText), "\(definition.key)")
            #expect(settings == Settings(), "\(definition.key)")
        }
    }

    @Test("every setting of the server has a line in the table")
    func complete() {
        let properties = Mirror(reflecting: Settings()).children.count
        #expect(SettingsTable.all.count == properties)
    }

    @Test("what `martlet config` prints can be loaded again and gives the same settings")
    func printedSettingsLoad() throws {
        let loaded = try SettingsLoader.load(commandLine: ["ws.port=0", "ip=203.0.113.9", "log_format=json", "rest_access_control_headers=X-A: b;X-C: d"])
        let path = NSTemporaryDirectory() + "martlet-config-\(UUID().uuidString).properties"
        try Data(SettingsReport.inForce(loaded).utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let again = try SettingsLoader.load(file: path)
        #expect(again.settings == loaded.settings)
        #expect(again.remarks.isEmpty)
    }

    @Test("docs/settings.md is what `martlet config --markdown` prints")
    func documentation() throws {
        let file = try #require(Repository.file("docs/settings.md"))
        #expect(file == SettingsReport.markdown(), "run: martlet config --markdown > docs/settings.md")
    }
}

/// Files of the source tree the tests were built from.
enum Repository {
    /// The text of a file, by its path from the root of the repository.
    static func file(_ path: String) -> String? {
        let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }
}
