// SPDX-License-Identifier: Apache-2.0
// Collects the lines of one m-section; made and finished by `SessionDescription.init(parsing:)`.

/// Reads one section line by line. rtpmap, fmtp and rtcp-fb lines may come in any order, so codecs are put together at the end.
struct SectionParser {
    private enum Limit {
        static let formats = 256, codecs = 128, candidates = 128, sources = 256, groups = 64
        static let extensions = 64, fingerprints = 8, feedback = 32, rids = 32, unknown = 256, bandwidth = 8
        static let ssrcsPerGroup = 16
    }

    private(set) var media: MediaDescription
    private var names: [UInt8: (name: String, clockRate: Int, channels: Int)] = [:]
    private var parameters: [UInt8: FormatParameters] = [:]
    private var feedback: [UInt8: [String]] = [:]
    private var wildcardFeedback: [String] = []
    private var hasOwnFingerprint = false
    private var isTolerant = false

    init(_ media: MediaDescription) { self.media = media }

    /// `nil` when the m-line lacks a port or a protocol.
    /// - Parameter isTolerant: the port may be anything, or missing; so may the clock rate of video. A dynamic payload type may be called
    ///   otherwise in the m-line than in the lines behind it, where each has only one.
    init?(mediaLine: Substring, inheriting session: MediaDescription, isTolerant: Bool = false) {
        var fields = mediaLine.fields(UInt8(ascii: " "))
        if isTolerant, fields.count >= 2, fields[1].utf8.contains(UInt8(ascii: "/")), Int(fields[1].cut(UInt8(ascii: "/")).0) == nil {
            fields.insert("0", at: 1)
        }
        // "9/2" (a number of ports) is legal and means nothing here.
        guard fields.count >= 3 else { return nil }
        let number = Int(fields[1].cut(UInt8(ascii: "/")).0).flatMap { (0...65535).contains($0) ? $0 : nil }
        guard let port = number ?? (isTolerant ? 0 : nil) else { return nil }
        self.isTolerant = isTolerant
        media = MediaDescription(
            kind: SDPMediaKind(fields[0]), port: port, proto: String(fields[2]),
            formats: fields.dropFirst(3).prefix(Limit.formats).map { String($0) }, direction: session.direction)
        media.connectionAddress = session.connectionAddress
        media.iceUfrag = session.iceUfrag
        media.icePwd = session.icePwd
        media.fingerprints = session.fingerprints
        media.setup = session.setup
        media.candidates = session.candidates
        media.endOfCandidates = session.endOfCandidates
        media.rtcpMux = session.rtcpMux
        media.extensions = session.extensions
    }

    mutating func read(type: Substring, value: Substring) {
        switch type {
        case "c":
            let fields = value.fields(UInt8(ascii: " "))
            if fields.count >= 3 { media.connectionAddress = String(fields[2].cut(UInt8(ascii: "/")).0) }
        case "b":
            let (name, amount) = value.cut(UInt8(ascii: ":"))
            if let amount = amount.flatMap({ Int($0.trimmed()) }), amount >= 0, media.bandwidth.count < Limit.bandwidth {
                media.bandwidth.append(.init(type: String(name), value: amount))
            }
        case "a":
            let (name, argument) = value.cut(UInt8(ascii: ":"))
            if !readAttribute(name.lowercased(), argument?.trimmed() ?? "") { keep(name, argument) }
        default:
            break
        }
    }

    private mutating func keep(_ name: Substring, _ argument: Substring?) {
        guard media.unknownAttributes.count < Limit.unknown, !name.isEmpty else { return }
        media.unknownAttributes.append(Attribute(name: String(name), value: argument.map { String($0.trimmed()) }))
    }

    /// False when the attribute has no field of its own. Known attributes with unreadable values are dropped.
    private mutating func readAttribute(_ name: String, _ value: Substring) -> Bool {
        switch name {
        case "mid": if !value.isEmpty { media.mid = String(value) }
        case "sendrecv", "sendonly", "recvonly", "inactive": media.direction = Direction(rawValue: name) ?? media.direction
        case "ice-ufrag": media.iceUfrag = String(value)
        case "ice-pwd": media.icePwd = String(value)
        case "fingerprint": readFingerprint(value)
        case "setup": media.setup = Setup(rawValue: value.lowercased()) ?? media.setup
        case "candidate":
            if media.candidates.count < Limit.candidates, let candidate = Candidate(attribute: value) {
                media.candidates.append(candidate)
            }
        case "end-of-candidates": media.endOfCandidates = true
        case "rtcp-mux": media.rtcpMux = true
        case "rtcp-rsize": media.rtcpReducedSize = true
        case "bundle-only": media.bundleOnly = true
        case "extmap-allow-mixed": media.extmapAllowMixed = true
        case "rtpmap": readRTPMap(value)
        case "fmtp": readFormatParameters(value)
        case "rtcp-fb": readFeedback(value)
        case "extmap": readExtension(value)
        case "ssrc": readSource(value)
        case "ssrc-group": readSourceGroup(value)
        case "msid": if let msid = Self.streamID(value) { media.msid = msid }
        case "rid": if media.rids.count < Limit.rids, !value.isEmpty { media.rids.append(String(value)) }
        case "simulcast": media.simulcast = String(value)
        default: return false
        }
        return true
    }

    private mutating func readFingerprint(_ value: Substring) {
        guard let fingerprint = Fingerprint(attribute: value) else { return }
        // A section's own certificate replaces the session's; several of its own are alternatives.
        if !hasOwnFingerprint { media.fingerprints = []; hasOwnFingerprint = true }
        if media.fingerprints.count < Limit.fingerprints { media.fingerprints.append(fingerprint) }
    }

