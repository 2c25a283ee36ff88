// SPDX-License-Identifier: Apache-2.0
// Finding the next packet or message behind bytes that are neither. Cheap cameras leave some between their packets; other clients skip them.

extension RTSPParser {
    enum Beginning { case packet, message, nothing, undecided }

    /// Bytes in a row that are neither message nor packet, after which a server is given up; before its first answer, and later.
    static let maximumBanner = 512, maximumStray = 65_536
    /// Packets of something that was not agreed on are no longer than this; what seems to be would hold up those behind it.
    static let maximumOther = 4096

    /// What the byte at `start` begins.
    func whatBegins() -> Beginning { buffer[start] == Self.dollar ? packetBegins() : messageBegins() }

    /// A packet of RTP or RTCP on a channel that was agreed on is one. Anything else with a packet's head is one when something known
    /// follows it, and nothing while the beginning is being looked for.
    private func packetBegins() -> Beginning {
        guard waiting >= 5 else { return .undecided }
        let length = Int(buffer[start + 2]) << 8 | Int(buffer[start + 3])
        let isExpected = channels.isEmpty || channels.contains(buffer[start + 1])
        if isExpected, length >= 8, buffer[start + 4] >> 6 == 2 { return .packet }
        guard strayRun == 0, length <= Self.maximumOther else { return .nothing }
        let end = start + 4 + length
        guard end < buffer.count else { return .undecided }
        let next = buffer[end]
        return next == Self.dollar || next == 13 || next == 10 || Self.firstLetters.contains(next) ? .packet : .nothing
    }

    private static let words: [[UInt8]] = [
        "RTSP/", "HTTP/", "OPTIONS ", "GET_PARAMETER ", "SET_PARAMETER ", "ANNOUNCE ", "REDIRECT ", "TEARDOWN ", "PAUSE ", "PLAY ", "PLAY_NOTIFY ",
        "DESCRIBE ", "SETUP ", "RECORD ",
    ].map { (word: String) in Array(word.utf8) }
    private static let firstLetters = Set(words.flatMap { [$0[0], $0[0] | 0x20] })

    private func messageBegins() -> Beginning {
        guard Self.firstLetters.contains(buffer[start]) else { return .nothing }
        var isUndecided = false
        for word in Self.words {
            let there = min(word.count, waiting)
            // Letters are compared without case; the other signs in these words have no other form that differs by this bit.
            guard (0..<there).allSatisfy({ buffer[start + $0] & 0xdf == word[$0] & 0xdf }) else { continue }
            if there == word.count { return .message }
            isUndecided = true
        }
        return isUndecided ? .undecided : .nothing
    }

    mutating func skipStray() throws(RTSPError) {
        strayRun += 1
        let limit = hasRead ? Self.maximumStray : Self.maximumBanner
        guard strayRun <= limit else {
            throw .malformed(hasRead ? "more than \(limit) bytes that are neither message nor packet" : "the server doesn't speak RTSP")
        }
        strayBytes &+= 1
        start += 1
    }
}
