// SPDX-License-Identifier: Apache-2.0
// Offer/answer (RFC 3264, RFC 8829) as pure functions: the server answers with them, agents offer and accept.
// This file holds what both directions share; see the +Answer, +Offer and +Accept files for the functions themselves.
import Primitives

/// Offer and answer without state: descriptions and our transport parameters in, `Negotiated` out.
public enum Negotiation {
    /// Header extensions that are accepted when nothing else is asked for. rtp-stream-id is left out: no simulcast.
    public static let supportedExtensions: Set<String> = [
        ExtensionURI.mid, ExtensionURI.audioLevel, ExtensionURI.absoluteSendTime,
        ExtensionURI.transportWideCC, ExtensionURI.videoOrientation, ExtensionURI.playoutDelay,
    ]

    /// RTCP feedback that is accepted.
    static let supportedFeedback: Set<String> = ["nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"]

    /// `name` reduced to characters that are safe in every SDP value. Stream names come from clients and may hold anything.
    static func token(_ name: String) -> String {
        var result = ""
        for scalar in name.unicodeScalars.prefix(64) {
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", ".", "_", "-": result.unicodeScalars.append(scalar)
            default: result.append("_")
            }
        }
        // "-" alone means "no stream" in a=msid.
        return result.isEmpty || result == "-" ? "stream" : result
    }

    /// An SSRC that is neither 0 nor in `taken`.
    static func freshSSRC(_ random: inout RandomSource, taken: inout Set<UInt32>) -> UInt32 {
        while true {
            let candidate = UInt32.random(in: 1...UInt32.max, using: &random)
            if taken.insert(candidate).inserted { return candidate }
        }
    }

    static func origin(_ random: inout RandomSource, address: String) -> SessionDescription.Origin {
        var origin = SessionDescription.Origin()
        origin.sessionID = String(random.next() >> 2)  // RFC 8829 §5.2.1: 63 bits at most
        origin.address = address
        return origin
    }

    /// The feedback of `codec` that both sides speak.
    static func feedback(of codec: Codec, in section: MediaDescription, extensions: [String: UInt8]) -> [String] {
        var offered = codec.feedback
        if offered.isEmpty, section.kind == .video {
            // The WCS SDK's stripCodecs deletes rtcp-fb lines of innocent payload types by numeric prefix, from the text only:
            // the browser still has them. What its other codecs say then holds for this one, too.
            offered = section.codecs.first { !$0.isAuxiliary && !$0.feedback.isEmpty }?.feedback ?? []
        }
        return offered.filter {
            supportedFeedback.contains($0) && ($0 != "transport-cc" || extensions[ExtensionURI.transportWideCC] != nil)
        }
    }

    /// The extensions of a section that are in `wanted` and work in our `direction`, with the identifiers of that section.
    static func extensions(
        of section: MediaDescription, wanted: Set<String>, direction: Direction, allowsTwoByte: Bool
    ) -> [ExtensionMap] {
        var used: Set<UInt8> = []
        var uris: Set<String> = []
        return section.extensions.filter { map in
            // 15 is reserved in the one-byte form, and above it only the two-byte form works (RFC 8285 §4.2).
            guard wanted.contains(map.uri), works(map.direction ?? .sendrecv, with: direction), map.id < 15 || (allowsTwoByte && map.id > 15),
                !used.contains(map.id), !uris.contains(map.uri)
            else { return false }
            used.insert(map.id)
            uris.insert(map.uri)
            return true
        }.map { ExtensionMap(id: $0.id, uri: $0.uri, direction: $0.direction?.reversed) }
    }

    /// Firefox offers playout-delay as recvonly even where it sends media: then only a sender of ours may use it.
    private static func works(_ theirs: Direction, with ours: Direction) -> Bool {
        (theirs.sends && ours.receives) || (theirs.receives && ours.sends)
    }

    /// The SSRCs a section announces, retransmission SSRCs paired with their media.
    static func remoteSources(of section: MediaDescription) -> [RemoteSource] {
        var repairs: [UInt32: UInt32] = [:]
        var isRepair: Set<UInt32> = []
        for group in section.sourceGroups where group.ssrcs.count == 2 && group.ssrcs[0] != group.ssrcs[1] {
            switch group.semantics {
            case "FID": repairs[group.ssrcs[0]] = group.ssrcs[1]; isRepair.insert(group.ssrcs[1])
            case "FEC-FR", "FEC": isRepair.insert(group.ssrcs[1])
            default: break
            }
        }
        return section.sources.filter { !isRepair.contains($0.ssrc) }.map { RemoteSource(ssrc: $0.ssrc, rtx: repairs[$0.ssrc]) }
    }

    /// Where the other side can be reached: its candidates for RTP or, from peers that write none, the c= and m= lines.
    static func remoteCandidates(of section: MediaDescription) -> [Candidate] {
        let candidates = section.candidates.filter { $0.component == 1 }
        if !candidates.isEmpty { return candidates }
        guard section.candidates.isEmpty, section.port > 9, let address = section.connectionAddress,
            address != "0.0.0.0", address != "::"
        else { return [] }
        return [Candidate(address: address, port: UInt16(section.port))]
    }

    /// Which m-lines share a transport: for each m-line the index of its BUNDLE group, or `nil` when it stands alone.
    static func bundles(of description: SessionDescription) -> [Int?] {
        description.media.map { section in
            guard let mid = section.mid else { return nil }
            return description.bundleGroups.firstIndex { $0.contains(mid) }
        }
    }

    /// The protocols that carry SRTP keyed by DTLS. The bare RTP/SAVPF of older peers means the same once there is a fingerprint.
    static func carriesSRTP(_ proto: String) -> Bool {
        let proto = proto.uppercased()
        return proto.hasSuffix("RTP/SAVPF") || proto.hasSuffix("RTP/SAVP")
    }

    /// Fills in the remote half of `result` from the section that speaks for its transport.
    static func setRemote(of result: inout NegotiatedMedia, from section: MediaDescription, isLite: Bool) throws(NegotiationError) {
        guard let ufrag = section.iceUfrag, let pwd = section.icePwd, !ufrag.isEmpty, !pwd.isEmpty else {
            throw .malformed("m-line \(result.mLineIndex) has no a=ice-ufrag or a=ice-pwd")
        }
        guard !section.fingerprints.isEmpty else {
            throw .malformed("m-line \(result.mLineIndex) has no usable a=fingerprint; only DTLS-SRTP is supported")
        }
        result.remoteUfrag = ufrag
        result.remotePwd = pwd
        result.remoteFingerprints = section.fingerprints
        result.remoteSetup = section.setup
        result.remoteCandidates = remoteCandidates(of: section)
        result.remoteIsLite = isLite
    }
}
