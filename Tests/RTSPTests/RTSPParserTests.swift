import RTSP
import Testing

struct RTSPParserTests {
    private func items(_ bytes: [UInt8], chunk: Int) throws -> [RTSPParser.Item] {
        var parser = RTSPParser(), items: [RTSPParser.Item] = []
        for start in stride(from: 0, to: bytes.count, by: chunk) {
            parser.append(bytes[start..<min(bytes.count, start + chunk)])
            while let item = try parser.next() { items.append(item) }
        }
        return items
    }

    @Test("messages and packets come out the same however they are cut", arguments: [1, 2, 7, 1000])
    func cuts(chunk: Int) throws {
        let request = RTSPRequest("SETUP", "rtsp://host/cam/trackID=1", headers: ["CSeq": "3", "Transport": "RTP/AVP/TCP;interleaved=2-3"])
        let response = RTSPResponse(200, headers: ["CSeq": "3"], body: Array("v=0\r\n".utf8))
        let packet = RTSPInterleaved.header(channel: 2, length: 3) + [13, 10, 13]
        let found = try items(request.bytes + packet + [13, 10] + response.bytes + packet, chunk: chunk)
        #expect(found.count == 4)
        guard case .request(let one) = found[0], case .response(let two) = found[2] else { Issue.record("\(found)"); return }
        #expect(one.method == "SETUP" && one.sequence == 3 && one.headers["transport"] == "RTP/AVP/TCP;interleaved=2-3")
        #expect(two.status == 200 && two.body == Array("v=0\r\n".utf8))
        #expect(found[1] == .packet(channel: 2, [13, 10, 13]) && found[3] == found[1])
    }

    @Test("what is too large or no RTSP is refused, and nothing grows without a bound")
    func bounds() {
        #expect(throws: RTSPError.self) { _ = try items([UInt8](repeating: 65, count: 20_000), chunk: 500) }
        #expect(throws: RTSPError.self) { _ = try items(Array("GET\r\n\r\n".utf8), chunk: 100) }
        #expect(throws: RTSPError.self) { _ = try items(Array("GET / HTTP/1.1\r\n\r\n".utf8), chunk: 100) }
        #expect(throws: RTSPError.self) { _ = try items(Array("OPTIONS * RTSP/1.0\r\nContent-Length: 999999999\r\n\r\n".utf8), chunk: 100) }
        #expect(throws: RTSPError.self) { _ = try items(Array("OPTIONS * RTSP/1.0\r\nContent-Length: -1\r\n\r\n".utf8), chunk: 100) }
        #expect(throws: RTSPError.self) { _ = try items(Array(("OPTIONS * RTSP/1.0\r\n" + String(repeating: "A: b\r\n", count: 200) + "\r\n").utf8), chunk: 100) }
    }

    @Test("nothing that a header was made of can end its line")
    func injection() throws {
        let found = try items(RTSPRequest("OPTIONS", "rtsp://h/a b\r\nX: y", headers: ["CSeq": "1\r\nEvil: yes"]).bytes, chunk: 1000)
        guard case .request(let request)? = found.first else { Issue.record("\(found)"); return }
        #expect(found.count == 1 && request.headers["Evil"] == nil && request.headers["X"] == nil)
    }
}
