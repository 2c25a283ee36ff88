// SPDX-License-Identifier: Apache-2.0
import Testing
@testable import RTMP

struct FLVTests {
    @Test("H.264 in its old form, with B-frames")
    func plainVideo() throws {
        let tag = try #require(try VideoTag([0x27, 1, 0xff, 0xff, 0xd8, 9]))
        #expect(tag.codec == .avc && !tag.isKeyFrame && tag.content == .frame && tag.compositionTime == -40 && tag.offset == 5)
        #expect(try VideoTag([0x17, 0, 0, 0, 0])?.content == .configuration)
        #expect(try VideoTag([]) == nil)
    }

    @Test("the enhanced form")
    func enhancedVideo() throws {
        let fourCC = Array("hvc1".utf8)
        #expect(try VideoTag([0x90] + fourCC + [1])?.content == .configuration)
        let frame = try #require(try VideoTag([0xa1] + fourCC + [0, 0, 40, 7]))
        #expect(frame.codec == .hevc && !frame.isKeyFrame && frame.compositionTime == 40 && frame.offset == 8)
        #expect(try VideoTag([0x93] + Array("av01".utf8) + [1]) == VideoTag(codec: .av1, isKeyFrame: true, content: .frame, offset: 5))
        // An extension in front (ModEx): its size, its bytes, then the real type.
        #expect(try VideoTag([0x97, 2, 1, 2, 3, 0x01] + Array("vp09".utf8) + [5])?.offset == 10)
    }

    @Test("what is not taken is named", arguments: [
        ([0x96, 0x30], "form 3"), ([0x91, 0x41, 0x42, 0x43, 0x44], "ABCD"), ([0x22, 0], "Sorenson"), ([0x24], "VP6"),
    ] as [([UInt8], String)])
    func refusedVideo(payload: [UInt8], word: String) {
        #expect { try VideoTag(payload) } throws: { "\($0)".contains(word) }
    }

    @Test("sound in its forms")
    func audio() throws {
        #expect(try AudioTag([0xaf, 0, 0x12, 0x10]) == AudioTag(codec: .aac, content: .configuration))
        let mono = try #require(try AudioTag([0x72, 1])), stereo = try #require(try AudioTag([0x83, 1, 2]))
        #expect(mono.codec == .g711A && !mono.isStereo && stereo.codec == .g711U && stereo.isStereo)
        #expect(try AudioTag([0xb2, 1])?.codec == .speex)
        #expect(try AudioTag([0x91] + Array("Opus".utf8) + [1]) == AudioTag(codec: .opus, content: .frame, offset: 5))
        #expect { try AudioTag([0x2f, 1]) } throws: { "\($0)".contains("MP3") }
    }

    @Test("of a message with several tracks the first is read, in each of the three forms, also behind an extension")
    func multitrack() throws {
        // One track, not the first.
        let second = try #require(try AudioTag([0x95, 0x01] + Array("mp4a".utf8) + [1, 7, 8]))
        #expect(second.content == .frame && second.trackID == 1 && !second.hasOtherTracks)
        // Several of one codec: each with its number and length.
        let payload = [0x97, 0, 9, 0x05, 0x11] + Array("mp4a".utf8) + [2, 0, 0, 1, 6, 0, 0, 0, 2, 7, 8, 1, 0, 0, 1, 9]
        let several = try #require(try AudioTag(payload))
        #expect(several.trackID == 0 && several.hasOtherTracks && several.codec == .aac && Array(payload[several.body(of: payload)]) == [7, 8])
        // Several of several codecs; the other's need not be known.
        let video = [0xa6, 0x21] + Array("wxyz".utf8) + [1, 0, 0, 1, 9] + Array("avc1".utf8) + [0, 0, 0, 5, 0, 0, 40, 7, 8]
        let mixed = try #require(try VideoTag(video))
        #expect(mixed.codec == .avc && mixed.compositionTime == 40 && mixed.trackID == 0 && Array(video[mixed.body(of: video)]) == [7, 8])
        for end in 1..<payload.count - 1 { _ = try? AudioTag(Array(payload[..<end])) }
        for end in 1..<video.count { _ = try? VideoTag(Array(video[..<end])) }
    }

    @Test("a command for the player has no codec")
    func command() throws {
        #expect(try VideoTag([0xd1, 0])?.content == .other)
    }

    @Test("heads that end too early are errors, never crashes")
    func short() {
        for payload in [[0x17], [0x91], [0x97], [0x97, 255], [0x97, 255, 0], [0x97, 3, 0], [0xa1, 0x68, 0x76, 0x63, 0x31, 0]] as [[UInt8]] {
            #expect(throws: RTMPError.self) { try VideoTag(payload) }
        }
    }

    @Test("an AVC configuration is read and written")
    func configuration() throws {
        let record: [UInt8] = [1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 5, 0x67, 0x64, 0, 0x1f, 0xac, 1, 0, 4, 0x68, 0xee, 0x3c, 0x80]
        let configuration = try AVCConfiguration(parsing: record)
        #expect(configuration.sequenceParameterSets == [[0x67, 0x64, 0, 0x1f, 0xac]] && configuration.lengthSize == 4)
        #expect(configuration.record == record)
        for end in 0..<record.count { #expect(throws: RTMPError.self) { try AVCConfiguration(parsing: record[..<end]) } }
    }
}
