// SPDX-License-Identifier: Apache-2.0
// What can go wrong in Codecs, as sentences a user can act on. Thrown by every type of this module.
import CFFmpeg

/// A failure of a codec, a file or a conversion.
public enum CodecError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The FFmpeg libraries on this machine were built without the encoder or decoder named.
    case unavailable(String)
    /// The caller asked for something no codec can do (size, rate, channels); the text says which.
    case invalid(String)
    /// FFmpeg refused; `operation` says what was tried, `reason` is FFmpeg's own sentence.
    case failed(operation: String, reason: String)
    /// Memory for a frame or a packet could not be had.
    case outOfMemory

    /// The file system has no room, or the user may take no more of it.
    public var isDiskFull: Bool {
        guard case .failed(_, let reason) = self else { return false }
        return [ENOSPC, EDQUOT].contains { reason == String(cString: strerror($0)) }
    }

    public var description: String {
        switch self {
        case .unavailable(let name):
            "\(name) is not available: the FFmpeg libraries of this machine were built without it; install Debian's libavcodec."
        case .invalid(let text): text
        case .failed(let operation, let reason): "\(operation) failed: \(reason)."
        case .outOfMemory: "Out of memory while allocating a media frame."
        }
    }
}

/// Turns a negative FFmpeg return value into an error naming `operation`; passes anything else on.
@discardableResult
func check(_ result: Int32, _ operation: @autoclosure () -> String) throws(CodecError) -> Int32 {
    guard result < 0 else { return result }
    throw .failed(operation: operation(), reason: describeFFmpegError(result))
}

/// FFmpeg writes what it thinks of damaged media to the standard error otherwise. Touched before anything is opened.
let ffmpegIsQuiet: Void = av_log_set_level(AV_LOG_FATAL)

/// FFmpeg's sentence for one of its error numbers.
func describeFFmpegError(_ code: Int32) -> String {
    var text = [CChar](repeating: 0, count: Int(AV_ERROR_MAX_STRING_SIZE))
    guard av_strerror(code, &text, text.count) == 0 else { return "FFmpeg error \(code)" }
    let end = text.firstIndex(of: 0) ?? text.endIndex
    return String(decoding: text[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
