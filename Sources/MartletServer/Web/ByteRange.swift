// SPDX-License-Identifier: Apache-2.0
// The Range header of a request for one file (RFC 9110 §14.1.2).

enum ByteRange: Equatable {
    /// Answer with everything: the header is malformed, of another unit, or asks for several parts.
    case whole
    /// Offsets of the first and last byte, within the file.
    case part(ClosedRange<Int>)
    /// 416: nothing of it lies within the file.
    case unsatisfiable

    /// - Parameter size: bytes of the file.
    static func parse(_ header: String, size: Int) -> ByteRange {
        guard header.hasPrefix("bytes=") else { return .whole }
        let specification = header.dropFirst(6).trimmingWhitespace()
        guard !specification.contains(","), let dash = specification.firstIndex(of: "-") else { return .whole }
        let first = specification[..<dash]
        let last = specification[specification.index(after: dash)...]
        guard first.allSatisfy(\.isASCIIDigit), last.allSatisfy(\.isASCIIDigit) else { return .whole }
        if first.isEmpty {
            guard !last.isEmpty else { return .whole }
            // More digits than an Int holds is more than any file.
            let length = Int(last) ?? .max
            guard length > 0, size > 0 else { return .unsatisfiable }
            return .part(max(0, size - length)...(size - 1))
        }
        let start = Int(first) ?? .max
        let end = last.isEmpty ? .max : Int(last) ?? .max
        guard start <= end else { return .whole }
        guard start < size else { return .unsatisfiable }
        return .part(start...min(end, size - 1))
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { ("0"..."9").contains(self) }
}
