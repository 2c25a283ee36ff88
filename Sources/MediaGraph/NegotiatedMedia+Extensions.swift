// SPDX-License-Identifier: Apache-2.0
// Header extension ids as the forwarding path wants them.
import SDP

extension NegotiatedMedia {
    /// The id of `uri` (see `ExtensionURI`) on this wire when it fits the one-byte form; 0 when not agreed on.
    func extensionID(_ uri: String) -> UInt8 {
        guard let id = extensions[uri], (1...14).contains(id) else { return 0 }
        return id
    }
}
