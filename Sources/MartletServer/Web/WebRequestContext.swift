// SPDX-License-Identifier: Apache-2.0
// What is known about an HTTP request besides its head and body: who sent it.
import Hummingbird
import NIOCore

struct WebRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The peer's address as text, for log lines.
    let remoteAddress: String
    /// The connection it came over.
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
        remoteAddress = source.channel.remoteAddress.map { address in
            guard let host = address.ipAddress, let port = address.port else { return address.description }
            // An IPv4 peer of an IPv6 wildcard listener.
            let plain = host.hasPrefix("::ffff:") && host.contains(".") ? String(host.dropFirst(7)) : host
            return plain.contains(":") ? "[\(plain)]:\(port)" : "\(plain):\(port)"
        } ?? "?"
    }
}
