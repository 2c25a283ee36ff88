// SPDX-License-Identifier: Apache-2.0
// One track as its publisher sends it: receives packets, keeps them in the ring, and fans them out to the players.
// Owned by MediaStream; used on the stream's home reactor only.
import Primitives
import RTP
import SDP
import SRTP

/// Header extension ids on the publisher's wire; 0 = not negotiated.
public struct UplinkExtensions: Sendable {
    public var audioLevel: UInt8 = 0
    public var orientation: UInt8 = 0
    public var playoutDelay: UInt8 = 0
    public init() {}
}

/// A source's track: ring, reception state, key frame requests and the list of those who take it.
public final class UplinkTrack {
    public typealias Tap = (_ packet: UnsafeRawBufferPointer, _ slot: UnsafePointer<PacketSlot>) -> Void

    public internal(set) var format: TrackFormat
    /// Told to players with each key frame that brings none of its own, and as soon as it changes.
    public var playoutDelay: PlayoutDelay? { didSet { if playoutDelay != oldValue { isPlayoutDelayNew = true } } }
    private var isPlayoutDelayNew = false
    /// When its media comes; `nil` = nobody wants to know.
    public var lateness: Lateness?
    public let kind: MediaKind
    public let codec: CodecKind
    public let clockRate: UInt32
    public let ring: PacketRing
    /// Entry points are told by units: H.264 and H.265.
    let followsUnits: Bool
    var entries: EntryPoints
    /// The source's description may be wrong about the bits (cameras, encoders): profile and order of pictures follow those.
    public var followsBitstream = false { didSet { if followsUnits, followsBitstream { describeSets() } } }

    /// Of a converted track: who makes it. `nil` = the stream's source.
    public internal(set) weak var feeder: (any StreamSource)?
    /// Of a converted track: what it is made of.
    weak var origin: UplinkTrack?
    /// Among all tracks that its stream has ever had, from 1; 0 = not in a stream yet. Of a mirror's track: the original's.
    public internal(set) var number = 0

    var sinks: ContiguousArray<UnsafeMutablePointer<DownlinkTrack>> = []
    private var taps: [(id: UInt64, isPassive: Bool, tap: Tap)] = []
    /// Taps whose takers can't ask for a key frame when they need one.
    private var passiveTaps = 0
    /// The same track on other reactors.
    var mirrors: [MirrorLink] = []

    /// Packets that arrived in this wake-up of the reactor and are still to be fanned out.
    private let pending: UnsafeMutablePointer<Int64>
    private var pendingCount = 0
    /// When the first of them arrived.
    private var pendingSince = Instant.zero
    /// The newest of them is in the middle of a picture.
    private var isPictureOpen = false
    let outgoing: UnsafeMutablePointer<Outgoing>
    private static let pendingCapacity = 128
    /// What a packet may wait for the rest of its picture. A publisher that sends a picture in one go has sent it all by then; from one that
    /// spreads it the packets come further apart, and waiting longer would gain nothing.
    private static let longestWait = TimeSpan.microseconds(300)

    private var unwrapper = SequenceUnwrapper()
    /// Added to unwrapped sequence numbers so that a restarted source goes on where it was, and behind what was put in between.
    var sequenceShift: Int64 = 0
    private var newestUnwrapped: Int64 = 0
    /// The source's timestamps become the track's here, and nowhere else.
    private var clock: SourceClock
    /// What it shares with the source's other tracks.
    var clocks = SourceClockGroup()
    /// The track's sequence number from which on the clock's shift counts, and for what is late from before: the shift until then, and from where.
    private var shiftedFrom: Int64 = 0
    private var shiftBefore: (shift: UInt32, from: Int64) = (0, 0)
    /// The source's clock has been set back since the last report.
    private var wasSetBack = false
    /// A sender report that says nothing about the packets so far; perhaps about those that come next.
    private var earlyReport: (ntp: UInt64, timestamp: UInt32, arrival: Instant)?
    public internal(set) var ssrc: UInt32 = 0
    /// The SSRC that goes on as it was; `anySSRC` = whatever comes next is a source that begins anew.
    private var expectedSSRC = anySSRC
    private static let anySSRC = UInt64.max

    public var nack = NACKGenerator()
    public var reception: ReceiverStatistics
    /// Sender report of the source last seen: wall clock (NTP 32.32), RTP time, when it arrived. 0 = none yet.
    public private(set) var reportedNTP: UInt64 = 0
    public private(set) var reportedTimestamp: UInt32 = 0
    public private(set) var reportArrival = Instant.zero

