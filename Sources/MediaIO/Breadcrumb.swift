// SPDX-License-Identifier: Apache-2.0
// What a thread is at, kept for the last line of a process that crashes: whose input it was. Reactors keep theirs by plain stores
// (ReactorCore.crumb); the control side's handlers call `begin` and `end`. The line itself is written by CMartlet/crash.c.
import CMartlet
import Glibc

public enum Breadcrumb {
    public enum Work: String, Sendable {
        case webSocket = "websocket", http, rtmp, rtsp

        fileprivate var code: martlet_work {
            switch self {
            case .webSocket: MARTLET_WORK_WEBSOCKET
            case .http: MARTLET_WORK_HTTP
            case .rtmp: MARTLET_WORK_RTMP
            case .rtsp: MARTLET_WORK_RTSP
            }
        }
    }

    /// Makes the process say on stderr, in one line, what the thread that killed it was at. Called once, before anything is served. What was
    /// set up for crashes before (Swift's backtrace) comes after the line.
    public static func install() { martlet_breadcrumb_install(STDERR_FILENO) }

    /// This thread handles input of `peer` from now on. A handler that suspends may go on elsewhere, and other work may follow here: the line
    /// then says what was begun on the thread last.
    public static func begin(_ work: Work, of peer: String) {
        guard let crumb = martlet_breadcrumb_here() else { return }
        var peer = peer
        peer.withUTF8 { martlet_breadcrumb_name(crumb, $0.baseAddress, $0.count) }
        crumb.pointee.work = work.code
        trap(at: work.rawValue)
    }

    /// It is done with it.
    public static func end() { martlet_breadcrumb_here()?.pointee.work = MARTLET_WORK_NONE }

    /// For the test of all this: `MARTLET_TEST_TRAP=rtmp` makes the process trap at the first RTMP input.
    static func trap(at place: String) {
        if trapPlace == place { fatalError("MARTLET_TEST_TRAP=\(place)") }
    }

    private static let trapPlace = getenv("MARTLET_TEST_TRAP").map { String(cString: $0) }
}
