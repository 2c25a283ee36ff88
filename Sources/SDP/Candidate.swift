// SPDX-License-Identifier: Apache-2.0
// One ICE candidate as text.

/// An `a=candidate` value (RFC 8839 §5.1, RFC 6544 §4.5 for TCP).
public struct Candidate: Sendable, Hashable {
    public var foundation: String
    /// 1 = RTP (and RTCP when multiplexed), 2 = RTCP.
    public var component: Int
    /// "udp" or "tcp", lower case.
    public var transport: String
    public var priority: UInt32
    /// A literal address, or an mDNS name ("….local") that browsers use to hide addresses.
    public var address: String
    public var port: UInt16
    /// "host", "srflx", "prflx" or "relay".
    public var type: String
    /// "active", "passive" or "so"; only for TCP.
    public var tcpType: String?

    public init(
        foundation: String = "1", component: Int = 1, transport: String = "udp", priority: UInt32 = 2_130_706_431,
        address: String, port: UInt16, type: String = "host", tcpType: String? = nil
    ) {
        self.foundation = foundation; self.component = component; self.transport = transport
        self.priority = priority; self.address = address; self.port = port
        self.type = type; self.tcpType = tcpType
    }

    /// Parses `1 1 udp 2130706431 192.0.2.1 31000 typ host …`, with or without a leading `candidate:`.
    /// Unknown trailing pairs (raddr, generation, network-cost, …) are ignored. `nil` when malformed.
    public init?(attribute: some StringProtocol) {
        var text = Substring(attribute)
        if text.hasPrefix("candidate:") { text = text.dropFirst("candidate:".count) }
        let fields = text.fields(UInt8(ascii: " "))
        guard fields.count >= 8, fields.count <= 64, fields[6].lowercased() == "typ",
            let component = Int(fields[1]), (1...256).contains(component),
            let priority = UInt32(fields[3]), let port = UInt16(fields[5])
        else { return nil }
        let transport = fields[2].lowercased()
        guard transport == "udp" || transport == "tcp" else { return nil }
        self.init(
            foundation: String(fields[0]), component: component, transport: transport, priority: priority,
            address: String(fields[4]), port: port, type: fields[7].lowercased())
        var index = 8
        while index + 1 < fields.count {
            if fields[index].lowercased() == "tcptype" { tcpType = fields[index + 1].lowercased() }
            index += 2
        }
    }

    /// The value as written after `a=candidate:`.
    public var attributeValue: String {
        var text = "\(foundation) \(component) \(transport) \(priority) \(address) \(port) typ \(type)"
        // RFC 8839 §5.1: reflexive and relayed candidates must carry a related address; ours is nobody's business.
        if type != "host" { text += address.utf8.contains(UInt8(ascii: ":")) ? " raddr :: rport 0" : " raddr 0.0.0.0 rport 0" }
        if let tcpType { text += " tcptype \(tcpType)" }
        return text
    }
}
