// SPDX-License-Identifier: Apache-2.0
import Testing
@testable import RTMP

struct RTMPURLTests {
    @Test("parameters of the connection and of the stream")
    func parameters() throws {
        let url = try #require(RTMPURL("rtmp://host:1936/live?connectParam=a%20b/name?streamParam=c/d"))
        #expect(url.host == "host" && url.port == 1936 && url.app == "live" && url.stream == "name")
        #expect(RTMPURL.parameters(of: url.connectQuery) == ["connectParam": "a b"])
    }

    @Test("addresses as people write them", arguments: [
        ("rtmp://h/live/cam", "live", "cam", 1935), ("rtmps://h/live/cam", "live", "cam", 443), ("rtmp://[::1]:5/a/b/cam", "a/b", "cam", 5),
        ("rtmp://h/live/cam?key=1", "live", "cam", 1935), ("rtmp://u:p%40@h/live", "live", "", 1935),
    ])
    func forms(text: String, app: String, stream: String, port: Int) throws {
        let url = try #require(RTMPURL(text))
        #expect(url.app == app && url.stream == stream && url.port == port)
        if text.contains("@") { #expect(url.user == "u" && url.password == "p@" && !url.description.contains("p@")) }
    }

    @Test("what is no address", arguments: ["", "http://h/live", "rtmp://", "rtmp://h:0/x", "rtmp://h:99999/x", "rtmp:/h"])
    func bad(text: String) { #expect(RTMPURL(text) == nil) }
}