    /// Times the source has started anew or its clock has jumped: the track's time goes on by arrival, and earlier reports say nothing any more.
    public private(set) var restarts: UInt32 = 0

    // Counters, read by a timer.
    public private(set) var packets: UInt64 = 0
    public private(set) var bytes: UInt64 = 0
    public private(set) var frames: UInt64 = 0
    public private(set) var keyFrames: UInt64 = 0
    public private(set) var duplicates: UInt64 = 0
    /// Late packets whose number or timestamp belongs to nothing that this track has carried lately.
    public private(set) var misplaced: UInt64 = 0
    /// Sender reports whose timestamp has nothing to do with the packets.
    public private(set) var refusedReports: UInt64 = 0
    public internal(set) var nacksSent: UInt64 = 0
    public private(set) var keyFrameRequests: UInt64 = 0
    public private(set) var width = 0
    public private(set) var height = 0
    /// Joins that started from the ring / that had to wait for the publisher.
    public private(set) var joinHits: UInt64 = 0
    public private(set) var joinMisses: UInt64 = 0
    /// Of the first packet; zero = none yet.
    public private(set) var firstArrival = Instant.zero
    public private(set) var lastArrival = Instant.zero
    /// Something before the newest packets is missing for good: no decoder can use them, up to the next key frame.
    private var isBroken = false
    /// Frames handed on all the same, in the hope that a decoder makes something of them.
    public private(set) var brokenFrames: UInt64 = 0
    /// Over the last second; brought up to date by `updateRates`.
    private(set) var rates = RateMeter()
    /// The same with what players get around it: header, authentication tag.
    private(set) var wireRates = RateMeter()
    static let overhead: UInt64 = 36
    /// When a player with a thin line last made us ask for a key frame.
    var lastThinLineRequest = Instant.distantPast

    var meter = AudioLevelMeter()
    var gate = SilenceGate()
    /// Packets that were silence and not forwarded.
    public internal(set) var withheld: UInt64 = 0

    /// Somebody needs a key frame and none has arrived since.
    public private(set) var wantsKeyFrame = false
    private var keyFrameLimiter = KeyFrameLimiter()
    private var keyFrameTimestamp: UInt32 = 0
    private var lastKeyFrameArrival = Instant.zero

    /// A joiner starts from the ring when the key frame there is at most this old and the way to the live edge this long;
    /// beyond, asking the publisher for a new one is quicker than sending the past.
    private var maximumJoinAge: TimeSpan { answersRequests ? .seconds(6) : .seconds(12) }
    private var maximumJoinPackets: Int64 { answersRequests ? 2500 : 6000 }
    private var canBeAsked = true
    /// Of requests since the newest key frame, when the first was made and how many they are.
    private var unanswered: (since: Instant, count: Int) = (.distantPast, 0)
    /// The source makes key frames when it likes and not when it is asked.
    private var isDeaf = false
    private var answersRequests: Bool { canBeAsked && !isDeaf }
    /// A key frame that comes later than this after a request is no answer; nor does a source answer that has been asked so often in vain.
    static let answerTime = TimeSpan.seconds(1), vainRequests = 6
    /// The cached group of pictures is played within this time (90 kHz ticks: 50 ms).
    static let catchUpSpan: UInt32 = 4500

    public init(format: TrackFormat, codec: CodecKind) {
        let format = format.withClockRateOfCodec
        self.format = format
        self.codec = codec
        kind = codec.isVideo ? .video : .audio
        // Fits: it is the codec's, from 7350 to 192 000 Hz.
        clockRate = UInt32(format.codec.clockRate)
        clock = SourceClock(clockRate: format.codec.clockRate)
        ring = codec.isVideo
            ? PacketRing(initialBytes: 256 * 1024, maximumBytes: 8 << 20)
            : PacketRing(initialBytes: 32 * 1024, maximumBytes: 32 * 1024)
        reception = ReceiverStatistics(clockRate: clockRate)
        pending = .allocate(capacity: Self.pendingCapacity)
        outgoing = .allocate(capacity: Self.pendingCapacity)
        followsUnits = codec == .h264 || codec == .h265
        entries = EntryPoints(codec: codec)
        describe(["sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets"].flatMap {
            Base64.parameterSets(format.codec.parameters[$0] ?? "")
        })
    }

