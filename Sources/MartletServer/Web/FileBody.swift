// SPDX-License-Identifier: Apache-2.0
// The body of a response that is a file, or a part of one: read piece by piece, only as fast as the peer takes it, so that a
// connection that stands still holds one small buffer. Made by StaticFiles.
import Glibc
import Hummingbird
import NIOCore
import NIOPosix

enum FileBody {
    /// Read at once, bytes.
    static let chunkSize = 65_536
    /// Handed on in such parts: by them the progress of a slow reader is measured.
    static let partSize = 16_384

    struct ReadError: Error, CustomStringConvertible {
        let code: Int32
        var description: String { code == 0 ? "the file became shorter while it was sent" : "the file can't be read: \(String(cString: strerror(code)))" }
    }

    /// - Parameter range: bytes of the file, not empty.
    static func make(path: String, range: ClosedRange<Int>, channel: any Channel) -> ResponseBody {
        ResponseBody(contentLength: range.count) { writer in
            let pool = NIOThreadPool.singleton
            let descriptor = try await pool.runIfActive {
                let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
                guard descriptor >= 0 else { throw ReadError(code: errno) }
                return descriptor
            }
            defer { close(descriptor) }
            var offset = range.lowerBound
            while offset <= range.upperBound {
                try await room(in: channel)
                let (from, count) = (offset, min(chunkSize, range.upperBound - offset + 1))
                var chunk = try await pool.runIfActive { try read(descriptor, from: from, count: count) }
                offset += chunk.readableBytes
                var parts: [ByteBuffer] = []
                while let part = chunk.readSlice(length: min(partSize, chunk.readableBytes)), part.readableBytes > 0 { parts.append(part) }
                try await writer.write(contentsOf: parts)
            }
            try await writer.finish(nil)
        }
    }

    private static func read(_ descriptor: Int32, from offset: Int, count: Int) throws -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: count)
        var failure: Int32 = 0
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { bytes in
            let got = pread(descriptor, bytes.baseAddress, count, off_t(offset))
            if got < 0 { failure = errno }
            return max(0, got)
        }
        guard buffer.readableBytes > 0 else { throw ReadError(code: failure) }
        return buffer
    }

    /// Waits until the connection takes more.
    private static func room(in channel: any Channel) async throws {
        // Asked on the event loop, behind what was written: from here the connection seems to take more than it does.
        let promise = channel.eventLoop.makePromise(of: Void.self)
        channel.eventLoop.execute {
            guard let watch = try? channel.pipeline.syncOperations.handler(type: HTTPConnectionGuard.self) else { return promise.succeed() }
            watch.whenWritable(promise)
        }
        // At the end of the server nobody waits for a reader that stands still.
        try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            channel.close(promise: nil)
        }
    }
}
