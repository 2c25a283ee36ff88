// SPDX-License-Identifier: Apache-2.0
// One message on the socket between server and worker, and how it lies in bytes. Used by both sides.

/// ```
/// | length of what follows (32 bits) | kind (8) | job (32) | payload … |
/// ```
/// Server to worker: `open`, `input`, `finish`, `cancel`. Worker to server: `output`, `consumed`, `done`, `failed`.
struct WorkerFrame: Sendable, Equatable {
    enum Kind: UInt8, Sendable {
        /// Begins a job; the payload is the job kind's name and its parameters.
        case open = 1
        case input, finish, cancel
        case output
        /// So many bytes of input have been worked off: room for more, and a sign of life.
        case consumed
        case done
        /// The payload is a sentence.
        case failed
    }

    /// Payload bytes of one message at most: a group of pictures, or a picture.
    static let maximumLength = 64 << 20
    static let headerLength = 9

    var kind: Kind
    var job: UInt32
    var payload: [UInt8] = []

    /// Length field, kind and job; the payload follows.
    var header: [UInt8] {
        var writer = WireWriter(reserving: Self.headerLength)
        writer.write(UInt32(payload.count + 5))
        writer.write(kind.rawValue)
        writer.write(job)
        return writer.bytes
    }

    /// Kind, job and payload length of a header.
    static func parse(header: [UInt8]) throws(WorkerError) -> (kind: Kind, job: UInt32, payloadLength: Int) {
        var reader = WireReader(header)
        let length = Int(try reader.integer(UInt32.self)) - 5
        let number = try reader.integer(UInt8.self)
        guard let kind = Kind(rawValue: number) else { throw .malformed("kind \(number)") }
        guard (0...maximumLength).contains(length) else { throw .malformed("length \(length)") }
        return (kind, try reader.integer(), length)
    }
}
