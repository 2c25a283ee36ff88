// SPDX-License-Identifier: Apache-2.0
// Writes a session description as text, in the attribute order browsers use.

extension SessionDescription {
    /// The description as text: CRLF line ends; rtcp-fb between rtpmap and fmtp, because WCS clients append
    /// bitrate limits to whatever line follows an rtpmap.
    public func serialized() -> String {
        var lines: [String] = []
        lines.reserveCapacity(16 + media.count * 48)
        lines.append("v=0")
        lines.append("o=\(origin.username) \(origin.sessionID) \(origin.sessionVersion) IN \(Self.network(origin.address))")
        lines.append("s=\(name)")
        lines.append("t=0 0")
        if isICELite { lines.append("a=ice-lite") }
        for group in bundleGroups { lines.append((["a=group:BUNDLE"] + group).joined(separator: " ")) }
        if extmapAllowMixed { lines.append("a=extmap-allow-mixed") }
        for attribute in unknownAttributes { lines.append(attribute.line) }
        for section in media { section.append(to: &lines) }
        return lines.joined(separator: "\r\n") + "\r\n"
    }

    /// "IP4 192.0.2.1" or "IP6 2001:db8::1".
    static func network(_ address: String) -> String {
        (address.utf8.contains(UInt8(ascii: ":")) ? "IP6 " : "IP4 ") + address
    }
}

extension Attribute {
    var line: String { value.map { "a=\(name):\($0)" } ?? "a=\(name)" }
}

extension MediaDescription {
    func append(to lines: inout [String]) {
        lines.append((["m=\(kind.token)", String(port), proto] + formats).joined(separator: " "))
        lines.append("c=IN " + SessionDescription.network(connectionAddress ?? "0.0.0.0"))
        for limit in bandwidth { lines.append("b=\(limit.type):\(limit.value)") }
        for candidate in candidates { lines.append("a=candidate:" + candidate.attributeValue) }
        if endOfCandidates { lines.append("a=end-of-candidates") }
        if let iceUfrag { lines.append("a=ice-ufrag:" + iceUfrag) }
        if let icePwd { lines.append("a=ice-pwd:" + icePwd) }
        for fingerprint in fingerprints { lines.append("a=fingerprint:" + fingerprint.text) }
        if let setup { lines.append("a=setup:" + setup.rawValue) }
        if let mid { lines.append("a=mid:" + mid) }
        for map in extensions {
            lines.append("a=extmap:\(map.id)\(map.direction.map { "/" + $0.rawValue } ?? "") \(map.uri)")
        }
        if extmapAllowMixed { lines.append("a=extmap-allow-mixed") }
        lines.append("a=" + direction.rawValue)
        if let msid { lines.append("a=msid:" + msid.text) }
        if bundleOnly { lines.append("a=bundle-only") }
        if rtcpMux { lines.append("a=rtcp-mux") }
        if rtcpReducedSize { lines.append("a=rtcp-rsize") }
        for codec in codecs { codec.append(to: &lines) }
        for rid in rids { lines.append("a=rid:" + rid) }
        if let simulcast { lines.append("a=simulcast:" + simulcast) }
        for attribute in unknownAttributes { lines.append(attribute.line) }
        for group in sourceGroups {
            lines.append((["a=ssrc-group:" + group.semantics] + group.ssrcs.map { String($0) }).joined(separator: " "))
        }
        for source in sources {
            if let cname = source.cname { lines.append("a=ssrc:\(source.ssrc) cname:\(cname)") }
            if let msid = source.msid { lines.append("a=ssrc:\(source.ssrc) msid:\(msid.text)") }
            if source.cname == nil, source.msid == nil { lines.append("a=ssrc:\(source.ssrc)") }
        }
    }
}

extension MediaStreamID {
    var text: String { track.map { "\(stream) \($0)" } ?? stream }
}

extension Codec {
    func append(to lines: inout [String]) {
        lines.append("a=rtpmap:\(payloadType) \(name)/\(clockRate)" + (channels > 1 ? "/\(channels)" : ""))
        for type in feedback { lines.append("a=rtcp-fb:\(payloadType) \(type)") }
        if !parameters.isEmpty { lines.append("a=fmtp:\(payloadType) \(parameters.text)") }
    }
}
