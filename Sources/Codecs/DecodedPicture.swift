// SPDX-License-Identifier: Apache-2.0
// One decoded picture in whatever form the codec gave it, with its own colour tags. Made by PictureDecoder, taken by PictureEncoder.
import CFFmpeg

/// Owns a reference to an FFmpeg frame of any pixel format. Not Sendable: stays on the thread that decoded it.
public final class DecodedPicture {
    let frame: UnsafeMutablePointer<AVFrame>
    /// 90 kHz ticks, as given to the decoder.
    public let timestamp: Int64
    public var width: Int { Int(frame.pointee.width) }
    public var height: Int { Int(frame.pointee.height) }

    /// Takes over the reference.
    init(adopting frame: UnsafeMutablePointer<AVFrame>, timestamp: Int64) {
        self.frame = frame
        self.timestamp = timestamp
    }

    deinit {
        var frame: UnsafeMutablePointer<AVFrame>? = frame
        av_frame_free(&frame)
    }
}
