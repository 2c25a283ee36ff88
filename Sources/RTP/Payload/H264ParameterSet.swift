// SPDX-License-Identifier: Apache-2.0
// Reads what is needed of an H.264 sequence parameter set. Used by the payload inspector.

/// Sequence parameter set syntax (H.264 §7.3.2.1.1).
enum H264ParameterSet {
    /// The picture size after cropping; `nil` when the unit ends too early or says nonsense.
    ///
    /// - Parameter unit: the NAL unit with its header byte, emulation prevention still in it.
    static func size(ofSPS unit: UnsafeRawBufferPointer) -> (width: Int, height: Int)? {
        guard unit.count >= 5 else { return nil }
        var bits = BitReader(UnsafeRawBufferPointer(rebasing: unit[1...]), skipsEmulationPrevention: true)
        let profile = bits.read(8)
        bits.skip(16)  // constraints, level
        _ = bits.readUE()  // id
        var chromaFormat: UInt32 = 1
        var separatePlanes = false
        if [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135].contains(profile) {
            chromaFormat = bits.readUE()
            if chromaFormat == 3 { separatePlanes = bits.readBit() }
            _ = bits.readUE()  // bit depths
            _ = bits.readUE()
            _ = bits.readBit()  // lossless transform bypass
            if bits.readBit() {
                for list in 0..<(chromaFormat == 3 ? 12 : 8) where bits.readBit() {
                    skipScalingList(&bits, count: list < 6 ? 16 : 64)
                }
            }
        }
        _ = bits.readUE()  // log2_max_frame_num
        switch bits.readUE() {  // picture order count type
        case 0: _ = bits.readUE()
        case 1:
            _ = bits.readBit()
            _ = bits.readSE()
            _ = bits.readSE()
            let cycle = bits.readUE()
            guard cycle <= 255 else { return nil }
            for _ in 0..<cycle { _ = bits.readSE() }
        default: break
        }
        _ = bits.readUE()  // reference frames
        _ = bits.readBit()  // gaps allowed
        let columns = Int(bits.readUE()) + 1
        let rows = Int(bits.readUE()) + 1
        let framesOnly = bits.readBit()
        if !framesOnly { _ = bits.readBit() }
        _ = bits.readBit()  // direct 8x8 inference
        guard !bits.isOverrun, columns <= 4096, rows <= 4096 else { return nil }
        var width = columns * 16
        var height = rows * 16 * (framesOnly ? 1 : 2)
        if bits.readBit() {
            let isPlanar = chromaFormat == 0 || separatePlanes
            let unitX = isPlanar || chromaFormat == 3 ? 1 : 2
            let unitY = (isPlanar || chromaFormat != 1 ? 1 : 2) * (framesOnly ? 1 : 2)
            width -= unitX * (Int(bits.readUE()) + Int(bits.readUE()))
            height -= unitY * (Int(bits.readUE()) + Int(bits.readUE()))
        }
        guard !bits.isOverrun, width > 0, height > 0 else { return nil }
        return (width, height)
    }

    /// max_num_reorder_frames > 0 (E.2.1); without it what the profile and picture order count type allow: `nil` = unknown.
    static func reorders(sps unit: UnsafeRawBufferPointer) -> Bool? {
        guard unit.count >= 5 else { return nil }
        var bits = BitReader(UnsafeRawBufferPointer(rebasing: unit[1...]), skipsEmulationPrevention: true)
        let profile = bits.read(8)
        // Baseline has no B slices.
        if profile == 66 { return false }
        bits.skip(16)
        _ = bits.readUE()
        if [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135].contains(profile) {
            let chromaFormat = bits.readUE()
            if chromaFormat == 3 { _ = bits.readBit() }
            _ = bits.readUE()
            _ = bits.readUE()
            _ = bits.readBit()
            if bits.readBit() {
                for list in 0..<(chromaFormat == 3 ? 12 : 8) where bits.readBit() {
                    skipScalingList(&bits, count: list < 6 ? 16 : 64)
                }
            }
        }
        _ = bits.readUE()
        let orderType = bits.readUE()
        switch orderType {
        case 0: _ = bits.readUE()
        case 1:
            _ = bits.readBit()
            _ = bits.readSE()
            _ = bits.readSE()
            let cycle = bits.readUE()
            guard cycle <= 255 else { return nil }
            for _ in 0..<cycle { _ = bits.readSE() }
        default: return false  // output order is decoding order
        }
        _ = bits.readUE()
        _ = bits.readBit()
        _ = bits.readUE()
        _ = bits.readUE()
        if !bits.readBit() { _ = bits.readBit() }
        _ = bits.readBit()
        if bits.readBit() { for _ in 0..<4 { _ = bits.readUE() } }
        guard bits.readBit(), !bits.isOverrun else { return nil }  // vui_parameters_present_flag
        if bits.readBit(), bits.read(8) == 255 { bits.skip(32) }  // aspect ratio
        if bits.readBit() { _ = bits.readBit() }  // overscan
        if bits.readBit() {  // video signal type
            bits.skip(4)
            if bits.readBit() { bits.skip(24) }
        }
        if bits.readBit() {  // chroma location
            _ = bits.readUE()
            _ = bits.readUE()
        }
        if bits.readBit() { bits.skip(65) }  // timing
        var hasHRD = false
        for _ in 0..<2 where bits.readBit() {
            hasHRD = true
            let count = bits.readUE()
            guard count < 32 else { return nil }
            bits.skip(8)
            for _ in 0...count {
                _ = bits.readUE()
                _ = bits.readUE()
                _ = bits.readBit()
            }
            bits.skip(20)
        }
        if hasHRD { _ = bits.readBit() }
        _ = bits.readBit()  // pic_struct_present_flag
        guard bits.readBit(), !bits.isOverrun else { return nil }  // bitstream_restriction_flag
        _ = bits.readBit()
        for _ in 0..<4 { _ = bits.readUE() }
        let reorder = bits.readUE()
        return bits.isOverrun ? nil : reorder > 0
    }

    private static func skipScalingList(_ bits: inout BitReader, count: Int) {
        var last: Int32 = 8
        var next: Int32 = 8
        for _ in 0..<count {
            if next != 0 { next = (last &+ bits.readSE() &+ 256) & 255 }
            if next != 0 { last = next }
        }
    }
}
