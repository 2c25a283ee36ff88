// SPDX-License-Identifier: Apache-2.0
// How often the log says one thing about one peer. Time is moved by hand.
import Logging
import Synchronization
import Testing

@testable import MartletServer

@Suite("The bound on log lines")
struct LogLimiterTests {
    private final class Stage: Sendable {
        let time = Mutex<Int64>(0)
        let due = Mutex<[@Sendable () -> Void]>([])
        let lines = Mutex<[String]>([])
        let limiter = Mutex<LogLimiter?>(nil)

        init(_ limits: LogLimiter.Limits = .init()) {
            let made = LogLimiter(limits: limits, now: { [unowned self] in time.withLock { $0 } }, later: { [unowned self] work in due.withLock { $0.append(work) } })
            limiter.withLock { $0 = made }
        }

        func logger(_ level: Logger.Level = .info) -> Logger {
            Logger(label: "test") { label in
                LineLogHandler(label: label, level: level, format: .text, limiter: self.limiter.withLock { $0 }) { bytes in
                    self.lines.withLock { $0.append(String(decoding: bytes.dropLast(), as: UTF8.self)) }
                }
            }
        }

        /// A second passes.
        func second() {
            time.withLock { $0 += 1_000_000_000 }
            let due = due.withLock { due in
                defer { due = [] }
                return due
            }
            for work in due { work() }
        }
        var all: [String] { lines.withLock { $0 } }
        func count(_ text: String) -> Int { all.count { $0.contains(text) } }
    }

    @Test("after a burst one message about one peer comes ten times a second, and one line tells how many more there were")
    func bound() {
        let stage = Stage()
        let logger = stage.logger()
        for number in 0..<1_000 { logger.info("refused", metadata: ["peer": "192.0.2.1:\(number)", "reason": "r\(number)"]) }
        #expect(stage.count("refused") == 30)
        stage.second()
        #expect(stage.count("… 970 more: refused") == 1)
        #expect(stage.all.last?.contains("peer=192.0.2.1") == true)
        for number in 0..<1_000 { logger.info("refused", metadata: ["peer": "192.0.2.1:\(number)"]) }
        #expect(stage.count("refused") == 30 + 1 + 10)
        stage.second()
        #expect(stage.count("… 990 more: refused") == 1)
        // Nothing more is due once it is told.
        stage.second()
        #expect(stage.due.withLock { $0.count } == 0)
    }

    @Test("others are not held back for it")
    func others() {
        let stage = Stage()
        let logger = stage.logger()
        for _ in 0..<100 { logger.info("refused", metadata: ["peer": "192.0.2.1:5"]) }
        logger.info("refused", metadata: ["peer": "192.0.2.2:5"])
        logger.info("something else", metadata: ["peer": "192.0.2.1:5"])
        logger.error("no peer")
        #expect(stage.count("192.0.2.2") == 1 && stage.count("something else") == 1 && stage.count("no peer") == 1)
    }

    @Test("one peer can't evade it by saying something else each time, nor by its sessions or its /64")
    func evasions() {
        let stage = Stage()
        let logger = stage.logger()
        for number in 0..<1_000 { logger.info("says \(number)", metadata: ["peer": "192.0.2.1:5"]) }
        #expect(stage.all.count == 200)
        for number in 0..<100 { logger.info("closed", metadata: ["session": "/[2001:db8::\(number)]:5/192.0.2.9:8080-\(number)"]) }
        #expect(stage.count("closed") == 30)
    }

    @Test("the table of peers is bounded, and so is the sum of all lines")
    func manyPeers() {
        let stage = Stage()
        let logger = stage.logger()
        for number in 0..<20_000 { logger.info("refused", metadata: ["peer": "10.0.\(number >> 8 & 255).\(number & 255):5"]) }
        #expect(stage.all.count == 2_000)
    }

    @Test("who asks for debug lines gets them all")
    func debug() {
        let stage = Stage()
        let logger = stage.logger(.debug)
        for _ in 0..<1_000 { logger.debug("detail", metadata: ["peer": "192.0.2.1:5"]) }
        #expect(stage.count("detail") == 1_000)
    }
}
