// SPDX-License-Identifier: Apache-2.0
// Reads a session description from text of any origin: browsers, WCS, hand-written, hostile.

extension SessionDescription {
    /// Parses SDP with CRLF, LF or CR line ends. Unknown lines and attributes that can't be understood are skipped;
    /// session-level ICE, fingerprint, setup, direction and connection are inherited by every m-section.
    /// - Parameter skippingUnreadable: for descriptions whose ports mean nothing, as in RTSP: an `m=` line needs no port, and one that can't be
    ///   read costs its section; the `v=` line may be missing where there are media; video needs no clock rate, and an only dynamic payload
    ///   type may have two numbers.
    /// - Throws: `SDPError` when the text has no `v=` line, an unreadable `m=` line or passes a bound.
    public init(parsing text: String, skippingUnreadable: Bool = false) throws(SDPError) {
        guard text.utf8.count <= Self.maximumSize else { throw .tooLarge("more than \(Self.maximumSize) bytes") }
        self.init()
        var session = SectionParser(MediaDescription(kind: .other("session")))
        var section: SectionParser?
        var sawVersion = skippingUnreadable, isSkipping = false
        var linesInSection = 0
        var number = 0
        for bytes in text.utf8.split(omittingEmptySubsequences: true, whereSeparator: { $0 == 10 || $0 == 13 }) {
            number += 1
            let line = Substring(bytes).trimmed()
            let (type, rest) = line.cut(UInt8(ascii: "="))
            guard let value = rest?.trimmed() else { continue }
            if !sawVersion {
                // Only a byte order mark may come before the v= line.
                guard type == "v" || type == "\u{FEFF}v" else { throw .notSDP }
                sawVersion = true
                continue
            }
            linesInSection += 1
            guard linesInSection <= Self.maximumLinesPerSection else {
                throw .tooLarge("more than \(Self.maximumLinesPerSection) lines in one section")
            }
            if type == "m" {
                guard media.count + (section == nil ? 0 : 1) < Self.maximumMediaSections else {
                    throw .tooLarge("more than \(Self.maximumMediaSections) m-lines")
                }
                if let section { media.append(section.finish()) }
                let opened = SectionParser(mediaLine: value, inheriting: session.media, isTolerant: skippingUnreadable)
                guard opened != nil || skippingUnreadable else { throw .malformed(line: number, "m=\(value.prefix(80))") }
                section = opened
                isSkipping = opened == nil
                linesInSection = 0
            } else if isSkipping {
                continue
            } else if section != nil {
                section?.read(type: type, value: value)
            } else if type == "o" {
                readOrigin(value)
            } else if type == "s" {
                name = value.isEmpty ? "-" : String(value)
            } else if type == "a", readSessionAttribute(value) {
                continue
            } else {
                session.read(type: type, value: value)
            }
        }
        guard sawVersion else { throw .notSDP }
        if let section { media.append(section.finish()) }
        guard !skippingUnreadable || !media.isEmpty else { throw .notSDP }
        unknownAttributes = session.media.unknownAttributes
    }

    private mutating func readOrigin(_ value: Substring) {
        let fields = value.fields(UInt8(ascii: " "))
        guard fields.count >= 6 else { return }
        origin.username = String(fields[0])
        origin.sessionID = String(fields[1])
        origin.sessionVersion = String(fields[2])
        origin.address = String(fields[5])
    }

    /// True when the attribute belongs to the session alone.
    private mutating func readSessionAttribute(_ value: Substring) -> Bool {
        let (name, argument) = value.cut(UInt8(ascii: ":"))
        switch name.lowercased() {
        case "ice-lite":
            isICELite = true
        case "extmap-allow-mixed":
            extmapAllowMixed = true
        case "group":
            let fields = (argument ?? "").fields(UInt8(ascii: " "))
            guard fields.first?.uppercased() == "BUNDLE" else { return false }
            if bundleGroups.count < Self.maximumMediaSections {
                bundleGroups.append(fields.dropFirst().prefix(Self.maximumMediaSections).map { String($0) })
            }
        default:
            return false
        }
        return true
    }
}
