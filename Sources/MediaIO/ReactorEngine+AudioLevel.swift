// SPDX-License-Identifier: Apache-2.0
// Who speaks, and keeping the silence of streams from their players. Any thread; carried out on the home reactors.
import MediaGraph

extension ReactorEngine {
    public func audioLevels(of streams: [StreamHandle]) async -> [StreamHandle: UInt8] {
        var all: [StreamHandle: UInt8] = [:]
        for (index, part) in Dictionary(grouping: streams, by: { $0.rawValue >> 56 }) {
            let levels = await reactor(of: index << 56).run { core in
                part.compactMap { handle in core.stream(handle)?.audioLevel(at: core.now).map { (handle, $0) } }
            }
            for (handle, level) in levels ?? [] { all[handle] = level }
        }
        return all
    }

    public func withholdSilence(of stream: StreamHandle) {
        reactor(of: stream.rawValue).post { $0.stream(stream)?.withholdSilence() }
    }
}