    /// Nobody can ask the source for a key frame: its newest group of pictures serves joiners for as long as such sources make them.
    public func cannotBeAsked() { canBeAsked = false }

    deinit {
        for sink in sinks { sink.deallocate() }
        pending.deallocate()
        outgoing.deallocate()
    }

    // MARK: the packet path

    /// Takes one decrypted packet of the source.
    ///
    /// - Parameters:
    ///   - bytes: the packet `view` looks at; copied into the ring.
    ///   - isRetransmission: it came by RTX or is known to be late, so it says nothing about jitter.
    ///   - now: on the reactor's clock.
    /// - Returns: false when nothing was stored (duplicate, too old, malformed).
    @inline(__always)
    @discardableResult
    public func receive(
        _ view: RTPView, bytes: UnsafeRawBufferPointer, isRetransmission: Bool, extensions: UplinkExtensions,
        arena: SendArena, at now: Instant
    ) -> Bool {
        if UInt64(view.ssrc) != expectedSSRC {
            // What is sent again never says where a source begins.
            guard !isRetransmission else { return misplace() }
            adopt(view, at: now)
        }
        var sequence = unwrapper.nearest(to: view.sequenceNumber)
        if abs(sequence &- newestUnwrapped) > Self.longestSequenceStep {
            guard !isRetransmission else { return misplace() }
            clocks.noteRestart(at: now)
            restartNumbers(view)
            sequence = newestUnwrapped
        }
        let payload = view.payload

        var slot = PacketSlot()
        slot.sequence = sequence &+ sequenceShift
        if sequence < entries.newestInsertion {
            guard let back = entries.shift(before: sequence) else { return misplace() }
            slot.sequence &-= back
        }
        slot.arrival = now
        if sequence >= newestUnwrapped {
            newestUnwrapped = sequence
            _ = unwrapper.unwrap(view.sequenceNumber)
            if !clock.isInStep(view.timestamp, at: now) { look(view, slot.sequence, at: now) }
            slot.timestamp = view.timestamp &+ clock.shift
        } else {
            guard let timestamp = lateTimestamp(view.timestamp, slot.sequence) else { return misplace() }
            slot.timestamp = timestamp
        }
        slot.headerLength = UInt16(view.headerLength)
        slot.payloadLength = UInt16(payload.count)
        slot.paddingLength = UInt8(truncatingIfNeeded: view.paddingLength)
        slot.marker = view.marker
        if view.hasExtension { readExtensions(view, extensions, &slot) }
        var isEntry = false, isInstant = true
        if kind == .video, payload.count > 0 {
            if followsUnits {
                let units = PayloadInspector.units(codec: codec, payload: payload)
                if units.isTelling || (slot.marker && !units.contains(.slice)) {
                    isEntry = note(
                        units, view, sequence: sequence, isNewest: sequence == newestUnwrapped, slot: &slot, into: arena, at: now)
                }
                isInstant = units.contains(.instantStart)
            } else {
                slot.startsKeyFrame = PayloadInspector.isKeyFrameStart(codec: codec, payload: payload)
                isEntry = slot.startsKeyFrame
            }
            if slot.startsKeyFrame || isPlayoutDelayNew, slot.playoutDelay == .max, let playoutDelay {
                slot.playoutDelay = playoutDelay.encoded
                isPlayoutDelayNew = false
            }
        }

        nack.receive(view.sequenceNumber, isRetransmission: isRetransmission, at: now)
        guard ring.append(bytes, slot) else {
            duplicates &+= 1
            return false
        }
        if !isRetransmission {
            reception.receive(sequence: view.sequenceNumber, timestamp: view.timestamp, at: now)
            if slot.audioLevel != 0xff { meter.note(slot.audioLevel, at: now) }
        }

        packets &+= 1
        self.bytes &+= UInt64(payload.count)
        if slot.marker {
            frames &+= 1
            if isBroken { brokenFrames &+= 1 }
        }
        if firstArrival == .zero { firstArrival = now }
        lastArrival = now
        if isEntry { noteKeyFrame(view, payload, at: now) }
        if slot.startsKeyFrame, isInstant { ring.noteInstant(slot.timestamp) }
        if lateness != nil { noteLateness(slot, at: now) }
        enqueue(slot, into: arena, at: now)
        return true
    }

