// SPDX-License-Identifier: Apache-2.0
// The executable: its commands, nothing else. Each command has its own file.
import ArgumentParser
import MartletServer

@main
struct Martlet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "A real-time media server: browsers and encoders publish, it fans out.",
        version: Version.current,
        subcommands: [
            RunCommand.self, DemoCommand.self, PublishCommand.self, PlayCommand.self, BenchCommand.self, ConfigCommand.self, VersionCommand.self,
            MixCommand.self, RelayCommand.self, WorkerCommand.self,
        ])
}
