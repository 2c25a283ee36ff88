// The header extensions and feedback that the forwarding path knows, looked up in what was agreed for an m-line.
import SDP

/// Header extensions that Martlet reads or writes.
enum HeaderExtension: String {
    case mid = "urn:ietf:params:rtp-hdrext:sdes:mid"
    case audioLevel = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
    case videoOrientation = "urn:3gpp:video-orientation"
    case playoutDelay = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
    case transportSequence = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
}

extension NegotiatedMedia {
    /// The id of `uri` on this wire when it fits the one-byte form; 0 when not agreed on.
    func extensionID(_ uri: HeaderExtension) -> UInt8 {
        guard let id = extensions[uri.rawValue], (1...14).contains(id) else { return 0 }
        return id
    }
}