    /// Takes one packet as the home reactor's track has stored it.
    func receiveMirrored(_ slot: PacketSlot, bytes: UnsafeRawBufferPointer, arena: SendArena, at now: Instant) {
        guard ring.append(bytes, slot) else { return duplicates &+= 1 }
        packets &+= 1
        self.bytes &+= UInt64(slot.payloadLength)
        if slot.marker { frames &+= 1 }
        if firstArrival == .zero { firstArrival = now }
        lastArrival = now
        if slot.startsKeyFrame, let view = RTPView(bytes) {
            noteKeyFrame(view, view.payload, at: now)
            if !followsUnits || PayloadInspector.units(codec: codec, payload: view.payload).contains(.instantStart) {
                ring.noteInstant(slot.timestamp)
            }
        }
        enqueue(slot, into: arena, at: now)
    }

    @inline(__always)
    func enqueue(_ slot: PacketSlot, into arena: SendArena, at now: Instant) {
        if pendingCount == Self.pendingCapacity { flush(into: arena, at: now) }
        if pendingCount == 0 { pendingSince = now }
        isPictureOpen = kind == .video && !slot.marker
        pending[pendingCount] = slot.sequence
        pendingCount += 1
    }

    /// One packet as every player's copy begins: looked up in the ring once per turn.
    struct Outgoing {
        let slot: UnsafePointer<PacketSlot>
        let payload: UnsafeRawBufferPointer
        /// Bytes that even its length out with the longest of the turn, where that is worth it.
        var padding: UInt8
    }

    /// Fans out what has arrived since the last call: for each player all new packets in a row, so that they leave in one send.
    @inline(__always)
    public func flush(into arena: SendArena, at now: Instant) {
        guard pendingCount > 0 else { return }
        let count = gather()
        if gate.isOn, !passesGate(count, into: arena, at: now) { return handOn(count) }
        sinks.withUnsafeBufferPointer { sinks in
            for sink in sinks {
                guard sink.pointee.isOpen else { continue }
                for i in 0..<count {
                    let slot = outgoing[i].slot
                    if !sink.pointee.isStarted {
                        guard kind == .audio || slot.pointee.startsKeyFrame else { continue }
                        sink.pointee.start(at: slot)
                    }
                    // A player that is behind is left to the pacer; what fills a gap in what it has got already is not.
                    guard slot.pointee.sequence >= sink.pointee.firstSequence, slot.pointee.sequence < sink.pointee.cursor
                    else { continue }
                    // A player without RTX gets nothing but what the packet itself needs: see `isFixed`.
                    let padding = sink.pointee.isFixed && outgoing[i].payload.count > 0 ? 0 : outgoing[i].padding
                    sink.pointee.send(slot, payload: outgoing[i].payload, padding: padding, arena: arena, at: now)
                }
            }
        }
        handOn(count)
    }

    /// To those who are no players and get everything: mirrors judge for themselves what their players get.
    @inline(__always)
    private func handOn(_ count: Int) {
        if !mirrors.isEmpty { feedMirrors(count) }
        guard !taps.isEmpty else { return }
        for i in 0..<count {
            for (_, _, tap) in taps { tap(ring.bytes(of: outgoing[i].slot), outgoing[i].slot) }
        }
    }

    /// Turns `pending` into `outgoing`; returns how many there are.
    @inline(__always)
    private func gather() -> Int {
        var count = 0, longest = 0
        for i in 0..<pendingCount {
            guard let slot = ring.slot(pending[i]) else { continue }
            let payload = ring.payload(of: slot)
            longest = max(longest, payload.count)
            (outgoing + count).initialize(to: Outgoing(slot: slot, payload: payload, padding: payload.count == 0 ? 1 : 0))
            count += 1
        }
        pendingCount = 0
        // Packets of one frame differ by a few bytes at most: padded to one length they form one UDP_SEGMENT run. The last of
        // a run may be shorter.
        for i in 0..<max(0, count - 1) {
            let short = longest - outgoing[i].payload.count
            if short <= 16, outgoing[i].payload.count > 0 { outgoing[i].padding = UInt8(short) }
        }
        return count
    }

    @inline(__always)
    private func readExtensions(_ view: RTPView, _ ids: UplinkExtensions, _ slot: inout PacketSlot) {
        if ids.audioLevel != 0, let value = view.extensionElement(id: ids.audioLevel), let byte = value.first {
            slot.audioLevel = byte == 0xff ? 0x7f : byte
        }
        if ids.orientation != 0, let value = view.extensionElement(id: ids.orientation), let byte = value.first {
            slot.orientation = byte & 0x0f
        }
        if ids.playoutDelay != 0, let value = view.extensionElement(id: ids.playoutDelay), value.count == 3 {
            slot.playoutDelay = UInt32(value[0]) << 16 | UInt32(value[1]) << 8 | UInt32(value[2])
        }
    }

