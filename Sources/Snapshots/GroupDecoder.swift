// SPDX-License-Identifier: Apache-2.0
// Follows one stream's newest group of pictures inside the worker: takes its packets as often as they are sent, decodes what is
// new, and keeps the newest picture. Owned by SnapshotWorker, which keeps a few of them warm.
import Codecs
import MediaGraph
import Primitives
import RTP
import Workers

/// One stream's decoder and how far it has come.
///
/// Thread rule: one job at a time has it. A job takes it out of the cache's table and puts it back when it is done, so two
/// threads never hold it together, and the table's lock orders what they do.
final class GroupDecoder: @unchecked Sendable {  // safe: see the thread rule
    let codec: VideoCodec
    let groupStart: Int64
    private let decoder: PictureDecoder
    /// First packet, counted from the group's start, that has not been decoded.
    private var next: UInt32 = 0
    private var time: Int64 = 0
    private var lastTimestamp: UInt32?
    private var gate = EntryGate()
    /// As the newest packet that said something about it.
    private(set) var rotation = PictureRotation.none
    /// RTP timestamp of the newest picture.
    private(set) var timestamp: UInt32 = 0
    /// The decoder rejected something or had to conceal damage: no further frame of this group is worth anything.
    private(set) var failure: String?

    var newest: DecodedPicture? { decoder.newest }

    init(codec: VideoCodec, extradata: [UInt8], groupStart: Int64) throws(CodecError) {
        self.codec = codec
        self.groupStart = groupStart
        decoder = try PictureDecoder(codec, extradata: extradata)
    }

    /// Decodes what the records hold beyond what was decoded before, up to the first gap.
    /// - Returns: frames decoded.
    func decode(_ records: [UInt8]) throws(WorkerError) -> Int {
        guard failure == nil, var assembler = FrameAssembler(codec: codec.kind, maximumPackets: 64) else { return 0 }
        var reader = WireReader(records)
        var expected = next, count = 0
        while reader.remaining > 0, failure == nil {
            let offset = try reader.integer(UInt32.self), orientation = try reader.integer(UInt8.self)
            let packet = try reader.slice(Int(try reader.integer(UInt16.self)))
            if offset < next { continue }
            // Nothing behind a missing packet can be decoded: there is no key frame behind it.
            guard offset == expected else { break }
            expected = offset + 1
            let (frames, packetTime) = packet.withUnsafeBytes { bytes -> ([EncodedFrame], UInt32) in
                guard let view = RTPView(bytes) else { return ([], 0) }
                return (assembler.push(view, at: .zero), view.timestamp)
            }
            for frame in frames where decode(frame) {
                count += 1
                // A frame that ended only when the next one began leaves this packet to be taken again.
                next = frame.timestamp == packetTime ? offset + 1 : offset
            }
            if orientation != 0xff { rotation = PictureRotation(orientation: orientation) }
        }
        return count
    }

    /// false when the frame is not whole: its last packets are still on their way.
    private func decode(_ frame: EncodedFrame) -> Bool {
        guard frame.isComplete else { return false }
        // What leads up to the group's first picture can't be decoded without the group before.
        if gate.judge(frame) == .leading { return true }
        if let lastTimestamp { time += Int64(Int32(bitPattern: frame.timestamp &- lastTimestamp)) }
        lastTimestamp = frame.timestamp
        do throws(CodecError) {
            try decoder.decode(frame.bytes, timestamp: time)
        } catch {
            failure = "the video can't be decoded: \(error)"
            return false
        }
        if decoder.isDamaged {
            failure = "the video is damaged"
            return false
        }
        timestamp = frame.timestamp
        return true
    }
}

extension VideoCodec {
    init?(_ kind: CodecKind) {
        switch kind {
        case .h264: self = .h264
        case .vp8: self = .vp8
        case .vp9: self = .vp9
        case .av1: self = .av1
        default: return nil
        }
    }
    var kind: CodecKind {
        switch self {
        case .h264: .h264
        case .vp8: .vp8
        case .vp9: .vp9
        case .av1: .av1
        }
    }
}
