// SPDX-License-Identifier: Apache-2.0
// The parameters of one payload format, in the order they were written.

/// The value of `a=fmtp` (RFC 8866 §6.15): `key=value` pairs separated by ';'. Bare tokens ("0-16", "111/111") have no value.
public struct FormatParameters: Sendable, Equatable, ExpressibleByDictionaryLiteral {
    public struct Entry: Sendable, Equatable {
        public var key: String
        public var value: String?
        public init(key: String, value: String?) { self.key = key; self.value = value }
    }
    static let maximumEntries = 64

    public private(set) var entries: [Entry] = []

    public init() {}

    public init(dictionaryLiteral elements: (String, String)...) {
        for (key, value) in elements { self[key] = value }
    }

    public init(parsing text: some StringProtocol) { merge(Substring(text)) }

    public var isEmpty: Bool { entries.isEmpty }

    /// Adds the pairs of one more fmtp line of the same payload type; a key given again replaces the older value.
    /// WCS clients insert a second line for bitrate and stereo.
    mutating func merge(_ text: Substring) {
        for part in text.fields(UInt8(ascii: ";")) {
            let pair = part.trimmed()
            guard !pair.isEmpty else { continue }
            let (key, value) = pair.cut(UInt8(ascii: "="))
            set(String(key.trimmed()), value.map { String($0.trimmed()) })
        }
    }

    private mutating func set(_ key: String, _ value: String?) {
        if let index = index(of: key) {
            entries[index].value = value
        } else if entries.count < Self.maximumEntries {
            entries.append(Entry(key: key, value: value))
        }
    }

    private func index(of key: String) -> Int? {
        let wanted = key.lowercased()
        return entries.firstIndex { $0.key.lowercased() == wanted }
    }

    /// The value of `key` (case-insensitive). Setting `nil` removes the pair.
    public subscript(key: String) -> String? {
        get { index(of: key).flatMap { entries[$0].value } }
        set {
            if let newValue { set(key, newValue) } else if let index = index(of: key) { entries.remove(at: index) }
        }
    }

    /// The line's value, e.g. `minptime=10;useinbandfec=1`.
    public var text: String {
        entries.map { entry in entry.value.map { "\(entry.key)=\($0)" } ?? entry.key }.joined(separator: ";")
    }
}