    @inline(never)
    private func noteKeyFrame(_ view: RTPView, _ payload: UnsafeRawBufferPointer, at now: Instant) {
        // Parameter sets and the picture behind them both look like a start.
        if keyFrames == 0 || view.timestamp != keyFrameTimestamp {
            keyFrames &+= 1
            keyFrameTimestamp = view.timestamp
            // Whatever is missing from before it is no longer worth asking for.
            nack.forget(before: view.sequenceNumber)
            isBroken = false
            noteAnswer(at: now)
        }
        lastKeyFrameArrival = now
        wantsKeyFrame = false
        if let size = PayloadInspector.videoSize(codec: codec, payload: payload) { noteSize(size.width, size.height) }
    }

    func noteSize(_ width: Int, _ height: Int) { (self.width, self.height) = (width, height) }

    /// Players' pictures are to wait for the sound from now on, by what the arrivals say.
    public func followSound() {
        playoutDelay = .untilKnown
        lateness = Lateness()
    }

    /// A picture has come when all of it has.
    @inline(never)
    private func noteLateness(_ slot: PacketSlot, at now: Instant) {
        guard reportedNTP != 0, kind == .audio || slot.marker else { return }
        let since = TimeSpan(ticks: Int64(Int32(bitPattern: slot.timestamp &- reportedTimestamp)), clockRate: Int(clockRate))
        let made = WallTime(ntp: reportedNTP) + since
        lateness?.note(now.span(since: Instant(nanoseconds: made.nanoseconds)))
    }

    /// A packet further than this from the newest belongs to a source that has started anew.
    private static let longestSequenceStep: Int64 = 3000

    @inline(never)
    private func misplace() -> Bool {
        misplaced &+= 1
        return false
    }

    /// The first SSRC, or a new one in place of the old: players must not notice.
    @inline(never)
    private func adopt(_ view: RTPView, at now: Instant) {
        // Of a new connection it is no wonder that everything begins anew.
        if expectedSSRC != Self.anySSRC { clocks.noteRestart(at: now) }
        ssrc = view.ssrc
        expectedSSRC = UInt64(view.ssrc)
        restartNumbers(view)
        let shift = clock.shift
        clock.begin(view.timestamp, at: now)
        if ring.newest != 0 { noteRebase(shift, ring.newest + 1, view, at: now) } else { takeEarlyReport(view) }
    }

    /// The next packet belongs to a new connection of the source: reception begins anew and time goes on by arrival, even where the source
    /// begins with the numbers it had before.
    public func restart() {
        expectedSSRC = Self.anySSRC
        ssrc = 0
    }

    /// The source's sequence numbers start anew: goes on behind the newest packet.
    private func restartNumbers(_ view: RTPView) {
        unwrapper = SequenceUnwrapper()
        newestUnwrapped = unwrapper.unwrap(view.sequenceNumber)
        entries.restart()
        guard ring.newest != 0 else { return }
        nack.restart()
        reception = ReceiverStatistics(clockRate: clockRate)
        sequenceShift = ring.newest + 1 - newestUnwrapped
    }

    /// The clock is not content with the next packet in order at first sight.
    @inline(never)
    private func look(_ view: RTPView, _ sequence: Int64, at now: Instant) {
        let track = ObjectIdentifier(self), shift = clock.shift
        clock.mayGoBack = followsUnits && !entries.excludesReordering
        let verdict = clock.look(
            view.timestamp, at: now, frames: kind == .video ? frames : packets, shared: clocks.sharedJump(for: track, at: now),
            sharedSetBack: clocks.sharedSetBack(for: track, at: now))
        switch verdict {
        case .inStep: break
        case .smoothed(let setBack):
            clocks.note(setBack: setBack, track: track, at: now)
            shiftBefore = (shift, shiftedFrom)
            shiftedFrom = sequence
            wasSetBack = true
        case .rebased(let jump, let isShared):
            clocks.note(jump: jump, isShared: isShared, track: track, at: now)
            noteRebase(shift, sequence, view, at: now)
        }
    }

