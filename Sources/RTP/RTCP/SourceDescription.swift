// SPDX-License-Identifier: Apache-2.0
// Who is behind an SSRC; the canonical name ties the streams of one source together. Follows every report.

/// RTCP source description (RFC 3550 §6.5).
public struct SourceDescription: Equatable, Sendable {
    /// The items of one source.
    public struct Chunk: Equatable, Sendable {
        public var ssrc: UInt32
        public var items: [Item]

        public init(ssrc: UInt32, items: [Item]) {
            self.ssrc = ssrc
            self.items = items
        }
    }

    /// One item: type 1 is CNAME, 2 NAME, … 8 PRIV. The text is cut to 255 bytes when written.
    public struct Item: Equatable, Sendable {
        public static let cnameType: UInt8 = 1
        public var type: UInt8
        public var text: String

        public init(type: UInt8, text: String) {
            self.type = type
            self.text = text
        }
    }

    /// At most 31 are written.
    public var chunks: [Chunk]

    public init(chunks: [Chunk]) { self.chunks = chunks }

    /// The usual description: one source with its canonical name.
    public init(ssrc: UInt32, cname: String) {
        chunks = [Chunk(ssrc: ssrc, items: [Item(type: Item.cnameType, text: cname)])]
    }

    /// The canonical name of `ssrc`, if it is told here.
    public func cname(of ssrc: UInt32) -> String? {
        chunks.first { $0.ssrc == ssrc }?.items.first { $0.type == Item.cnameType }?.text
    }
}

extension SourceDescription {
    init(_ reader: inout ByteReader, count: Int) throws(RTCPError) {
        chunks = []
        for _ in 0..<count {
            let start = reader.offset
            var chunk = Chunk(ssrc: try reader.uint32(), items: [])
            while true {
                let type = try reader.uint8()
                if type == 0 { break }
                let length = Int(try reader.uint8())
                chunk.items.append(Item(type: type, text: String(decoding: try reader.bytes(length), as: UTF8.self)))
            }
            // A chunk ends on a word boundary; some leave out the padding of the last one.
            let padding = (4 - (reader.offset - start) & 3) & 3
            _ = try reader.bytes(min(padding, reader.remaining))
            chunks.append(chunk)
        }
    }

    func write(to writer: inout ByteWriter) {
        for chunk in chunks.prefix(31) {
            writer.uint32(chunk.ssrc)
            var length = 4
            for item in chunk.items where item.type != 0 {
                let text = item.text.utf8.prefix(255)
                writer.uint8(item.type)
                writer.uint8(UInt8(text.count))
                writer.bytes(text)
                length += 2 + text.count
            }
            // At least one zero ends the list.
            for _ in 0..<(4 - length & 3) { writer.uint8(0) }
        }
    }
}
