// SPDX-License-Identifier: Apache-2.0
// The settings as text: what is in force (`martlet config`) and the reference page (docs/settings.md).

public enum SettingsReport {
    /// One `key=value` line per setting with its origin as a comment; can be used as a properties file.
    public static func inForce(_ loaded: LoadedSettings) -> String {
        let lines = SettingsTable.all.map { definition in
            (text: "\(definition.key)=\(definition.text(loaded.settings))", definition: definition)
        }
        var output = ""
        for section in SettingDefinition.Section.allCases {
            if !output.isEmpty { output += "\n" }
            output += "# \(section.rawValue)\n"
            for line in lines where line.definition.section == section {
                // The comment is a line of its own in a file, so that a value may hold a "#".
                let origin = loaded.origin(of: line.definition)
                output += origin == .builtIn ? line.text + "\n" : "# from \(origin):\n\(line.text)\n"
            }
        }
        return output
    }

    /// The reference page in Markdown.
    public static func markdown() -> String {
        var output = """
            <!-- Made by `martlet config --markdown` from Sources/MartletServer/Configuration/SettingsTable.swift; edit that. -->
            # Settings

            Values come from four places; a later one wins:

            1. the defaults below,
            2. a properties file: `martlet run --config FILE` (`key=value` lines, `#` starts a comment; a `flashphoner.properties` works),
            3. environment variables: `MARTLET_` and the key in capitals with dots as underscores (`MARTLET_WS_PORT=8080`),
            4. the command line: `--set key=value`, and options such as `--ws-port`.

            `martlet config` prints what is in force and where each value came from. A value that isn't allowed stops the start; a key
            nobody knows is warned about; keys of WCS that have no effect here are accepted with one line in the log.
            Times are in milliseconds, sizes in bytes.

            """
        for section in SettingDefinition.Section.allCases {
            output += "\n## \(section.rawValue)\n\n| Key | Default | Allowed | Meaning |\n|---|---|---|---|\n"
            for definition in SettingsTable.all where definition.section == section {
                let key = ([definition.key] + definition.aliases).map { "`\($0)`" }.joined(separator: "<br>")
                let defaultText = definition.defaultText.isEmpty ? "–" : "`\(definition.defaultText)`"
                output += "| \(key) | \(defaultText) | \(definition.allowed) | \(definition.documentation) |\n"
            }
        }
        return output
    }
}