    /// From the packet `sequence` on the timestamps are shifted otherwise than by `shift`.
    private func noteRebase(_ shift: UInt32, _ sequence: Int64, _ view: RTPView, at now: Instant) {
        shiftBefore = (shift, shiftedFrom)
        shiftedFrom = sequence
        restarts &+= 1
        reportedNTP = 0
        takeEarlyReport(view)
    }

    private func takeEarlyReport(_ view: RTPView) {
        guard let report = earlyReport else { return }
        earlyReport = nil
        receiveReport(ntp: report.ntp, timestamp: report.timestamp, at: report.arrival)
    }

    /// The track's timestamp of a packet behind the newest; `nil` when it can't be one of the track's.
    @inline(never)
    private func lateTimestamp(_ timestamp: UInt32, _ sequence: Int64) -> UInt32? {
        guard sequence >= shiftBefore.from else { return nil }
        let shifted = timestamp &+ (sequence >= shiftedFrom ? clock.shift : shiftBefore.shift)
        return clock.isNear(shifted) ? shifted : nil
    }

    // MARK: players

    /// Adds a player's downlink. It gets nothing before `open`.
    func addSink(
        _ parameters: DownlinkTrack.Parameters, sender: SRTPSender, destination: Destination,
        history: UnsafeMutablePointer<SendHistory>, random: inout RandomSource
    ) -> UnsafeMutablePointer<DownlinkTrack> {
        let sink = UnsafeMutablePointer<DownlinkTrack>.allocate(capacity: 1)
        sink.initialize(
            to: DownlinkTrack(parameters, sender: sender, destination: destination, history: history, random: &random))
        sinks.append(sink)
        return sink
    }

    /// The player's transport is up: video starts from the ring's newest key frame if there is a fresh one,
    /// else at the next one, which is asked for.
    ///
    /// - Returns: true when the ring is to be paced out to it (`pace`).
    public func open(_ sink: UnsafeMutablePointer<DownlinkTrack>, arena: SendArena, at now: Instant) -> Bool {
        flush(into: arena, at: now)
        sink.pointee.isOpen = true
        guard kind == .video else { return false }
        // Browsers begin at IDR pictures only; where a source sends none, others may begin all the same.
        guard let first = fresh(ring.instantPoint, at: now) ?? fresh(ring.joinPoint, at: now), let edge = ring.slot(ring.newest)
        else {
            joinMisses &+= 1
            requestKeyFrame()
            return false
        }
        joinHits &+= 1
        sink.pointee.squeeze(
            from: first.pointee.timestamp, edge: edge.pointee.timestamp, end: ring.newest, span: Self.catchUpSpan)
        sink.pointee.start(at: first)
        sink.pointee.cursor = first.pointee.sequence
        return true
    }

    /// A place to join at, when it is near enough.
    private func fresh(_ slot: UnsafePointer<PacketSlot>?, at now: Instant) -> UnsafePointer<PacketSlot>? {
        guard let slot, now.span(since: slot.pointee.arrival) <= maximumJoinAge, ring.newest - slot.pointee.sequence <= maximumJoinPackets
        else { return nil }
        return slot
    }

    /// Whether a tap for a player begins at `slot`, however old it is: nobody can ask the source for anything newer.
    public func servesJoiners(from slot: UnsafePointer<PacketSlot>, at now: Instant) -> Bool { !answersRequests && fresh(slot, at: now) != nil }

    /// The player's way is full: it gets nothing until `resume`.
    public func suspend(_ sink: UnsafeMutablePointer<DownlinkTrack>) {
        sink.pointee.suspend(newest: min(pendingCount > 0 ? pending[0] - 1 : ring.newest, sink.pointee.cursor - 1))
        sink.pointee.cursor = .max
    }

    /// Goes on with the present: video from the next key frame on, which is asked for.
    public func resume(_ sink: UnsafeMutablePointer<DownlinkTrack>) {
        guard sink.pointee.isSuspended else { return }
        sink.pointee.resume()
        requestKeyFrame()
    }

    public func removeSink(_ sink: UnsafeMutablePointer<DownlinkTrack>) {
        guard let index = sinks.firstIndex(of: sink) else { return }
        sinks.swapAt(index, sinks.count - 1)
        sinks.removeLast()
        sink.deallocate()
    }

    public var sinkCount: Int { sinks.count }

