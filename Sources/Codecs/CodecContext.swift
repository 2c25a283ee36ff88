// SPDX-License-Identifier: Apache-2.0
// Owner of one AVCodecContext with its working packet and frame: opens, feeds, drains and frees it.
// Held by exactly one encoder or decoder of this module; never shared.
import CFFmpeg

/// Not Sendable: a codec belongs to one thread at a time.
final class CodecContext {
    let context: UnsafeMutablePointer<AVCodecContext>
    let packet: UnsafeMutablePointer<AVPacket>
    let frame: UnsafeMutablePointer<AVFrame>
    let name: String

    private init(codec: UnsafePointer<AVCodec>, name: String) throws(CodecError) {
        _ = ffmpegIsQuiet
        guard let context = avcodec_alloc_context3(codec) else { throw .outOfMemory }
        guard let packet = av_packet_alloc() else {
            var doomed: UnsafeMutablePointer<AVCodecContext>? = context
            avcodec_free_context(&doomed)
            throw .outOfMemory
        }
        guard let frame = av_frame_alloc() else {
            var doomedContext: UnsafeMutablePointer<AVCodecContext>? = context
            var doomedPacket: UnsafeMutablePointer<AVPacket>? = packet
            avcodec_free_context(&doomedContext)
            av_packet_free(&doomedPacket)
            throw .outOfMemory
        }
        self.context = context
        self.packet = packet
        self.frame = frame
        self.name = name
    }

    deinit {
        var context: UnsafeMutablePointer<AVCodecContext>? = context
        var packet: UnsafeMutablePointer<AVPacket>? = packet
        var frame: UnsafeMutablePointer<AVFrame>? = frame
        avcodec_free_context(&context)
        av_packet_free(&packet)
        av_frame_free(&frame)
    }

    /// The first encoder of `names` that this FFmpeg has.
    static func encoder(_ names: [String]) throws(CodecError) -> CodecContext {
        for name in names {
            if let codec = avcodec_find_encoder_by_name(name) { return try CodecContext(codec: codec, name: name) }
        }
        throw .unavailable("The encoder \(names.joined(separator: " or "))")
    }

    /// The first decoder of `names` that this FFmpeg has.
    static func decoder(_ names: [String]) throws(CodecError) -> CodecContext {
        for name in names {
            if let codec = avcodec_find_decoder_by_name(name) { return try CodecContext(codec: codec, name: name) }
        }
        throw .unavailable("The decoder \(names.joined(separator: " or "))")
    }

    /// Opens the codec; `options` are FFmpeg's private options by name. Unknown ones are an error: they'd be silently lost.
    func open(options: [String: String]) throws(CodecError) {
        var dictionary: OpaquePointer?
        defer { av_dict_free(&dictionary) }
        for (key, value) in options { av_dict_set(&dictionary, key, value, 0) }
        try check(avcodec_open2(context, context.pointee.codec, &dictionary), "Opening the codec \(name)")
        if let left = av_dict_get(dictionary, "", nil, AV_DICT_IGNORE_SUFFIX), let key = left.pointee.key {
            throw .invalid("The codec \(name) does not know the option \(String(cString: key)).")
        }
    }

    /// Copies `bytes` (a codec's out-of-band header) into the context. Before `open`.
    func setExtradata(_ bytes: [UInt8]) throws(CodecError) {
        guard !bytes.isEmpty else { return }
        guard let memory = av_mallocz(bytes.count + Int(AV_INPUT_BUFFER_PADDING_SIZE)) else { throw .outOfMemory }
        memory.copyMemory(from: bytes, byteCount: bytes.count)
        context.pointee.extradata = memory.assumingMemoryBound(to: UInt8.self)
        context.pointee.extradata_size = Int32(bytes.count)
    }

    /// Hands one encoded packet to a decoder.
    func send(_ bytes: UnsafeRawBufferPointer, timestamp: Int64) throws(CodecError) {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return }
        guard bytes.count < Int32.max / 2 else { throw .invalid("A packet of \(bytes.count) bytes is too large to decode.") }
        try check(av_new_packet(packet, Int32(bytes.count)), "Allocating a packet")
        defer { av_packet_unref(packet) }
        packet.pointee.data.update(from: base.assumingMemoryBound(to: UInt8.self), count: bytes.count)
        packet.pointee.pts = timestamp
        packet.pointee.dts = timestamp
        try check(avcodec_send_packet(context, packet), "Decoding with \(name)")
    }

    /// The next decoded frame in `frame`, or false when the decoder wants more input. The caller takes or unrefs it.
    func receiveFrame() throws(CodecError) -> Bool {
        let result = avcodec_receive_frame(context, frame)
        if result == martlet_ff_error_again || result == martlet_ff_error_eof { return false }
        try check(result, "Decoding with \(name)")
        return true
    }

    /// All packets an encoder has ready.
    func receivePackets() throws(CodecError) -> [EncodedPacket] {
        var packets: [EncodedPacket] = []
        while true {
            let result = avcodec_receive_packet(context, packet)
            if result == martlet_ff_error_again || result == martlet_ff_error_eof { return packets }
            try check(result, "Encoding with \(name)")
            defer { av_packet_unref(packet) }
            guard let data = packet.pointee.data else { continue }
            packets.append(EncodedPacket(
                bytes: Array(UnsafeBufferPointer(start: data, count: Int(packet.pointee.size))),
                timestamp: packet.pointee.pts == martlet_ff_no_timestamp ? 0 : packet.pointee.pts,
                duration: packet.pointee.duration,
                isKeyFrame: packet.pointee.flags & AV_PKT_FLAG_KEY != 0))
        }
    }
}
