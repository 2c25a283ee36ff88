// SPDX-License-Identifier: Apache-2.0
// Packets of a stream for somebody inside the server who hands them on as RTP. Used by RTSP.
import Primitives
import RTP
import SDP

/// The reading end of a tap: one task calls `next`.
public final class PacketSubscription: Sendable {
    public let stream: StreamHandle
    /// As the tap numbers them; a converted one in the place of its source.
    public let tracks: [TrackFormat]
    /// Those of which nothing came when it began: there is no use in waiting for them.
    public let silent: Set<Int>
    private let pipe: PacketPipe
    private let signal: WakeSignal
    private let over: Flag

    init(stream: StreamHandle, tracks: [TrackFormat], silent: Set<Int> = [], pipe: PacketPipe, signal: WakeSignal) {
        self.stream = stream
        self.tracks = tracks
        self.silent = silent
        self.pipe = pipe
        self.signal = signal
        over = Flag()
    }

    /// What has come since the last call, as `TapRecord`s; `nil` when it is over. One task at a time.
    public func next() async -> [UInt8]? {
        while !over.isSet {
            let bytes = pipe.read()
            if !bytes.isEmpty { return bytes }
            await signal.wait()
        }
        return nil
    }

    /// Records that found no room because the reader was slow.
    public var dropped: Int { pipe.droppedRecords }

    /// Ends it; the reader is woken.
    public func finish() {
        over.set()
        signal.set()
    }
}

extension StreamTapping {
    /// Subscribes to a stream's packets. End it with `removeEndpoint` and `finish`.
    public func packets(
        of stream: StreamHandle, choice: TapChoice = TapChoice(), backlog: TimeSpan = .seconds(2)
    ) async throws(EngineError) -> (id: EndpointID, subscription: PacketSubscription) {
        var choice = choice
        choice.beginsTogether = true
        choice.isForPlayer = true
        let signal = WakeSignal()
        let pipe = PacketPipe(onData: { signal.set() })
        let tap = try await tap(stream, into: pipe, backlog: backlog, choice: choice)
        return (tap.id, PacketSubscription(stream: stream, tracks: tap.tracks, silent: tap.silent, pipe: pipe, signal: signal))
    }
}