    /// Gives a player's downlink to another track, which may be in another codec. To the player it is the same stream of packets: its
    /// SSRC, sequence numbers and timestamps go on. What came before can no longer be asked for.
    ///
    /// It gets nothing before `open`, unless its transport takes no media: then `resume` follows.
    func move(_ sink: UnsafeMutablePointer<DownlinkTrack>, to other: UplinkTrack, _ agreed: AgreedCodec, arena: SendArena, at now: Instant) {
        guard let index = sinks.firstIndex(of: sink) else { return }
        flush(into: arena, at: now)
        suspend(sink)
        sinks.swapAt(index, sinks.count - 1)
        sinks.removeLast()
        sink.pointee.change(to: agreed, clockRate: other.clockRate, since: lastArrival)
        other.sinks.append(sink)
    }

    /// - Parameter isPassive: whoever takes it can't ask for a key frame when it needs one; see `isRefreshDue`.
    public func addTap(id: UInt64, isPassive: Bool = false, _ tap: @escaping Tap) {
        taps.append((id, isPassive, tap))
        if isPassive { passiveTaps += 1 }
    }

    public func removeTap(id: UInt64) {
        taps.removeAll { $0.id == id }
        passiveTaps = taps.count { $0.isPassive }
    }

    /// Answers a player's NACK from the ring. Packets that have left it, and those beyond what the line has room for, are
    /// counted on the sink.
    public func retransmit(
        _ sequences: [UInt16], to sink: UnsafeMutablePointer<DownlinkTrack>, room: inout Int, arena: SendArena, at now: Instant
    ) {
        guard sink.pointee.isStarted else { return }
        guard !sink.pointee.isUnrepeatable else { return sink.pointee.refusedRetransmissions &+= UInt64(sequences.count) }
        let newest = min(ring.newest, sink.pointee.cursor - 1)
        for sequence in sequences.prefix(256) {
            let source = sink.pointee.sourceSequence(of: sequence, newest: newest)
            guard source >= sink.pointee.firstSequence, source <= newest, gate.hasForwarded(source), let slot = ring.slot(source) else {
                sink.pointee.missedRetransmissions &+= 1
                continue
            }
            guard room > 0 else {
                sink.pointee.refusedRetransmissions &+= 1
                continue
            }
            room -= slot.pointee.length
            sink.pointee.retransmit(slot, payload: ring.payload(of: slot), arena: arena, at: now)
        }
    }

    // MARK: key frames and time

    /// Somebody can't go on without a key frame. The publisher's feedback sends the request, throttled, until one arrives.
    public func requestKeyFrame() {
        if kind == .video { wantsKeyFrame = true }
    }

    /// Whether it is time to ask for a key frame on behalf of those who can't: there are some, and none has come for `interval`.
    public func isRefreshDue(interval: TimeSpan, at now: Instant) -> Bool {
        guard passiveTaps > 0, interval > .zero, kind == .video, firstArrival != .zero else { return false }
        return now.span(since: max(lastKeyFrameArrival, keyFrameLimiter.lastRequest)) >= interval
    }

    /// What was missing can't be repaired: decoding goes on at a key frame only, which is asked for.
    func breakOff() {
        guard kind == .video else { return }
        isBroken = true
        requestKeyFrame()
    }

    /// Whether the source may be asked now; notes the request when so.
    ///
    /// - Parameters:
    ///   - gap: between two requests of many; the first few that are answered don't wait for it.
    ///   - repeatAfter: after which an unanswered one is repeated.
    public func mayRequestKeyFrame(gap: TimeSpan, repeatAfter: TimeSpan, at now: Instant) -> Bool {
        guard keyFrameLimiter.mayRequest(gap: gap, repeatAfter: repeatAfter, lastKeyFrame: lastKeyFrameArrival, at: now) else { return false }
        keyFrameRequests &+= 1
        if unanswered.count == 0 { unanswered.since = now }
        unanswered.count = min(unanswered.count + 1, Self.vainRequests)
        if unanswered.count == Self.vainRequests, now.span(since: unanswered.since) > Self.answerTime { isDeaf = true }
        return true
    }

    private func noteAnswer(at now: Instant) {
        guard unanswered.count > 0 else { return }
        if now.span(since: unanswered.since) <= Self.answerTime { isDeaf = false }
        unanswered.count = 0
    }

    /// Whether a source that now brings `format` goes on in this track.
    public func carries(_ format: TrackFormat) -> Bool {
        self.format.kind == format.kind && self.format.converts == nil && self.format.isReordered == format.isReordered
            && self.format.codec.isSameCoding(as: format.codec)
    }

