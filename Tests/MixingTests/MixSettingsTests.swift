// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Mixing

struct MixSettingsTests {
    private func settings(_ text: String) throws(MixError) -> MixSettings { try MixSettings(json: Data(text.utf8)) }

    @Test("the vendor's own file is taken, with truth values as texts")
    func vendors() throws {
        let settings = try settings(#"{"hasVideo": "true", "hasAudio": "false", "mixerDisplayStreamName": true}"#)
        #expect(settings.hasVideo && !settings.hasAudio && settings.displaysNames)
        #expect(try self.settings("{}") == MixSettings())
    }

    @Test("every key does something, and numbers may be texts")
    func everyKey() throws {
        let all = try settings("""
            {"hasVideo": true, "hasAudio": 1, "mixerDisplayStreamName": "false", "mixerNameSource": "STREAM", "mixerVideoWidth": "641",
             "mixerVideoHeight": 480, "mixerVideoFps": 25, "mixerVideoBitrateKbps": "500", "mixerAudioBitrateKbps": 64, "mixerLayout": "Desktop",
             "mixerDesktopAlign": "left", "mixerDesktopStreamName": ["board"], "mixerFont": "DejaVu Sans", "mixerFontSize": 14,
             "mixerFontSizeAudioOnly": 30, "mixerVoiceActivity": false, "mixerVoiceActivityFrameThickness": 3,
             "mixerAudioSilenceThreshold": "-40.5", "mixerVideoThreads": 1, "mixerMaxInputPixels": 100000, "mixerTimeLimitMinutes": "5", "mixerMemoryLimitMb": 1024, "callbackUrl": "https://backend.example/mixed", "mixerLayoutClass": null}
            """)
        #expect(!all.displaysNames && all.label == .stream && (all.width, all.height) == (640, 480) && all.frameRate == 25)
        #expect(all.videoBitrate == 500_000 && all.audioBitrate == 64_000 && all.layout == .desktop && all.desktopAlign == .left)
        #expect(all.isScreen("my-BOARD-1") && !all.isScreen("desktop") && all.font == "DejaVu Sans" && all.fontSize == 14)
        #expect(all.audioOnlyFontSize == 30 && !all.marksSpeaker && all.speakerFrame == 3 && all.silenceThreshold == -40.5 && all.threads == 1)
        #expect(all.callbackURL?.host == "backend.example")
        for key in MixSettings.keys { #expect(throws: MixError.self, "\(key)") { try self.settings("{\"\(key)\": {}}") } }
    }

    @Test("the vendor's layout classes are known by their names")
    func layoutClasses() throws {
        #expect(try settings(#"{"mixerLayoutClass": "com.flashphoner.media.mixer.video.presentation.GridLayout"}"#).layout == .grid)
        #expect(try settings(#"{"mixerLayoutClass": "CenterNoPaddingGridLayout"}"#).layout == .centre)
    }

    @Test("what can't be right is refused, naming the key", arguments: [
        (#"{"mixerVideoWidth": 100000}"#, "mixerVideoWidth"), (#"{"mixerVideoFps": 0}"#, "mixerVideoFps"), (#"{"hasVideo": "maybe"}"#, "hasVideo"),
        (#"{"mixerLayout": "circle"}"#, "mixerLayout"), (#"{"callbackUrl": "ftp://x"}"#, "callbackUrl"), (#"{"callbackUrl": "file:///etc/passwd"}"#, "callbackUrl"),
        (#"{"mixerFont": "a,&H00"}"#, "mixerFont"), (#"{"sizes": 1}"#, "sizes"), ("[]", "JSON"), ("{", "JSON"), ("", "JSON"),
        (#"{"mixerVideoFps": 29.97}"#, "mixerVideoFps"),
    ])
    func malformed(text: String, word: String) throws {
        do throws(MixError) {
            _ = try settings(text)
            Issue.record("taken")
        } catch {
            #expect(error.exitCode == 65 && "\(error)".contains(word))
        }
    }

    @Test("a file that is missing is an error of the settings")
    func missing() {
        #expect(throws: MixError.settings("The settings /nowhere/x.json can't be read.")) { try MixSettings(file: "/nowhere/x.json") }
    }
}
