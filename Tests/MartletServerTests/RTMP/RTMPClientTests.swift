// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MartletServer

@Suite struct RTMPClientTests {
    @Test("refusals that trying again doesn't change are told from those that pass", arguments: [
        ("NetConnection.Connect.Rejected", "", true), ("NetStream.Publish.Denied", "no", true), ("_error", "Authentication failed", true),
        ("NetStream.Publish.BadName", "Already publishing", false), ("NetConnection.Connect.AppShutdown", "", false), ("close", "the server closed the connection", false),
    ])
    func refusals(code: String, description: String, isLasting: Bool) {
        #expect(RTMPClient.isLasting(code: code, description: description) == isLasting)
    }
}