    /// The source describes it anew, in a way that `carries` accepts.
    public func update(_ format: TrackFormat) { self.format = format }

    func setConverts(_ index: Int) { format.converts = index }

    /// Its pictures have turned out to come in another order than they are shown in. Who can't take that goes on with a converted form once
    /// `MediaStream.settleTracks` has been called after `noteOtherForms`.
    public func markReordered() { format.isReordered = true }

    public var hasPending: Bool { pendingCount > 0 }

    /// Until when `flush` may wait for the rest of a picture: packets that leave together cost much less than one by one. `distantPast` = it may not.
    @inline(__always)
    public var waitsUntil: Instant {
        isPictureOpen && pendingCount < Self.pendingCapacity / 2 ? pendingSince + Self.longestWait : .distantPast
    }

    /// What has come in.
    public func statistics() -> TrackStatistics {
        var result = TrackStatistics()
        result.codec = format.codec.name
        result.payloadType = format.codec.payloadType
        result.packets = packets
        result.bytes = bytes
        result.frames = frames
        result.keyFrames = keyFrames
        result.lostPackets = UInt64(max(0, reception.cumulativeLost))
        result.nacks = nacksSent
        result.plis = keyFrameRequests
        result.recoveredPackets = nack.recovered
        result.abandonedPackets = nack.abandoned
        result.unneededNACKs = nack.unneeded
        result.brokenFrames = brokenFrames
        result.misplacedPackets = misplaced
        result.timestampJumps = UInt64(restarts)
        result.bitrate = rates.bitrate
        result.framesPerSecond = rates.framesPerSecond
        result.width = width
        result.height = height
        return result
    }

    /// To be called about once a second, by anybody.
    public func updateRates(at now: Instant) {
        rates.update(bytes: bytes, frames: frames, at: now)
        wireRates.update(bytes: bytes &+ packets &* Self.overhead, frames: frames, at: now)
    }

    /// Notes the source's sender report (RFC 3550 §6.4.1), held against arrival as its packets are.
    ///
    /// - Parameters:
    ///   - ntp: the source's wall clock, 32.32; 0 = it has none.
    ///   - timestamp: the same moment in the source's own timestamps.
    public func receiveReport(ntp: UInt64, timestamp: UInt32, at now: Instant) {
        guard ntp != 0 else { return }
        guard expectedSSRC != Self.anySSRC, clock.isPlausible(timestamp, at: now) else {
            if expectedSSRC != Self.anySSRC { refusedReports &+= 1 }
            return earlyReport = (ntp, timestamp, now)
        }
        let timestamp = timestamp &+ clock.shift
        let line = reportedNTP == 0 ? nil
            : WallTime(ntp: reportedNTP) + TimeSpan(ticks: Int64(Int32(bitPattern: timestamp &- reportedTimestamp)), clockRate: Int(clockRate))
        let wall = clocks.hold(WallTime(ntp: ntp), at: now, line: line, wasSetBack: wasSetBack)
        wasSetBack = false
        noteReport(ntp: wall.ntp, timestamp: timestamp, at: now)
    }

    /// Takes a report as the home reactor's track has noted it.
    func noteReport(ntp: UInt64, timestamp: UInt32, at now: Instant) {
        // 0 means none.
        reportedNTP = max(1, ntp)
        reportedTimestamp = timestamp
        reportArrival = now
        for mirror in mirrors { reportToMirror(mirror) }
    }

    /// Sender report for one player, on the publisher's own wall clock so that audio and video stay in step over any
    /// number of servers. `nil` until the publisher has sent one.
    public func senderReport(for sink: UnsafeMutablePointer<DownlinkTrack>, at now: Instant) -> SenderReport? {
        guard reportedNTP != 0, sink.pointee.isStarted else { return nil }
        let elapsed = now.span(since: reportArrival)
        return SenderReport(
            senderSSRC: sink.pointee.ssrc, ntpTimestamp: (WallTime(ntp: reportedNTP) + elapsed).ntp,
            rtpTimestamp: reportedTimestamp &+ UInt32(truncatingIfNeeded: elapsed.ticks(clockRate: Int(clockRate))) &+ sink.pointee.timestampShift,
            packetCount: UInt32(truncatingIfNeeded: sink.pointee.packets),
            octetCount: UInt32(truncatingIfNeeded: sink.pointee.bytes), reports: [])
    }
}
