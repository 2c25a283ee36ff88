// SPDX-License-Identifier: Apache-2.0
// What can be fetched from a camera, out of its description: SDP as cameras write it. Used by RTSPClientSession.
import RTP
import SDP

extension RTSPDescription {
    /// What a description offers.
    public struct Offer: Equatable, Sendable {
        public var tracks: [RTSPTrack] = []
        /// Names of what is there but can't be used.
        public var refused: [String] = []
        /// The address of all tracks together, when the description has one of its own.
        public var control: String?
    }

    /// At most one track of audio and one of video, of codecs that the server knows. Sections that can't be read are left out, and so are
    /// the ways to a camera's loudspeaker.
    /// - Throws: when there is no section that can be read.
    public static func offer(in text: String) throws(SDPError) -> Offer {
        let description = try SessionDescription(parsing: text, skippingUnreadable: true)
        var offer = Offer()
        let control = description.unknownAttributes.first { $0.name.lowercased() == "control" }?.value ?? ""
        if isAbsolute(control) { offer.control = control }
        // ONVIF writes directions as the client is to take them: what is received, and what is sent to the camera. Others mean their own.
        let saysReceive = description.media.contains { $0.direction == .recvonly }
        for kind in [SDPMediaKind.video, .audio] {
            let sections = description.media.filter { $0.kind == kind }
            let ways = sections.filter { $0.direction != .sendonly && $0.direction != .inactive }
                + sections.filter { $0.direction == .sendonly && !saysReceive }
            for section in ways where !offer.tracks.contains(where: { $0.format.kind == kind }) {
                if let track = track(section) { offer.tracks.append(track) } else { offer.refused.append(name(section)) }
            }
        }
        // In the order of the description: some cameras number channels by it, whatever is asked for.
        let order = description.media.map(\.kind)
        offer.tracks.sort { (order.firstIndex(of: $0.format.kind) ?? 0) < (order.firstIndex(of: $1.format.kind) ?? 0) }
        return offer
    }

    private static func name(_ section: MediaDescription) -> String {
        guard let codec = section.codecs.first else { return "payload type \(section.formats.first ?? "?")" }
        let kind = CodecKind(encodingName: codec.name)
        guard [.pcmu, .pcma].contains(kind) else { return codec.name }
        return "\(codec.name)/\(codec.clockRate)" + (codec.channels > 1 ? "/\(codec.channels)" : "")
    }

    private static func track(_ section: MediaDescription) -> RTSPTrack? {
        for found in section.codecs {
            guard let codec = usable(found) else { continue }
            return RTSPTrack(
                format: TrackFormat(kind: section.kind, codec: codec),
                control: section.unknownAttributes.first { $0.name.lowercased() == "control" }?.value ?? "",
                isOnlyFormat: section.formats.count == 1)
        }
        return nil
    }

    /// The codec as the server names it, its clock as the codec has it: what the description says of that may be anything. `nil` when it
    /// can't be used.
    static func usable(_ found: SDP.Codec) -> SDP.Codec? {
        var codec = found
        let kind = CodecKind(encodingName: codec.name)
        switch kind {
        case .h264, .h265, .vp8, .vp9, .av1, .opus, .g722: codec.clockRate = Int(kind.clockRate)
        // Others than 8 kHz and one channel exist and would be heard too slow.
        case .pcmu, .pcma: guard codec.clockRate == Int(kind.clockRate), codec.channels == 1 else { return nil }
        case .aac:
            // Some write values in quotes.
            for entry in found.parameters.entries {
                if let value = entry.value { codec.parameters[entry.key] = value.replacing("\"", with: "") }
            }
            // LATM lies otherwise in its packets, and without a configuration nobody can decode any of it.
            guard codec.name.lowercased() == "mpeg4-generic", AACPayloadFormat(parameter: { codec.parameters[$0] }) != nil,
                let digits = codec.parameters["config"], let bytes = AudioSpecificConfig.bytes(ofParameter: digits), let config = AudioSpecificConfig(bytes)
            else { return nil }
            if !(7_350...96_000).contains(codec.clockRate) { codec.clockRate = config.sampleRate }
        case .other: return nil
        }
        codec.feedback = []
        codec.name = kind.encodingName
        return codec
    }

    private static func isAbsolute(_ control: String) -> Bool {
        control.lowercased().hasPrefix("rtsp://") || control.lowercased().hasPrefix("rtsps://")
    }

    /// The addresses that a track may have, the likeliest first: its control attribute put behind the base, as everybody does it, with one
    /// slash between; resolved as RFC 1808 has it; as text without a look at slashes; and the same with the address that was asked for.
    public static func addresses(control: String, base: String, asked: String) -> [String] {
        var found: [String] = []
        for base in base == asked ? [base] : [base, asked] {
            for address in isAbsolute(control) ? [control] : joined(control, base) where !found.contains(address) { found.append(address) }
        }
        return found
    }

    private static func joined(_ control: String, _ base: String) -> [String] {
        if control.isEmpty || control == "*" { return [base] }
        let stem = base.hasSuffix("/") ? base : base + "/"
        let tidy = stem + control.drop { $0 == "/" }
        return [tidy, resolved(control, base), stem + control]
    }

    /// RFC 1808 §4: from the root when it begins with a slash, else in the place of what follows the base's last slash.
    private static func resolved(_ control: String, _ base: String) -> String {
        guard let scheme = base.firstRange(of: "://") else { return base + control }
        let path = base[scheme.upperBound...].firstIndex(of: "/") ?? base.endIndex
        if control.hasPrefix("/") { return base[..<path] + control }
        if control.hasPrefix("?") { return base.prefix { $0 != "?" } + control }
        let folder = base[path...].prefix { $0 != "?" }
        guard let slash = folder.lastIndex(of: "/") else { return base[..<path] + "/" + control }
        return base[...slash] + control
    }
}
