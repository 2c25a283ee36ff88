// SPDX-License-Identifier: Apache-2.0
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

    @Test("lines of a head that can't be read are left out, and one that begins with a space goes on from the line before")
    func oddLines() throws {
        let text = "rtsp/1.0 200 OK\r\nCSeq : 4\r\n \r\nX-Strange line without colon\r\nPublic: OPTIONS,\r\n\tPLAY\r\n: x\r\n\r\n"
        let found = try items(Array(text.utf8), chunk: 3)
        guard case .response(let response)? = found.first, found.count == 1 else { Issue.record("\(found)"); return }
        #expect(response.status == 200 && response.sequence == 4 && response.headers["Public"] == "OPTIONS, PLAY")
        #expect(response.headers.fields.count == 2)
    }

    @Test("a body that comes byte by byte costs no second look at its head, and one of a request is small")
    func drip() throws {
        var parser = RTSPParser()
        let head = Array(("SET_PARAMETER * RTSP/1.0\r\nCSeq: 1\r\n" + String(repeating: "X: y\r\n", count: 90) + "Content-Length: 16000\r\n\r\n").utf8)
        parser.append(head)
        var found: RTSPParser.Item?
        for _ in 0..<16_000 {
            #expect(found == nil)
            parser.append(CollectionOfOne(UInt8(7)))
            found = try parser.next()
        }
        guard case .request(let request)? = found else { Issue.record("no request"); return }
        #expect(request.body.count == 16_000 && parser.waiting == 0)
        #expect(throws: RTSPError.tooLarge("a body of 16385 bytes")) { _ = try items(Array("A * RTSP/1.0\r\nContent-Length: 16385\r\n\r\n".utf8), chunk: 100) }
    }

    @Test("nothing that a header was made of can end its line")
    func injection() throws {
        let found = try items(RTSPRequest("OPTIONS", "rtsp://h/a b\r\nX: y", headers: ["CSeq": "1\r\nEvil: yes"]).bytes, chunk: 1000)
        guard case .request(let request)? = found.first else { Issue.record("\(found)"); return }
        #expect(found.count == 1 && request.headers["Evil"] == nil && request.headers["X"] == nil)
    }
}
