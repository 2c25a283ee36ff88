// SPDX-License-Identifier: Apache-2.0
// The two kinds of media that travel over RTP here. Used by everything that has tracks.

/// Audio or video.
@frozen public enum MediaKind: UInt8, Sendable { case audio, video }
