// SPDX-License-Identifier: Apache-2.0
// "Did you mean": the nearest known word to a mistyped one.

enum Spelling {
    /// `, did you mean "…"?` or an empty text when nothing is near enough.
    static func suggestion(for word: String, among candidates: some Sequence<String>) -> String {
        guard let nearest = nearest(to: word, among: candidates) else { return "" }
        return "; did you mean \(nearest)?"
    }

    /// The candidate with the smallest edit distance, if that is at most a quarter of the word (2 for short ones).
    /// - Parameter limit: the largest distance, if it is to be another.
    static func nearest(to word: String, among candidates: some Sequence<String>, within limit: Int? = nil) -> String? {
        guard word.utf8.count <= 100 else { return nil }
        let limit = limit ?? max(2, word.utf8.count / 4)
        let letters = Array(word.lowercased().utf8)
        return candidates.lazy.sorted()
            .map { (candidate: $0, distance: distance(letters, Array($0.lowercased().utf8))) }
            .filter { $0.distance <= limit }
            .min { $0.distance < $1.distance }?.candidate
    }

    /// Edit distance with swapped neighbours counted once (optimal string alignment).
    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
        var beforeLast = [Int](repeating: 0, count: b.count + 1)
        var last = Array(0...b.count)
        for i in 1...a.count {
            var row = [i] + [Int](repeating: 0, count: b.count)
            for j in 1...b.count {
                row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1))
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { row[j] = min(row[j], beforeLast[j - 2] + 1) }
            }
            (beforeLast, last) = (last, row)
        }
        return last[b.count]
    }
}
