// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import StreamClients

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo", abstract: "Two servers on this machine: publish on the first, push to the second by REST, play it there.")

    @Flag(help: "Unattended: stop after the checks, print one JSON line of figures last, exit 0 only if every step held.")
    var check = false

    @Option(help: "Folder for the two nodes' state and logs.")
    var folder = "./var/demo"

    func run() async throws {
        guard await Demo(isCheck: check, folder: folder).run() else { throw ExitCode(1) }
    }
}
