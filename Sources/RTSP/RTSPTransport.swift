// SPDX-License-Identifier: Apache-2.0
// The Transport header (RFC 2326 §12.39): how the packets of one track travel.
import Primitives

public struct RTSPTransport: Equatable, Sendable {
    public enum Way: Equatable, Sendable {
        /// Between the messages, on these two channels.
        case interleaved(rtp: UInt8, rtcp: UInt8)
        /// Over UDP; ports of the client, and of the server once it has chosen.
        case udp(client: UInt16, server: UInt16?)
    }
    public var way: Way
    public var ssrc: UInt32?
    /// Over UDP: the address that a server says its packets come from. Read only, never written.
    public var source: String?

    public init(_ way: Way, ssrc: UInt32? = nil, source: String? = nil) {
        self.way = way
        self.ssrc = ssrc
        self.source = source
    }

    /// The ways that a header offers, in its order; unicast only. What is not understood is left out.
    /// - Parameter channel: taken where interleaving is asked for without numbers.
    public static func parse(_ header: String, channel: UInt8 = 0) -> [RTSPTransport] {
        header.split(separator: ",").prefix(16).compactMap { part in
            let fields = part.split(separator: ";").map { $0.trimmingSpaces() }
            guard let profile = fields.first?.uppercased(), profile.hasPrefix("RTP/AVP") else { return nil }
            let isTCP = profile.hasPrefix("RTP/AVP/TCP")
            if fields.contains(where: { $0.lowercased() == "multicast" }) { return nil }
            var ports: [String: (Int, Int)] = [:], ssrc: UInt32?, source: String?
            for field in fields.dropFirst() {
                let pair = field.split(separator: "=", maxSplits: 1)
                guard pair.count == 2 else { continue }
                let key = pair[0].trimmingSpaces().lowercased()
                if key == "ssrc" { ssrc = UInt32(pair[1].trimmingSpaces(), radix: 16) }
                if key == "source" { source = Self.host(pair[1].trimmingSpaces()) }
                let numbers = pair[1].split(separator: "-").prefix(2).compactMap { Int($0.trimmingSpaces()) }
                guard let first = numbers.first, (0...65535).contains(first) else { continue }
                ports[key] = (first, numbers.count > 1 ? numbers[1] : first + 1)
            }
            if isTCP || ports["interleaved"] != nil {
                let (rtp, rtcp) = ports["interleaved"] ?? (Int(channel), Int(channel) + 1)
                guard (0...255).contains(rtp), (0...255).contains(rtcp), rtp != rtcp else { return nil }
                return RTSPTransport(.interleaved(rtp: UInt8(rtp), rtcp: UInt8(rtcp)), ssrc: ssrc)
            }
            guard let client = ports["client_port"]?.0, client > 0, client < 65535 else { return nil }
            let server = ports["server_port"].flatMap { (1..<65535).contains($0.0) ? UInt16($0.0) : nil }
            return RTSPTransport(.udp(client: UInt16(client), server: server), ssrc: ssrc, source: source)
        }
    }

    /// An address in numbers, as addresses of packets are written. `nil` for names, which nobody looks up here, and for what is no single host's.
    private static func host(_ text: String) -> String? {
        let bare = text.filter { !"[]\"".contains($0) }
        guard !bare.utf8.contains(UInt8(ascii: "%")), let address = SocketAddress(bare, port: 0), address.isOneHost else { return nil }
        return address.host
    }

    public var text: String {
        var text: String
        switch way {
        case .interleaved(let rtp, let rtcp): text = "RTP/AVP/TCP;unicast;interleaved=\(rtp)-\(rtcp)"
        case .udp(let client, let server):
            text = "RTP/AVP;unicast;client_port=\(client)-\(client + 1)"
            if let server { text += ";server_port=\(server)-\(server + 1)" }
        }
        if let ssrc {
            let digits = String(ssrc, radix: 16, uppercase: true)
            text += ";ssrc=" + String(repeating: "0", count: 8 - digits.count) + digits
        }
        return text
    }
}

extension SocketAddress {
    /// Neither unspecified, a group nor everybody. One that holds on one link only says too little without the link's name.
    fileprivate var isOneHost: Bool {
        guard isIPv6 else { return low >> 24 != 0 && low >> 28 < 0xe }
        return high >> 56 != 0xff && (high != 0 || low != 0) && !isLinkLocal
    }
}

extension Substring {
    func trimmingSpaces() -> String {
        var slice = self
        while slice.first == " " { slice.removeFirst() }
        while slice.last == " " { slice.removeLast() }
        return String(slice)
    }
}
