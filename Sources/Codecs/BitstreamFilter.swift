// SPDX-License-Identifier: Apache-2.0
// Owner of one of FFmpeg's bitstream filters that give one packet for each one in. Used by the demuxer.
import CFFmpeg

/// Rewrites packets in place, e.g. H.264 of an MP4 file into Annex B with SPS and PPS before each key frame.
final class BitstreamFilter {
    private var context: UnsafeMutablePointer<AVBSFContext>?
    private let name: String

    init(_ name: String, for stream: UnsafeMutablePointer<AVStream>) throws(CodecError) {
        self.name = name
        guard let filter = av_bsf_get_by_name(name) else { throw .unavailable("The bitstream filter \(name)") }
        try check(av_bsf_alloc(filter, &context), "Allocating the filter \(name)")
        guard let context else { throw .outOfMemory }
        try check(avcodec_parameters_copy(context.pointee.par_in, stream.pointee.codecpar), "Setting up the filter \(name)")
        context.pointee.time_base_in = stream.pointee.time_base
        try check(av_bsf_init(context), "Setting up the filter \(name)")
    }

    deinit { av_bsf_free(&context) }

    /// Puts `packet` through. False when the filter kept it and `packet` is empty now.
    func apply(_ packet: UnsafeMutablePointer<AVPacket>) throws(CodecError) -> Bool {
        try check(av_bsf_send_packet(context, packet), "Filtering with \(name)")
        let result = av_bsf_receive_packet(context, packet)
        if result == martlet_ff_error_again || result == martlet_ff_error_eof { return false }
        try check(result, "Filtering with \(name)")
        return true
    }

    func reset() { av_bsf_flush(context) }
}
