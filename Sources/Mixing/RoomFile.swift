// SPDX-License-Identifier: Apache-2.0
// What is in a record: its tracks, whose they are, and from when to when each lasts. Found by reading the file once.
import Codecs
import Primitives

/// Somebody's stream in a record.
public struct Participant: Sendable, Equatable {
    public var login: String
    public var stream: String
    /// Indices into `RoomFile.tracks`.
    public var pictures: [Int] = []
    public var sounds: [Int] = []
    /// In order, apart from each other.
    public var presence: [Range<MediaTime>] = []

    func isPresent(at time: MediaTime) -> Bool { presence.contains { $0.contains(time) } }
    var start: MediaTime { presence.first?.lowerBound ?? .zero }
}

public struct RoomFile: Sendable {
    public struct Track: Sendable, Equatable {
        public var media: Demuxer.Media
        /// First and last packet.
        public var span: Range<MediaTime>
    }

    public let path: String
    /// As the demuxer numbers them; those without a packet have an empty span.
    public let tracks: [Track]
    /// In the order in which they came.
    public let participants: [Participant]
    /// Where the last of its tracks ends.
    public let end: MediaTime
    /// The file ends in the middle of something.
    public let isCutOff: Bool

    /// What lies further apart than this is no jitter: somebody was away.
    static let absence = TimeSpan.seconds(3)
    /// A time beyond this is an error of the file.
    static let latest = MediaTime.zero + .seconds(7 * 24 * 3600)

    /// - Throws: `.file` for one that is missing, or holds nothing that can be mixed.
    public init(_ path: String) throws(MixError) {
        self.path = path
        let demuxer: Demuxer
        do throws(CodecError) { demuxer = try Demuxer(path: path, selection: .all) } catch { throw .file("\(error)") }
        var spans: [Range<MediaTime>?] = Array(repeating: nil, count: demuxer.tracks.count)
        var isCutOff = false
        while true {
            do throws(CodecError) {
                guard let next = try demuxer.next() else { break }
                let time = MediaTime(microseconds: next.packet.timestamp)
                guard (.zero...Self.latest).contains(time) else { continue }
                let end = time + .microseconds(min(1_000_000, max(1, next.packet.duration)))
                let span = spans[next.track]
                spans[next.track] = min(span?.lowerBound ?? time, time)..<max(span?.upperBound ?? end, end)
            } catch {
                isCutOff = true
                break
            }
        }
        self.isCutOff = isCutOff
        tracks = zip(demuxer.tracks, spans).map { Track(media: $0, span: $1 ?? .zero ..< .zero) }
        end = tracks.map(\.span.upperBound).max() ?? .zero
        participants = Self.participants(tracks, demuxer.tags)
        guard !participants.isEmpty else { throw .file("The file \(path) holds nothing that can be mixed.") }
    }

    private static func participants(_ tracks: [Track], _ tags: [[String: String]]) -> [Participant] {
        var found: [Participant] = [], byKey: [String: Int] = [:]
        var untagged: [Bool: Int] = [:]
        for (index, track) in tracks.enumerated() where !track.span.isEmpty {
            let tags = tags[index].reduce(into: [String: String]()) { $0[$1.key.uppercased()] = $1.value }
            let isPicture = if case .video = track.media { true } else { false }
            let key: String
            if let stream = tags["STREAM"] {
                key = "\(tags["LOGIN"] ?? "")\u{0}\(stream)"
            } else {
                // Somebody else's file: its n-th picture belongs to its n-th sound.
                untagged[isPicture, default: 0] += 1
                key = "\u{0}\u{0}\(untagged[isPicture, default: 0])"
            }
            let place = byKey[key] ?? found.count
            if place == found.count {
                byKey[key] = place
                found.append(Participant(login: tags["LOGIN"] ?? tags["TITLE"] ?? "", stream: tags["STREAM"] ?? ""))
            }
            if isPicture { found[place].pictures.append(index) } else { found[place].sounds.append(index) }
        }
        for index in found.indices {
            found[index].presence = merged((found[index].pictures + found[index].sounds).map { tracks[$0].span })
        }
        return found.enumerated().sorted { ($0.element.start, $0.offset) < ($1.element.start, $1.offset) }.map(\.element)
    }

    static func merged(_ spans: [Range<MediaTime>]) -> [Range<MediaTime>] {
        var result: [Range<MediaTime>] = []
        for span in spans.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, span.lowerBound - last.upperBound <= absence {
                result[result.count - 1] = last.lowerBound..<max(last.upperBound, span.upperBound)
            } else {
                result.append(span)
            }
        }
        return result
    }
}
