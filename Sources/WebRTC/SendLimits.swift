// SPDX-License-Identifier: Apache-2.0
// Bitrate limits of a publisher as its answer tells them. Made from the request, written by PeerConnection.
import SDP

/// Limits of what the other side sends as video, bit/s; 0 = not set.
public struct SendLimits: Sendable, Equatable {
    public var minimum: Int
    public var start: Int
    public var maximum: Int

    public init(minimum: Int = 0, start: Int = 0, maximum: Int = 0) {
        self.minimum = minimum
        self.start = start
        self.maximum = maximum
    }

    /// Writes them into the video sections of our answer. Chromium obeys `b=AS` and the `x-google-…` parameters (kbit/s) of the
    /// codec, Firefox `b=TIAS`.
    func write(to description: inout SessionDescription) {
        guard self != SendLimits() else { return }
        for i in description.media.indices where description.media[i].kind == .video && !description.media[i].rejected {
            if maximum > 0 {
                description.media[i].bandwidth = [.init(type: "AS", value: max(1, maximum / 1000)), .init(type: "TIAS", value: maximum)]
            }
            guard !description.media[i].codecs.isEmpty else { continue }
            for (key, value) in [("min", minimum), ("start", start), ("max", maximum)] where value > 0 {
                description.media[i].codecs[0].parameters["x-google-\(key)-bitrate"] = String(max(1, value / 1000))
            }
        }
    }
}
