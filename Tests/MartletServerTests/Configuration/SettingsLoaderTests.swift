// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import MartletServer

struct SettingsLoaderTests {
    /// Writes a properties file that is gone after the test.
    private func withFile<T>(_ text: String, _ body: (String) throws -> T) throws -> T {
        let path = NSTemporaryDirectory() + "martlet-settings-\(UUID().uuidString).properties"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    private func problems(_ text: String) throws -> [String] {
        try withFile(text) { path in
            do throws(SettingsError) {
                _ = try SettingsLoader.load(file: path)
                return []
            } catch {
                return error.problems.map { $0.replacingOccurrences(of: path, with: "FILE") }
            }
        }
    }

    @Test("without any source the documented defaults are in force")
    func defaults() throws {
        let settings = try SettingsLoader.load().settings
        #expect(settings == Settings())
        #expect(settings.websocketPort == 8080)
        #expect(settings.secureWebsocketPort == 8443)
        #expect(settings.httpPort == 8081)
        #expect(settings.httpsPort == 8444)
        #expect(settings.keepAliveInterval == 5000)
        #expect(settings.keepAliveProbes == 10)
    }

    @Test("the command line beats the environment, which beats the file, which beats the default")
    func precedence() throws {
        try withFile("ws.port = 1001\nwss.port=1002\nhttp.port=1003\n") { path in
            let loaded = try SettingsLoader.load(
                file: path, environment: ["MARTLET_WSS_PORT": "2002", "MARTLET_HTTP_PORT": "2003", "PATH": "/bin"],
                commandLine: ["http.port=3003"])
            #expect(loaded.settings.websocketPort == 1001)
            #expect(loaded.settings.secureWebsocketPort == 2002)
            #expect(loaded.settings.httpPort == 3003)
            #expect(loaded.settings.httpsPort == 8444)
            #expect(loaded.origins["ws.port"] == .file(path: path, line: 1))
            #expect(loaded.origins["wss.port"] == .environment(name: "MARTLET_WSS_PORT"))
            #expect(loaded.origins["http.port"] == .commandLine)
            #expect(loaded.origins["https.port"] == nil)
            #expect(loaded.remarks.isEmpty)
        }
    }

    @Test("a flashphoner.properties file is read with comments, spaces, CRLF and keys that have no effect here")
    func vendorFile() throws {
        let text = "#server ip\r\nip =203.0.113.7\r\nip_local =10.0.0.1\r\n\r\n! ports\r\nmedia_port_from        =31001\r\n"
            + "media_port_to          =32000\r\ncodecs =opus,alaw,ulaw,h264,vp8\r\nrtsp.port=554\r\nwcs_agent_ssl=true\r\nhls_list_size=8\r\n"
        try withFile(text) { path in
            let loaded = try SettingsLoader.load(file: path)
            #expect(loaded.settings.publicAddresses == ["203.0.113.7"])
            #expect(loaded.settings.agentSSL)
            #expect(loaded.settings.rtspPort == 554)
            #expect(loaded.remarks.count == 3)
            #expect(loaded.remarks.allSatisfy { $0.kind == .notice })
            #expect(loaded.remarks.contains { $0.text.hasPrefix("\(path):3: ip_local has no effect here") })
        }
    }

    @Test("a bad value stops the start with file, line, key and what is allowed")
    func badValue() throws {
        #expect(try problems("# x\n\nws.port=80a\n") == [
            "FILE:3: ws.port = \"80a\" is not allowed; it must be a port from 1 to 65535, 0 for any free one or -1 for off"
        ])
        #expect(try problems("wcs_agent_ssl=maybe").first?.contains("true or false") == true)
        #expect(try problems("keep_alive.probes=0").first?.contains("from 1 to 1000") == true)
        #expect(try problems("codecs_video=H264,MJPEG").first?.contains("H264, VP8, VP9, AV1") == true)
        #expect(try problems("log_level=loud").first?.contains("trace, debug, info") == true)
        #expect(try problems("ip=256.1.1.1").count == 1)
        #expect(try problems("ws.port").first?.hasPrefix("FILE:1: \"ws.port\" is not of the form key=value") == true)
        #expect(try problems("=8080").count == 1)
    }

    @Test("all problems are told at once")
    func severalProblems() throws {
        #expect(try problems("ws.port=x\nhttp.port=y\nreactors=-1\n").count == 3)
    }

    @Test("an unknown key is warned about with the nearest known one, and does not stop the start")
    func unknownKey() throws {
        let loaded = try SettingsLoader.load(environment: ["MARTLET_HTP_PORT": "1"], commandLine: ["ws.prot=9000", "rtsp_prot=1", "zebra=1"])
        #expect(loaded.settings.websocketPort == 8080)
        #expect(loaded.remarks.map(\.text) == [
            "environment MARTLET_HTP_PORT: there is no such setting; did you mean MARTLET_HTTP_PORT?",
            "command line: there is no setting ws.prot; did you mean ws.port?",
            "command line: there is no setting rtsp_prot; did you mean rtsp.port?",
            "command line: there is no setting zebra",
        ])
        #expect(loaded.remarks.allSatisfy { $0.kind == .warning })
    }

    @Test("a missing file stops the start and is named")
    func missingFile() {
        #expect(throws: SettingsError(problems: ["/nowhere/x.properties: the settings file can't be found"])) {
            try SettingsLoader.load(file: "/nowhere/x.properties")
        }
    }

    @Test("settings that contradict each other stop the start")
    func contradictions() throws {
        #expect(try problems("media_port_from=40000\nmedia_port_to=39000") == ["FILE:2: media_port_to lies below media_port_from = 40000"])
        #expect(try problems("http.port=8080").first?.contains("http.port is 8080, as ws.port is already") == true)
        #expect(try problems("ssl_certificate_file=a.pem").first?.contains("certificate and private key go together") == true)
        #expect(try problems("disable_rest_auth=false").first?.contains("rest_users is missing") == true)
        #expect(try problems("http.port=0\nhttps.port=0\nws.port=-1\nwss.port=-1") == [])
    }

    @Test("a key given twice in a file is warned about, and the later one counts")
    func duplicate() throws {
        try withFile("reactors=1\nreactors=2\n") { path in
            let loaded = try SettingsLoader.load(file: path)
            #expect(loaded.settings.reactors == 2)
            #expect(loaded.remarks.map(\.text) == ["\(path):2: reactors is given again and replaces line 1"])
        }
    }

    @Test("lists are split, aliases understood, codecs spelled as SDP spells them")
    func listsAndAliases() throws {
        let settings = try SettingsLoader.load(commandLine: [
            "ip=203.0.113.1, media.example.org", "codecs_video=vp8,h264,VP8", "codecs_audio=ulaw,OPUS", "WS.PORT=9",
            "wss.certificate.file=c.pem", "wss.private_key.file=k.pem", "periodic_fir_request=on",
        ]).settings
        #expect(settings.publicAddresses == ["203.0.113.1", "media.example.org"])
        #expect(settings.videoCodecs == ["VP8", "H264"])
        #expect(settings.audioCodecs == ["PCMU", "opus"])
        #expect(settings.websocketPort == 9)
        #expect(settings.certificateFile == "c.pem")
        #expect(settings.periodicKeyFrameRequest)
    }

    @Test("a header list with a line break can't get into the settings")
    func headerInjection() throws {
        #expect(throws: SettingsError.self) {
            try SettingsLoader.load(commandLine: ["rest_access_control_allow_origin=*\r\nSet-Cookie: a=b"])
        }
        #expect(throws: SettingsError.self) { try SettingsLoader.load(commandLine: ["rest_access_control_headers=no colon"]) }
    }

    @Test("a line ending in a backslash goes on in the next one")
    func continuation() throws {
        try withFile("codecs_video=VP8,\\\n  H264\nws.port=7") { path in
            let settings = try SettingsLoader.load(file: path).settings
            #expect(settings.videoCodecs == ["VP8", "H264"])
            #expect(settings.websocketPort == 7)
        }
    }
}
