// SPDX-License-Identifier: Apache-2.0
// Puts the settings together: defaults, then the properties file, then the environment, then the command line.
// Called once by the commands; reads nothing but the file it is given.
import Foundation

/// Where the value of a setting came from.
public enum SettingOrigin: Sendable, Equatable, CustomStringConvertible {
    case builtIn
    case file(path: String, line: Int)
    case environment(name: String)
    case commandLine

    public var description: String {
        switch self {
        case .builtIn: "default"
        case .file(let path, let line): "\(path):\(line)"
        case .environment(let name): "environment \(name)"
        case .commandLine: "command line"
        }
    }
}

/// Why the start stops: every problem of all sources at once, each with its place and what is allowed there.
public struct SettingsError: Error, Sendable, Equatable, CustomStringConvertible {
    public let problems: [String]
    public var description: String { problems.joined(separator: "\n") }
}

/// What the loader found.
public struct LoadedSettings: Sendable {
    /// Something to log once the log is set up.
    public struct Remark: Sendable, Equatable {
        public enum Kind: Sendable { case notice, warning }
        public let kind: Kind
        public let text: String
    }

    public var settings = Settings()
    /// By canonical key; absent = built in.
    public var origins: [String: SettingOrigin] = [:]
    public var remarks: [Remark] = []

    public init() {}

    public func origin(of definition: SettingDefinition) -> SettingOrigin { origins[definition.key] ?? .builtIn }
}

public enum SettingsLoader {
    /// Largest properties file that is read, bytes.
    static let maximumFileSize = 1_048_576

    /// - Parameters:
    ///   - file: path of a properties file.
    ///   - environment: all variables; only `MARTLET_…` are looked at.
    ///   - commandLine: `key=value` pairs in the order given.
    /// - Throws: every bad value and contradiction found.
    public static func load(
        file: String? = nil, environment: [String: String] = [:], commandLine: [String] = []
    ) throws(SettingsError) -> LoadedSettings {
        var run = Run()
        if let file { run.read(file: file) }
        run.read(environment: environment)
        run.read(commandLine: commandLine)
        run.crossCheck()
        guard run.problems.isEmpty else { throw SettingsError(problems: run.problems) }
        return run.result
    }

    private struct Run {
        var result = LoadedSettings()
        var problems: [String] = []

        mutating func read(file: String) {
            guard let size = (try? FileManager.default.attributesOfItem(atPath: file))?[.size] as? Int else {
                problems.append("\(file): the settings file can't be found")
                return
            }
            guard size <= SettingsLoader.maximumFileSize, let data = FileManager.default.contents(atPath: file) else {
                problems.append("\(file): the settings file can't be read or is larger than \(SettingsLoader.maximumFileSize) bytes")
                return
            }
            do {
                let properties = try PropertiesFile(parsing: String(decoding: data, as: UTF8.self))
                for entry in properties.entries {
                    apply(key: entry.key, value: entry.value, origin: .file(path: file, line: entry.line))
                }
            } catch {
                problems.append("\(file):\(error.line): \(error.reason)")
            }
        }

        mutating func read(environment: [String: String]) {
            for (name, value) in environment.sorted(by: { $0.key < $1.key }) where name.hasPrefix("MARTLET_") {
                guard let definition = SettingsTable.byEnvironmentName[name] else {
                    let names = SettingsTable.byEnvironmentName.keys
                    warn("environment \(name): there is no such setting\(Spelling.suggestion(for: name, among: names))")
                    continue
                }
                set(definition, value, as: name, origin: .environment(name: name))
            }
        }

        mutating func read(commandLine: [String]) {
            for argument in commandLine {
                guard let separator = argument.firstIndex(of: "=") else {
                    problems.append("command line: \"\(argument)\" is not of the form key=value")
                    continue
                }
                apply(key: argument[..<separator].trimmingWhitespace(),
                      value: argument[argument.index(after: separator)...].trimmingWhitespace(), origin: .commandLine)
            }
        }

        private mutating func apply(key: String, value: String, origin: SettingOrigin) {
            let name = key.lowercased()
            if let definition = SettingsTable.byName[name] {
                set(definition, value, as: key, origin: origin)
            } else if let remark = KnownKeys.remark(for: name) {
                result.remarks.append(.init(kind: .notice, text: "\(origin): \(key) \(remark)"))
            } else {
                warn("\(origin): there is no setting \(key)\(Spelling.suggestion(for: name, among: SettingsTable.byName.keys))")
            }
        }

        private mutating func set(_ definition: SettingDefinition, _ value: String, as name: String, origin: SettingOrigin) {
            guard definition.assign(&result.settings, value) else {
                problems.append("\(origin): \(name) = \"\(value.prefix(200))\" is not allowed; it must be \(definition.allowed)")
                return
            }
            if case .file(let path, let line) = result.origins[definition.key], case .file(path, _) = origin {
                warn("\(origin): \(name) is given again and replaces line \(line)")
            }
            result.origins[definition.key] = origin
        }

        private mutating func warn(_ text: String) {
            result.remarks.append(.init(kind: .warning, text: text))
        }

        /// What no single value shows to be wrong.
        mutating func crossCheck() {
            let settings = result.settings
            if settings.mediaPortFrom != 0, settings.mediaPortTo < settings.mediaPortFrom {
                report("media_port_to", "lies below media_port_from = \(settings.mediaPortFrom)")
            }
            if settings.reactors > 0, settings.mediaPortFrom != 0,
                settings.mediaPortTo - settings.mediaPortFrom + 1 < settings.reactors {
                report("media_port_to", "leaves fewer than \(settings.reactors) ports for reactors = \(settings.reactors)")
            }
            if settings.agentReconnectDelayMax < settings.agentReconnectDelayMin {
                report("wcs_agent_reconnect_delay_max", "lies below wcs_agent_reconnect_delay_min = \(settings.agentReconnectDelayMin)")
            }
            if settings.certificateFile.isEmpty != settings.privateKeyFile.isEmpty {
                report(settings.certificateFile.isEmpty ? "ssl_certificate_file" : "ssl_private_key_file",
                       "is missing: certificate and private key go together")
            }
            if !settings.restAuthDisabled, settings.restUsersFile.isEmpty {
                report("rest_users", "is missing: disable_rest_auth=false needs a file of users")
            }
            var taken: [Int: String] = [:]
            for (key, port) in [("ws.port", settings.websocketPort), ("wss.port", settings.secureWebsocketPort),
                                ("http.port", settings.httpPort), ("https.port", settings.httpsPort),
                                ("rtmp.port", settings.rtmpPort), ("rtmps.port", settings.rtmpsPort)] where port > 0 {
                if let other = taken[port] { report(key, "is \(port), as \(other) is already") }
                taken[port] = key
            }
        }

        private mutating func report(_ key: String, _ reason: String) {
            let origin = result.origins[key] ?? .builtIn
            problems.append("\(origin): \(key) \(reason)")
        }
    }
}
