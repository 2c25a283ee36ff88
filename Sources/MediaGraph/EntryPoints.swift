// SPDX-License-Identifier: Apache-2.0
// What an uplink track of H.264 or H.265 knows of the places where decoding can begin: the parameter sets, and the picture that is
// being received. A value; owned by UplinkTrack, used on its reactor.
import Primitives
import RTP

struct EntryPoints {
    private let isH265: Bool
    /// The newest sets, whatever brought them.
    var sets: ParameterSetStore
    /// Timestamp of the picture that last brought some.
    var setsTimestamp: UInt32?

    /// The picture under way.
    private(set) var timestamp: UInt32 = 0
    private var isOpen = false
    var seen: VideoUnits = []
    /// Decoding can begin with it, and everything that this needs is there.
    var isProven = false

    /// The newest entry point before it.
    private var lastEntry: (timestamp: UInt32, seen: VideoUnits)?
    /// The source puts the sets in front of its entry points itself.
    private(set) var carriesSets = false
    private var lastInstant = Instant.distantPast
    private(set) var order = PictureOrder()
    /// The sets say that pictures are shown in the order in which they are decoded.
    var excludesReordering = false
    /// Entry points in a row that were no IDR pictures.
    private var otherEntries = 0
    /// So long without an IDR picture, and a source is taken to send none.
    private static let longestWithoutInstant = TimeSpan.seconds(5)

    /// A packet without a slice ended this timestamp.
    private var earlyEnd: UInt32?
    /// The source marks packets with sets or messages as if they were pictures of their own.
    private var marksEarly = false

    /// Source numbers (unwrapped) of the packets in front of which something was put, newest first.
    private var insertions: [Int64] = []
    private(set) var newestInsertion: Int64 = .min
    /// Packets further back than this many insertions are not taken any more.
    private static let rememberedInsertions = 16
    /// Packets that were made of kept sets.
    private(set) var inserted: UInt64 = 0

    init(codec: CodecKind) {
        isH265 = codec == .h265
        // Of other codecs nobody asks.
        sets = ParameterSetStore(codec: codec) ?? ParameterSetStore(codec: .h264)!
        insertions.reserveCapacity(Self.rememberedInsertions + 1)
    }

    // MARK: pictures

    func isCurrent(_ other: UInt32) -> Bool { isOpen && timestamp == other }

    /// A new picture begins.
    /// - Returns: true when the source is found to send no IDR pictures.
    mutating func begin(_ next: UInt32, at now: Instant) -> Bool {
        var lacksInstant = false
        if isOpen, isProven {
            carriesSets = hasSets(seen)
            lastEntry = (timestamp, seen)
            if seen.contains(.instantStart) {
                lastInstant = now
                otherEntries = 0
            } else {
                otherEntries += 1
                lacksInstant = otherEntries >= 2 && now.span(since: lastInstant) > Self.longestWithoutInstant
            }
        }
        if isOpen { order.take(step: TimeSpan(ticks: Int64(Int32(bitPattern: next &- timestamp)), clockRate: 90_000)) }
        isOpen = true
        timestamp = next
        seen = []
        isProven = false
        return lacksInstant
    }

    /// What is known of a picture that a late packet belongs to.
    func known(of other: UInt32) -> VideoUnits {
        if isCurrent(other) { return seen }
        return lastEntry.flatMap { $0.timestamp == other ? $0.seen : nil } ?? []
    }

    func isEntry(_ units: VideoUnits) -> Bool {
        !units.isDisjoint(with: [.instantStart, .recovery]) || units.isSuperset(of: [.intraStart, .sequenceSet])
    }

    func hasSets(_ units: VideoUnits) -> Bool {
        units.isSuperset(of: isH265 ? [.sequenceSet, .pictureSet, .videoSet] : [.sequenceSet, .pictureSet])
    }

    /// Whether a marker means what it says: there is one for each timestamp, at the picture's end.
    mutating func isEnd(_ units: VideoUnits, marker: Bool) -> Bool {
        if units.contains(.slice), earlyEnd == timestamp { marksEarly = true }
        guard marker, !units.contains(.slice), !seen.contains(.slice) else { return marker }
        earlyEnd = timestamp
        return !marksEarly
    }

    // MARK: numbers

    /// How much less than the newest packet's the shift of a late packet is; `nil`: it is too late to be told.
    func shift(before sequence: Int64) -> Int64? {
        var count: Int64 = 0
        for insertion in insertions {
            if sequence >= insertion { return count }
            count += 1
        }
        return insertions.count < Self.rememberedInsertions ? count : nil
    }

    mutating func noteInsertion(before sequence: Int64) {
        if insertions.count == Self.rememberedInsertions { insertions.removeLast() }
        insertions.insert(sequence, at: 0)
        newestInsertion = sequence
        inserted &+= 1
    }

    /// The source's numbers begin anew.
    mutating func restart() {
        insertions.removeAll(keepingCapacity: true)
        newestInsertion = .min
        isOpen = false
        seen = []
        isProven = false
        lastEntry = nil
        earlyEnd = nil
        setsTimestamp = nil
    }
}
