// SPDX-License-Identifier: Apache-2.0
import RTSP
import Testing

struct RTSPAuthenticationTests {
    // The example of RFC 2617 §3.5, and for SHA-256 what Python's hashlib makes of RFC 7616's formula.
    @Test("a digest is what the standard's example says, and what another implementation computes")
    func vectors() throws {
        var md5 = try #require(RTSPAuthentication(challenges: [
            "Basic realm=\"x\"",
            "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
        ]))
        let one = md5.authorization(method: "GET", uri: "/dir/index.html", user: "Mufasa", password: "Circle Of Life", clientNonce: "0a4f113b")
        #expect(one.contains("response=\"6629fae49393a05397450978507c4ef1\"") && one.contains("nc=00000001") && one.contains("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""))
        var sha = try #require(RTSPAuthentication(challenges: [
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
        ]))
        let two = sha.authorization(
            method: "GET", uri: "/dir/index.html", user: "Mufasa", password: "Circle of Life", clientNonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzPXusqGemxURZJ")
        #expect(two.contains("response=\"1c1d4e1c15c1688e07891f2d53d07b06764bb188ef6cfa74031b94da9a2e2909\""))
    }

    @Test("without qop, as cameras do it, and Basic")
    func plain() throws {
        var digest = try #require(RTSPAuthentication(challenges: ["Digest realm=\"cam\", nonce=\"1234\""]))
        let text = digest.authorization(method: "DESCRIBE", uri: "rtsp://h/a", user: "u", password: "p", clientNonce: "c")
        #expect(text.hasPrefix("Digest username=\"u\"") && !text.contains("nc="))
        var basic = try #require(RTSPAuthentication(challenges: ["Basic realm=\"cam\""]))
        #expect(basic.authorization(method: "DESCRIBE", uri: "x", user: "u", password: "p", clientNonce: "") == "Basic dTpw")
        #expect(RTSPAuthentication(challenges: ["Bearer x", "Digest realm=\"a\", nonce=\"b\", algorithm=MD7"]) == nil)
    }

    // By openssl dgst, from RFC 7616 §3.4.1.
    @Test("SHA-512-256 is a digest too")
    func truncated() throws {
        var digest = try #require(RTSPAuthentication(challenges: ["Digest realm=\"cam\", nonce=\"abc\", algorithm=SHA-512-256"]))
        let text = digest.authorization(method: "DESCRIBE", uri: "rtsp://h/a", user: "u", password: "p", clientNonce: "c0")
        #expect(text.contains("response=\"811146901db4d5d1d5f3f377cef336d5c67bcd06a9987e739cdf91fea76f2c3c\"") && text.contains("algorithm=SHA-512-256"))
    }

    // By Python's hashlib, from RFC 7616 §3.4.2.
    @Test("a session digest puts the client's nonce into the login, with and without qop")
    func sessions() throws {
        let challenge = "Digest realm=\"cam\", nonce=\"abc\", algorithm=MD5-sess"
        var plain = try #require(RTSPAuthentication(challenges: [challenge]))
        let one = plain.authorization(method: "DESCRIBE", uri: "rtsp://h/a", user: "u", password: "p", clientNonce: "c0")
        #expect(one.contains("response=\"ca1cefb361f2682722d0d9c1daf2c4e5\"") && one.contains("cnonce=\"c0\"") && one.contains("algorithm=MD5-sess"))
        var qop = try #require(RTSPAuthentication(challenges: [challenge + ", qop=\"auth\", stale=TRUE"]))
        let two = qop.authorization(method: "DESCRIBE", uri: "rtsp://h/a", user: "u", password: "p", clientNonce: "c0")
        #expect(two.contains("response=\"344427ea7184e2805871278c206f0a19\"") && two.contains("cnonce=\"c0\""))
        #expect(qop.isStale && !plain.isStale && plain.nonce == "abc")
    }

    @Test("addresses are read with their login, and shown without", arguments: [
        ("rtsp://u:p%40ss@cam:8554/live/1?x=y", "cam", 8554, "u", "p@ss", "rtsp://cam:8554/live/1?x=y"),
        ("rtsp://[::1]/a", "::1", 554, nil, nil, "rtsp://[::1]/a"), ("RTSP://h", "h", 554, nil, nil, "rtsp://h/"),
    ] as [(String, String, Int, String?, String?, String)])
    func addresses(_ text: String, _ host: String, _ port: Int, _ user: String?, _ password: String?, _ shown: String) throws {
        let address = try #require(RTSPAddress(text))
        #expect(address.host == host && address.port == port && address.user == user && address.password == password && address.description == shown)
        for bad in ["http://h/", "rtsp://", "rtsp://h:0/", "rtsp://h:99999/", "rtsp://h/a b", "rtsp:///a"] { #expect(RTSPAddress(bad) == nil, "\(bad)") }
    }
}
