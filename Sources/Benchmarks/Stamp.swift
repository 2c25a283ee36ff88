// SPDX-License-Identifier: Apache-2.0
// What is inside the benchmark's packets: a stamp (who, which, when) and noise that the receiver knows as well.
// Written by LoadPublisher, checked by LoadPlayer.

/// The stamp of a packet. 32 bytes, little endian.
struct Stamp: Equatable {
    static let length = 32
    /// The first byte has its top bit set: behind a fragment header it is where a slice says first_mb_in_slice = 0.
    static let magic: UInt32 = 0x544c_52cd

    /// Which stream; a packet of another one is a mistake of the server.
    var stream: UInt32
    /// Counts the packets of a track.
    var counter: UInt64
    /// Number of the frame, for video.
    var frame: UInt32
    /// Packets of the frame.
    var packetsInFrame: UInt16
    var isKeyFrame: Bool
    /// ns of CLOCK_MONOTONIC right before the packet was handed to the system.
    var sentAt: Int64

    func write(to p: UnsafeMutableRawPointer) {
        p.storeBytes(of: Self.magic.littleEndian, as: UInt32.self)
        p.storeBytes(of: stream.littleEndian, toByteOffset: 4, as: UInt32.self)
        p.storeBytes(of: counter.littleEndian, toByteOffset: 8, as: UInt64.self)
        p.storeBytes(of: frame.littleEndian, toByteOffset: 16, as: UInt32.self)
        p.storeBytes(of: packetsInFrame.littleEndian, toByteOffset: 20, as: UInt16.self)
        p.storeBytes(of: (isKeyFrame ? 1 : 0) as UInt16, toByteOffset: 22, as: UInt16.self)
        p.storeBytes(of: sentAt.littleEndian, toByteOffset: 24, as: Int64.self)
    }

    /// `nil` when the bytes don't begin with the magic number.
    init?(reading p: UnsafeRawPointer) {
        guard UInt32(littleEndian: p.loadUnaligned(as: UInt32.self)) == Self.magic else { return nil }
        stream = UInt32(littleEndian: p.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        counter = UInt64(littleEndian: p.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        frame = UInt32(littleEndian: p.loadUnaligned(fromByteOffset: 16, as: UInt32.self))
        packetsInFrame = UInt16(littleEndian: p.loadUnaligned(fromByteOffset: 20, as: UInt16.self))
        isKeyFrame = p.loadUnaligned(fromByteOffset: 22, as: UInt16.self) != 0
        sentAt = Int64(littleEndian: p.loadUnaligned(fromByteOffset: 24, as: Int64.self))
    }

    init(stream: UInt32, counter: UInt64, frame: UInt32, packetsInFrame: UInt16, isKeyFrame: Bool, sentAt: Int64) {
        self.stream = stream
        self.counter = counter
        self.frame = frame
        self.packetsInFrame = packetsInFrame
        self.isKeyFrame = isKeyFrame
        self.sentAt = sentAt
    }
}

/// Noise that both ends make from the same seed; where a packet begins in it follows from its counter.
enum Noise {
    private static let span: UInt64 = 1 << 15
    private static let longest = 2048

    nonisolated(unsafe) private static let table: UnsafeRawPointer = {
        // Written once, before anybody else can see it, and never freed: lives as long as the process.
        let count = Int(span) + longest
        let memory = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 64)
        var state: UInt64 = 0x6d61_7274_6c65_7421
        for i in stride(from: 0, to: count - 7, by: 8) {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            memory.storeBytes(of: state, toByteOffset: i, as: UInt64.self)
        }
        return UnsafeRawPointer(memory)
    }()

    /// `longest` bytes of noise for the packet with this counter.
    static func bytes(_ counter: UInt64) -> UnsafeRawPointer { table + Int(counter &* 1_031 & (span - 1)) }
}
