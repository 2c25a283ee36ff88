// SPDX-License-Identifier: Apache-2.0
// The bounds on what one connection may make the other side keep.
import Primitives

/// What is taken from a far side. The defaults fit encoders of 50 Mbit/s and more.
public struct RTMPLimits: Sendable, Equatable {
    /// Bytes of one audio or video message; a key frame is one message.
    public var maximumMediaMessage = 8 << 20
    /// Bytes of any other message.
    public var maximumCommandMessage = 256 << 10
    /// Bytes of messages that are in the middle of arriving, over all chunk streams.
    public var maximumIncomplete = 16 << 20
    /// The same of a client that publishes nothing yet.
    public var maximumIncompleteBefore = 1 << 20
    /// The same from a server that we publish to.
    public var maximumIncompleteOfServer = 1 << 18
    /// Bytes of messages that a client sends in one go before it has been answered: behind `connect`, and behind `publish`.
    public var maximumEarly = 4 << 20
    /// How many messages these may be.
    public var maximumEarlyMessages = 512
    /// A message has to be complete within this time from its first chunk.
    public var messageTime = TimeSpan.seconds(30)
    /// Chunk streams in use at the same time.
    public var maximumChunkStreams = 64
    /// The largest chunk that the far side may announce.
    public var maximumChunkSize = 16 << 20
    /// Message streams (`createStream`) of one connection.
    public var maximumStreams = 16
    /// Bytes of one text in `connect`, `publish` and `play`.
    public var maximumName = 4096

    public init() {}
}
