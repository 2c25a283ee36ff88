// SPDX-License-Identifier: Apache-2.0
// What a peer connection costs before its client has proved to be there: descriptions, ICE, DTLS. Taken from the memory
// budget by whoever begins one for a remote (WHIP, WebSocket sessions) and given back once media can flow, so that a flood of
// offers ends at the share of its address while a company behind one address may watch as much as it likes.
import Primitives

enum HandshakeMemory {
    /// Bytes of one peer connection whose handshake is under way; measured, rounded up. One that waits for its peer has half of it.
    static let size = 73_728

    /// Takes for one; give it back by `close` when it is connected or over.
    static func take(from budget: MemoryBudget, for network: AddressKey) -> Result<MemoryAccount, MemoryBudget.Refusal> {
        if let refusal = budget.admit(network) { return .failure(refusal) }
        let account = budget.account(for: network)
        if let refusal = account.set(size) { return .failure(refusal) }
        return .success(account)
    }
}
