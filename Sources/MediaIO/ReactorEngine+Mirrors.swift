// SPDX-License-Identifier: Apache-2.0
// A stream with more players than one core should carry: further ones are put on other reactors, each with a mirror of the stream that the
// home reactor feeds once, however many players it has (docs/architecture.md, "Large streams").
import MediaGraph
import Primitives
import SDP

extension ReactorEngine {
    /// Where a further player of `stream` belongs: the stream itself, or its mirror on a less busy reactor.
    func place(_ stream: StreamHandle) async -> StreamHandle {
        guard reactors.count > 1, endpointCount.load(ordering: .relaxed) >= configuration.playersPerReactor else { return stream }
        let home = reactor(of: stream.rawValue)
        guard let other = reactors.filter({ $0 !== home }).min(by: { $0.load.load(ordering: .relaxed) < $1.load.load(ordering: .relaxed) }),
            other.load.load(ordering: .relaxed) < home.load.load(ordering: .relaxed)
        else { return stream }
        let fresh = StreamHandle(rawValue: newID(on: other))
        let enough = configuration.playersPerReactor, gap = configuration.keyFrameRequestGap
        let mirror = await home.run { core -> StreamHandle? in
            guard let stream = core.stream(stream), stream.isReady, stream.playerCount >= enough else { return nil }
            return core.mirror(of: stream, on: other, home: home, as: fresh, keyFrameGap: gap)
        }
        return (mirror ?? nil) ?? stream
    }

    /// Ends the mirrors of a stream that has ended.
    func remove(_ mirrors: [StreamHandle]) async {
        for mirror in mirrors {
            let reactor = reactor(of: mirror.rawValue)
            release(await reactor.run { $0.removeStream(mirror) } ?? 0, on: reactor)
        }
    }
}

extension ReactorCore {
    /// The mirror of `stream` on `other`, made when there is none. On the home reactor.
    ///
    /// - Parameter fresh: the handle of a new one.
    fileprivate func mirror(
        of stream: MediaStream, on other: Reactor, home: Reactor, as fresh: StreamHandle, keyFrameGap: TimeSpan
    ) -> StreamHandle {
        // Handles carry their reactor in the top byte.
        let isThere = { (mirror: StreamMirror) in mirror.handle.rawValue >> 56 == fresh.rawValue >> 56 }
        if let known = stream.mirrors.first(where: isThere) { return known.handle }
        let link = MirrorLink { other.post { $0.receiveMirrored(fresh) } }
        let tracks = stream.forms.map(MirroredTrack.init), original = stream.handle, withholdsSilence = stream.withholdsSilence
        // What is posted first is done first: the mirror exists before anything arrives for it, players included.
        other.post { core in
            let mirror = core.addStream(fresh)
            if withholdsSilence { mirror.withholdSilence() }
            core.mirrorSources[fresh.rawValue] = MirrorSource(stream: mirror, tracks: tracks, link: link, keyFrameGap: keyFrameGap) { number in
                home.post { core in
                    guard let stream = core.stream(original), let track = stream.forms.first(where: { $0.number == number }) else { return }
                    stream.requestKeyFrame(of: track, arena: core.arena, at: core.now)
                }
            }
        }
        var mirror = StreamMirror(handle: fresh, link: link)
        mirror.follow(stream, arena: arena, at: now)
        stream.mirrors.append(mirror)
        return fresh
    }

    /// Lets everybody who watches a stream go on with the tracks that it has now, on other reactors as well. On the home reactor.
    ///
    /// - Returns: whether anything was different.
    @discardableResult
    func settleTracks(of stream: MediaStream) -> Bool {
        guard stream.settleTracks(arena: arena, at: now) else { return false }
        let tracks = stream.forms.map(MirroredTrack.init)
        for number in stream.mirrors.indices where !stream.mirrors[number].shows(stream) {
            let handle = stream.mirrors[number].handle
            // Posted before anything of the new tracks is announced.
            let index = Int(handle.rawValue >> 56)
            guard peers.indices.contains(index) else { continue }
            peers[index].post { core in
                guard let source = core.mirrorSources[handle.rawValue] else { return }
                source.setTracks(tracks)
                source.stream.settleTracks(arena: core.arena, at: core.now)
            }
            stream.mirrors[number].follow(stream, arena: arena, at: now)
        }
        return true
    }

    fileprivate func receiveMirrored(_ handle: StreamHandle) {
        guard let source = mirrorSources[handle.rawValue] else { return }
        source.receive(arena: arena, at: now)
        touch(source.stream)
    }
}
