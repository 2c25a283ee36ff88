// SPDX-License-Identifier: Apache-2.0
// Splits a run of DTLS records into datagrams. Used by DTLSSession for what OpenSSL has written.

/// Packs whole records (RFC 6347 §4.1: 13 bytes of header, the length in the last two) into datagrams.
enum RecordPacker {
    static let headerLength = 13

    /// As few datagrams as possible, in order, each at most `mtu` long unless a single record is longer.
    static func datagrams(_ records: [UInt8], mtu: Int) -> [[UInt8]] {
        var datagrams: [[UInt8]] = []
        var start = 0
        var end = 0
        while end + headerLength <= records.count {
            let length = headerLength + (Int(records[end + 11]) << 8 | Int(records[end + 12]))
            guard end + length <= records.count else { break }
            if end > start, end + length - start > mtu {
                datagrams.append(Array(records[start..<end]))
                start = end
            }
            end += length
        }
        if end > start { datagrams.append(Array(records[start..<end])) }
        return datagrams
    }
}
