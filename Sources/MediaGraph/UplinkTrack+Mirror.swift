// SPDX-License-Identifier: Apache-2.0
// A track of a large stream and its copies on other reactors: what goes over the link between them. Each half on its own reactor.
import Primitives

extension UplinkTrack {
    /// From now on `link` gets what the players get. It starts with the newest group of pictures, so that players there can start at once.
    func addMirror(_ link: MirrorLink, arena: SendArena, at now: Instant) {
        flush(into: arena, at: now)
        mirrors.append(link)
        if let first = ring.joinPoint {
            for sequence in first.pointee.sequence...ring.newest {
                if let slot = ring.slot(sequence) { link.put(slot, ring.bytes(of: slot), track: number) }
            }
        }
        reportToMirror(link)
        link.announce()
    }

    public func removeMirror(_ link: MirrorLink) { mirrors.removeAll { $0 === link } }

    @inline(never)
    func feedMirrors(_ count: Int) {
        for link in mirrors {
            for i in 0..<count { link.put(outgoing[i].slot, ring.bytes(of: outgoing[i].slot), track: number) }
            link.announce()
        }
    }

    func reportToMirror(_ link: MirrorLink) {
        guard reportedNTP != 0 else { return }
        link.putReport(ntp: reportedNTP, timestamp: reportedTimestamp, arrival: reportArrival, track: number)
    }
}
