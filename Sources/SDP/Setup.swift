// SPDX-License-Identifier: Apache-2.0
// Who opens the DTLS association.

/// The `a=setup` attribute (RFC 8842 §5.2): `active` sends the ClientHello, `passive` waits for it.
public enum Setup: String, Sendable, Hashable {
    case active, passive, actpass, holdconn
}
