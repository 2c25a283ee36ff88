// SPDX-License-Identifier: Apache-2.0
// The options by which commands take settings: a file, any key, and short forms of the common keys.
import ArgumentParser
import Foundation
import MartletServer

struct SettingsOptions: ParsableArguments {
    @Option(name: .long, parsing: .unconditional, help: ArgumentHelp("Properties file (key=value lines); a flashphoner.properties works.", valueName: "file"))
    var config: String?

    @Option(name: .long, parsing: .unconditionalSingleValue,
            help: ArgumentHelp("Any setting; may be given several times. See docs/settings.md.", valueName: "key=value"))
    var set: [String] = []

    @Option(name: .long, parsing: .unconditional, help: ArgumentHelp("WebSocket port (0 = any, -1 = off).", valueName: "port"))
    var wsPort: String?
    @Option(name: .long, parsing: .unconditional, help: ArgumentHelp("WebSocket port with TLS.", valueName: "port"))
    var wssPort: String?
    @Option(name: .long, parsing: .unconditional, help: ArgumentHelp("REST and pages.", valueName: "port"))
    var httpPort: String?
    @Option(name: .long, parsing: .unconditional, help: ArgumentHelp("REST and pages with TLS.", valueName: "port"))
    var httpsPort: String?
    @Option(name: .long, parsing: .unconditional, help: ArgumentHelp("RTMP.", valueName: "port"))
    var rtmpPort: String?
    @Option(name: .long, parsing: .unconditional, help: ArgumentHelp("First media port.", valueName: "port"))
    var mediaPortFrom: String?
    @Option(name: .long, parsing: .unconditional, help: ArgumentHelp("Last media port.", valueName: "port"))
    var mediaPortTo: String?
    @Option(name: .long, parsing: .unconditional, help: ArgumentHelp("Public addresses for candidates.", valueName: "address,…"))
    var ip: String?
    @Option(name: .long, parsing: .unconditional, help: ArgumentHelp("Address the listeners bind to.", valueName: "address"))
    var bindAddress: String?
    @Option(name: .long, parsing: .unconditional, help: ArgumentHelp("Folder for certificates and records.", valueName: "folder"))
    var stateDir: String?
    @Option(name: .long, parsing: .unconditional, help: ArgumentHelp("Folder of the pages.", valueName: "folder"))
    var webRoot: String?
    @Option(name: .long, parsing: .unconditional, help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
    var logLevel: String?
    @Option(name: .long, parsing: .unconditional, help: ArgumentHelp("text or json.", valueName: "format"))
    var logFormat: String?

    /// Puts the settings together from file, environment and these options.
    /// - Throws: `ExitCode` after the problems were printed.
    func load() throws -> LoadedSettings {
        let named: [(String, String?)] = [
            ("ws.port", wsPort), ("wss.port", wssPort), ("http.port", httpPort), ("https.port", httpsPort), ("rtmp.port", rtmpPort),
            ("media_port_from", mediaPortFrom), ("media_port_to", mediaPortTo), ("ip", ip), ("bind_address", bindAddress),
            ("state_dir", stateDir), ("web_root", webRoot), ("log_level", logLevel), ("log_format", logFormat),
        ]
        let given = named.compactMap { key, value in value.map { "\(key)=\($0)" } }
        do throws(SettingsError) {
            return try SettingsLoader.load(
                file: config, environment: ProcessInfo.processInfo.environment, commandLine: set + given)
        } catch {
            StandardError.print("martlet: the settings can't be used:")
            for problem in error.problems { StandardError.print("  " + problem) }
            throw ExitCode(78)  // EX_CONFIG of sysexits.h
        }
    }
}

/// Lines for the person at the terminal, apart from what goes to standard output.
enum StandardError {
    static func print(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }
}
