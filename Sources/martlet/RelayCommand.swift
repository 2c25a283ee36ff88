// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import NetworkRelay
import Primitives

/// A bad network to try things on: `martlet relay --to 127.0.0.1:31001 --both loss=5,delay=25`.
struct RelayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay", abstract: "Pass UDP on through a bad network, for tests.",
        discussion: """
            Prints {"port": …} and passes what comes there on to the target and back. The links are described by pairs such as
            loss=5,delay=25: loss, burst (loss in bursts), reorder and duplicate in per cent, burst-length in packets, delay,
            jitter and reorder-delay in ms, rate in kbit/s, queue in KiB. Lines on the standard input change them ("down
            rate=600", "both perfect"); the line "counters" prints what became of the datagrams. Ends with the input.
            """)

    @Option(help: "Where to: address:port (IPv4).") var to: String
    @Option(help: "Port to listen on; 0: any free one.") var port: UInt16 = 0
    @Option(help: "Seed of every loss and delay.") var seed: UInt64 = 1
    @Option(help: "The way to the target.") var up: String = ""
    @Option(help: "The way back.") var down: String = ""
    @Option(help: "Both ways.") var both: String = ""

    func run() throws {
        let parts = to.split(separator: ":")
        guard parts.count == 2, let port = UInt16(parts[1]), let target = SocketAddress(parts[0], port: port), !target.isIPv6 else {
            throw ValidationError("--to \(to): wanted is an IPv4 address and a port, such as 127.0.0.1:31001")
        }
        var relay = try UDPRelay(port: self.port, target: target, seed: seed)
        try relay.change(.both, both)
        try relay.change(.up, up)
        try relay.change(.down, down)
        say(#"{"port": \#(relay.port)}"#)
        var input: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            guard relay.turn(milliseconds: 1000, input: STDIN_FILENO) else { continue }
            let count = read(STDIN_FILENO, &chunk, chunk.count)
            guard count > 0 else { return }
            input += chunk[..<count]
            while let end = input.firstIndex(of: UInt8(ascii: "\n")) {
                obey(String(decoding: input[..<end], as: UTF8.self), &relay)
                input.removeSubrange(...end)
            }
        }
    }

    private func obey(_ line: String, _ relay: inout UDPRelay) {
        let words = line.split(separator: " ", maxSplits: 1).map(String.init)
        if words == ["counters"] {
            let (up, down) = relay.counters
            return say(#"{"up": \#(up.json), "down": \#(down.json)}"#)
        }
        guard let direction = words.first.flatMap(UDPRelay.Direction.init(rawValue:)) else {
            return say(#"{"error": "a line begins with up, down, both or counters"}"#)
        }
        do {
            try relay.change(direction, words.count > 1 ? words[1] : "")
            say("{}")
        } catch {
            say(#"{"error": "\#("\(error)".replacing("\"", with: "'"))"}"#)
        }
    }

    private func say(_ text: String) {
        print(text)
        fflush(nil)
    }
}
