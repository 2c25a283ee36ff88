// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import MartletServer

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Print the settings in force and where each value came from.",
        discussion: "The output can be used as a properties file.")

    @OptionGroup var settings: SettingsOptions

    @Flag(name: .long, help: "Print the reference of all settings (docs/settings.md) instead.")
    var markdown = false

    @Flag(name: .long, help: "Print the description of the REST interface (docs/openapi.json) instead.")
    var openapi = false

    func run() throws {
        if markdown { return print(SettingsReport.markdown(), terminator: "") }
        if openapi { return print(OpenAPIDocument.text(), terminator: "") }
        let loaded = try settings.load()
        for remark in loaded.remarks { StandardError.print("martlet: \(remark.text)") }
        print(SettingsReport.inForce(loaded), terminator: "")
    }
}