    /// Splits "96 rest" or "96\trest" into the payload type and the rest.
    private static func payloadType(_ value: Substring) -> (UInt8, Substring)? {
        guard let end = value.utf8.firstIndex(where: { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }), let type = UInt8(value[..<end]),
            type < 128
        else { return nil }
        let rest = value[end...].trimmed()
        return rest.isEmpty ? nil : (type, rest)
    }

    private mutating func readRTPMap(_ value: Substring) {
        guard let (type, rest) = Self.payloadType(value) else { return }
        let fields = rest.fields(UInt8(ascii: "/")).map { $0.trimmed() }
        var rate = fields.count > 1 ? Int(fields[1]) : nil
        // Video has no other clock.
        if isTolerant, media.kind == .video, rate == nil { rate = 90_000 }
        guard let name = fields.first, !name.isEmpty, let rate, (1...1_000_000).contains(rate) else { return }
        let channels = fields.count > 2 ? Int(fields[2]) ?? 1 : 1
        names[type] = (String(name), rate, (1...255).contains(channels) ? channels : 1)
    }

    private mutating func readFormatParameters(_ value: Substring) {
        guard let (type, rest) = Self.payloadType(value) else { return }
        parameters[type, default: FormatParameters()].merge(rest)
    }

    private mutating func readFeedback(_ value: Substring) {
        let (target, rest) = value.cut(UInt8(ascii: " "))
        guard let rest = rest?.trimmed(), !rest.isEmpty else { return }
        let kind = rest.fields(UInt8(ascii: " ")).joined(separator: " ")
        if target == "*" {
            if wildcardFeedback.count < Limit.feedback { wildcardFeedback.append(kind) }
        } else if let type = UInt8(target), type < 128, feedback[type, default: []].count < Limit.feedback {
            feedback[type, default: []].append(kind)
        }
    }

    private mutating func readExtension(_ value: Substring) {
        let fields = value.fields(UInt8(ascii: " "))
        guard fields.count >= 2, media.extensions.count < Limit.extensions else { return }
        let (number, direction) = fields[0].cut(UInt8(ascii: "/"))
        guard let id = UInt8(number), id > 0 else { return }
        media.extensions.append(
            ExtensionMap(id: id, uri: String(fields[1]), direction: direction.flatMap { Direction(rawValue: String($0)) }))
    }

    private mutating func readSource(_ value: Substring) {
        let (number, rest) = value.cut(UInt8(ascii: " "))
        guard let ssrc = UInt32(number) else { return }
        let index: Int
        if let known = media.sources.firstIndex(where: { $0.ssrc == ssrc }) {
            index = known
        } else {
            guard media.sources.count < Limit.sources else { return }
            index = media.sources.count
            media.sources.append(MediaSource(ssrc: ssrc))
        }
        guard let (name, argument) = rest?.trimmed().cut(UInt8(ascii: ":")), let argument else { return }
        switch name.lowercased() {
        case "cname": media.sources[index].cname = String(argument)
        case "msid": media.sources[index].msid = Self.streamID(argument)
        default: break
        }
    }

    private mutating func readSourceGroup(_ value: Substring) {
        let fields = value.fields(UInt8(ascii: " "))
        guard fields.count >= 2, media.sourceGroups.count < Limit.groups else { return }
        let ssrcs = fields.dropFirst().prefix(Limit.ssrcsPerGroup).compactMap { UInt32($0) }
        guard !ssrcs.isEmpty else { return }
        media.sourceGroups.append(SourceGroup(semantics: fields[0].uppercased(), ssrcs: ssrcs))
    }

    private static func streamID(_ value: Substring) -> MediaStreamID? {
        let fields = value.fields(UInt8(ascii: " "))
        guard let stream = fields.first else { return nil }
        return MediaStreamID(stream: String(stream), track: fields.count > 1 ? String(fields[1]) : nil)
    }

    /// The payload type by which the section's lines call that of the m-line; the same, but for a tolerant parser.
    private func described(_ type: UInt8) -> UInt8 {
        let dynamic: ClosedRange<UInt8> = 96...127
        guard isTolerant, dynamic.contains(type), names[type] == nil else { return type }
        let formats = Set(media.formats.compactMap { UInt8($0) }.filter { dynamic.contains($0) }), named = names.keys.filter { dynamic.contains($0) }
        return formats.count == 1 && named.count == 1 ? named[0] : type
    }

    /// The section with its codecs in the order of the m-line. A dynamic payload type without rtpmap is no codec.
    func finish() -> MediaDescription {
        var result = media
        var seen: Set<UInt8> = []
        for format in media.formats where result.codecs.count < Limit.codecs {
            guard let type = UInt8(format), type < 128, seen.insert(type).inserted else { continue }
            var codec: Codec
            let described = described(type)
            if let named = names[described] {
                codec = Codec(payloadType: type, name: named.name, clockRate: named.clockRate, channels: named.channels)
            } else if media.kind == .audio, let fixed = Codec.statically(type) {
                codec = fixed
            } else {
                continue
            }
            codec.parameters = parameters[type] ?? parameters[described] ?? FormatParameters()
            codec.feedback = feedback[type] ?? []
            if !codec.isNamed("rtx") {
                codec.feedback += wildcardFeedback.filter { !codec.feedback.contains($0) }
            }
            result.codecs.append(codec)
        }
        return result
    }
}
