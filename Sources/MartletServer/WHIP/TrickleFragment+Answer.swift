// SPDX-License-Identifier: Apache-2.0
// What a WHIP session answers to a PATCH that restarts ICE.
import MediaIO
import SDP

extension TrickleFragment {
    /// Our half of a restart, for the first m-line of the BUNDLE group.
    static func answer(_ restart: ICERestart, kind: String, mid: String) -> String {
        var lines = [
            "a=ice-lite", "a=ice-ufrag:\(restart.ufrag)", "a=ice-pwd:\(restart.password)", "m=\(kind) 9 UDP/TLS/RTP/SAVPF 0", "a=mid:\(mid)",
        ]
        lines += restart.candidates.map { "a=candidate:" + $0.attributeValue }
        lines.append("a=end-of-candidates")
        return lines.joined(separator: "\r\n") + "\r\n"
    }
}
