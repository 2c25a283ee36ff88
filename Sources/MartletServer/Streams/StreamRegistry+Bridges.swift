// SPDX-License-Identifier: Apache-2.0
// Conversions on behalf of players and pushes that can't take a stream's codec.
import MediaIO
import RTP
import SDP
import Signalling
import Workers

extension StreamRegistry {
    /// Makes what a player's offer can't take into something that it can.
    /// - Returns: why its audio can't be converted to anything that it takes: it may still have the video. `nil` when nothing is missing.
    func convert(_ stream: StreamHandle, for request: StreamRequest, link: UInt64) async throws(StreamRefusal) -> StreamRefusal? {
        let forms = await engine.forms(of: stream)
        var missingAudio: StreamRefusal?
        for (track, targets) in Negotiation.conversionsNeeded(offer: request.sdp, tracks: forms) {
            do throws(StreamRefusal) {
                try await convert(stream, track: track, source: forms[track], toFirstOf: targets, for: request.mediaSessionID, link: link)
            } catch {
                // What is refused for now, or by a setting, stays refused.
                guard case .refused(.noCommonCodecs, _) = error, forms[track].kind == .audio else { throw error }
                missingAudio = error
            }
        }
        return missingAudio
    }

    /// Begins with what is wanted most; what can't be had doesn't stand in the way of what can.
    private func convert(
        _ stream: StreamHandle, track: Int, source: TrackFormat, toFirstOf targets: [String], for id: String, link: UInt64
    ) async throws(StreamRefusal) {
        var failure = StreamRefusal.refused(.noCommonCodecs, "no common codecs")
        for target in targets {
            do throws(StreamRefusal) {
                _ = try await convert(stream, track: track, source: source, to: CodecKind(encodingName: target), for: id, link: link)
                return
            } catch {
                guard case .refused(.noCommonCodecs, _) = error else { throw error }
                failure = error
            }
        }
        throw failure
    }

    /// The same for another server, which takes whatever WebRTC has.
    func convertForPush(_ stream: StreamHandle, _ id: String, link: UInt64) async throws(StreamRefusal) {
        let forms = await engine.forms(of: stream)
        for (index, form) in forms.enumerated() where form.converts == nil && !form.isRealTime {
            _ = try await convert(stream, track: index, source: form, to: form.kind == .video ? .h264 : .opus, for: id, link: link)
        }
    }

    /// - Returns: the conversion's id.
    func convert(
        _ stream: StreamHandle, track: Int, source: TrackFormat, to target: CodecKind, for id: String, link: UInt64
    ) async throws(StreamRefusal) -> EndpointID {
        guard let bridges = doors?.bridges else { throw .refused(.noCommonCodecs, "no common codecs") }
        let conversion: EndpointID
        do {
            conversion = try await bridges.acquire(stream, track: track, source: source, target: target, user: id, origin: publisherOrigin(of: stream, for: id),
                address: entries[id]?.owner.address)
        } catch {
            throw StreamRefusal(error)
        }
        guard entries[id]?.link == link else {
            await bridges.release(user: id)
            throw .alreadyEnded
        }
        entries[id]?.usesBridges = true
        return conversion
    }

    /// Whose media a stream carries.
    private func publisherOrigin(of stream: StreamHandle, for id: String) -> WorkerOrigin {
        let publisher = entries[id]?.publisherID.flatMap { entries[$0] } ?? entries.values.first { $0.record.isPublished && $0.stream == stream }
        return publisher?.owner.workerOrigin ?? WorkerOrigin(owner: "\(stream.rawValue)")
    }
}
