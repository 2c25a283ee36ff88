// SPDX-License-Identifier: Apache-2.0
// Runs somebody else's program, such as a hook script, to its end: bounded in time, its output handed on line by line.
import CWorkers
import Foundation

public enum ChildProgram {
    public enum Ending: Sendable, Equatable, CustomStringConvertible {
        case exited(Int32)
        case killed(signal: Int32)
        /// It and what it had started were killed.
        case timedOut
        case notStarted(String)

        public var description: String {
            switch self {
            case .exited(let code): "exit code \(code)"
            case .killed(let signal): "killed by signal \(signal)"
            case .timedOut: "killed: its time was over"
            case .notStarted(let reason): "not started: \(reason)"
            }
        }
    }

    /// Lines handed on at most, and bytes of one.
    static let maximumLines = 1000, maximumLine = 1024

    /// Starts `arguments[0]` (an absolute path) in a process group of its own and waits for its end, on a thread of its own.
    ///
    /// - Parameters:
    ///   - timeLimit: everything of the group is killed then; `nil` = none.
    ///   - onLine: each line of its standard output and error.
    public static func run(
        _ arguments: [String], environment: [String: String] = ProcessInfo.processInfo.environment, timeLimit: Duration?,
        onLine: @escaping @Sendable (String) -> Void
    ) async -> Ending {
        await withCheckedContinuation { continuation in
            DetachedThread.start("child-program") {
                continuation.resume(returning: runBlocking(arguments, environment, timeLimit, onLine))
            }
        }
    }

    private static func runBlocking(
        _ arguments: [String], _ environment: [String: String], _ timeLimit: Duration?, _ onLine: @escaping (String) -> Void
    ) -> Ending {
        var pair: [Int32] = [0, 0]
        let made = martlet_program_pipe(&pair)
        guard made == 0 else { return .notStarted(String(cString: strerror(-made))) }
        defer { close(pair[0]) }
        let pid = CStringList.with(arguments) { arguments in
            CStringList.with(environment.map { "\($0.key)=\($0.value)" }) { martlet_program_spawn(arguments, $0, pair[1]) }
        }
        close(pair[1])
        guard pid > 0 else { return .notStarted(String(cString: strerror(-pid))) }
        let deadline = timeLimit.map { ContinuousClock.now + $0 }
        var lines = LineCutter(onLine)
        var status: Int32 = 0, isOutputOpen = true
        while true {
            if isOutputOpen {
                var poller = pollfd(fd: pair[0], events: Int16(POLLIN), revents: 0)
                if poll(&poller, 1, 50) > 0 { isOutputOpen = lines.read(pair[0]) }
            } else {
                usleep(20_000)
            }
            if waitpid(pid, &status, WNOHANG) == pid {
                // What it has written last; what it has left running is not waited for.
                var poller = pollfd(fd: pair[0], events: Int16(POLLIN), revents: 0)
                while isOutputOpen, poll(&poller, 1, 0) > 0 { isOutputOpen = lines.read(pair[0]) }
                lines.finish()
                let signal = status & 0x7f
                return signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal: signal)
            }
            if let deadline, ContinuousClock.now > deadline {
                kill(-pid, SIGKILL)
                while waitpid(pid, &status, 0) < 0, errno == EINTR {}
                lines.finish()
                return .timedOut
            }
        }
    }

    /// Bytes to lines.
    private struct LineCutter {
        private let onLine: (String) -> Void
        private var rest: [UInt8] = []
        private var count = 0

        init(_ onLine: @escaping (String) -> Void) { self.onLine = onLine }

        /// false at the end.
        mutating func read(_ descriptor: Int32) -> Bool {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let length = Glibc.read(descriptor, &buffer, buffer.count)
            guard length > 0 else { return false }
            for byte in buffer[..<length] {
                if byte == UInt8(ascii: "\n") { finish() } else if rest.count < ChildProgram.maximumLine { rest.append(byte) }
            }
            return true
        }

        mutating func finish() {
            guard !rest.isEmpty else { return }
            count += 1
            if count <= ChildProgram.maximumLines { onLine(String(decoding: rest, as: UTF8.self)) }
            rest.removeAll(keepingCapacity: true)
        }
    }
}
