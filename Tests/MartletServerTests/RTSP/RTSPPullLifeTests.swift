// SPDX-License-Identifier: Apache-2.0
import Primitives
import RTSP
import Testing

@testable import MartletServer

struct RTSPPullLifeTests {
    private func at(_ seconds: Int64) -> Instant { Instant(milliseconds: seconds * 1000) }

    @Test("a first attempt that fails is answered, and not made again")
    func first() {
        var life = RTSPPullLife(longestGap: nil, idleTimeout: nil)
        #expect(life.linkEnded(.unreachable("x"), media: nil, at: at(1)) == .end(.unreachable("x")))
        #expect(life.status == .new)
    }

    @Test("a camera that has played is called again for as long as it takes, whatever it says, with growing pauses", arguments: [
        RTSPPullEnd.unreachable("x"), .silent(nil), .malformed("x"), .client(.notFound), .client(.refused(status: 503, "")), .client(.ended),
        .client(.noUsableCodec([])), .client(.badDescription("")), .client(.redirected("")),
    ])
    func again(_ end: RTSPPullEnd) {
        var life = RTSPPullLife(longestGap: nil, idleTimeout: nil)
        life.plays()
        var pauses: [Int64] = []
        for step in 0..<8 {
            guard case .callAgain(let wait) = life.linkEnded(end, media: nil, at: at(Int64(step) * 86_400)) else { Issue.record("given up"); return }
            pauses.append(wait.milliseconds)
            #expect(life.status == .reconnecting)
        }
        #expect(pauses == [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000] && life.reconnects == 8)
        // After media for a while it is called at once again; after some that broke off it isn't.
        life.plays()
        #expect(life.linkEnded(end, media: .seconds(1), at: at(1)) == .callAgain(after: .seconds(10)))
        life.plays()
        #expect(life.linkEnded(end, media: .seconds(9), at: at(1)) == .callAgain(after: .milliseconds(500)))
    }

    @Test("a refused login is tried rarely")
    func login() {
        var life = RTSPPullLife(longestGap: nil, idleTimeout: nil)
        life.plays()
        #expect(life.linkEnded(.client(.unauthorized), media: nil, at: at(1)) == .callAgain(after: .seconds(30)))
    }

    @Test("a camera that can't be had is given up after a time that was set, counted from its last media")
    func gap() {
        var life = RTSPPullLife(longestGap: .seconds(60), idleTimeout: nil)
        life.plays()
        #expect(life.linkEnded(.silent(nil), media: .seconds(9), at: at(100)) != .end(.silent(nil)))
        #expect(life.linkEnded(.silent(nil), media: nil, at: at(160)) != .end(.silent(nil)))
        #expect(life.linkEnded(.silent(nil), media: .zero, at: at(170)) != .end(.silent(nil)))
        #expect(life.linkEnded(.silent(nil), media: nil, at: at(231)) == .end(.silent(nil)))
    }

    @Test("what is decided on this side holds, the first of it")
    func ended() {
        var life = RTSPPullLife(longestGap: nil, idleTimeout: nil)
        life.plays()
        life.end(.terminated)
        life.end(.idle)
        #expect(life.linkEnded(.silent(nil), media: .seconds(1), at: at(1)) == .end(.terminated))
        var other = RTSPPullLife(longestGap: nil, idleTimeout: nil)
        other.plays()
        #expect(other.linkEnded(.local(.alreadyEnded), media: nil, at: at(1)) == .end(.local(.alreadyEnded)))
    }

    @Test("a stream that a player asked for ends some time after the last one; one by REST stays")
    func audience() {
        var life = RTSPPullLife(longestGap: nil, idleTimeout: .seconds(10))
        // Who asked for it isn't there before the first attempt has come to something.
        #expect(!life.note(players: 0, at: at(0)) && !life.note(players: 0, at: at(100)))
        life.plays()
        #expect(!life.note(players: 0, at: at(100)) && !life.note(players: 0, at: at(109)))
        #expect(!life.note(players: 1, at: at(110)) && !life.note(players: 0, at: at(111)))
        #expect(life.note(players: 0, at: at(121)) && life.ending == .idle)
        var stays = RTSPPullLife(longestGap: nil, idleTimeout: nil)
        stays.plays()
        #expect(!stays.note(players: 0, at: at(0)) && !stays.note(players: 0, at: at(1_000_000)))
    }

    @Test("a link is given up when no media comes in time, and signs of life go out on theirs")
    func watch() {
        var watch = RTSPLinkWatch(activityTimeout: .seconds(10), at: at(0))
        #expect(watch.tick(at: at(1), signOfLifeInterval: .seconds(2)).isEmpty && watch.media == nil)
        #expect(watch.tick(at: at(2), signOfLifeInterval: .seconds(2)) == [.signOfLife])
        #expect(watch.tick(at: at(3), signOfLifeInterval: .seconds(2)).isEmpty)
        #expect(watch.tick(at: at(5), signOfLifeInterval: .seconds(2)) == [.signOfLife, .receiverReport])
        watch.noteMedia(at: at(8))
        watch.noteMedia(at: at(9))
        #expect(watch.tick(at: at(19), signOfLifeInterval: .seconds(60)) == [.receiverReport])
        #expect(watch.tick(at: at(20), signOfLifeInterval: .seconds(2)) == [.giveUp] && watch.media == .seconds(1))
    }
}
