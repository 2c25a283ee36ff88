// SPDX-License-Identifier: Apache-2.0
// Puts the line log under swift-log, once per process; the commands call it before anything else logs.
import Glibc
public import Logging
import MediaIO

public enum LogSetup {
    /// Makes every `Logger` of the process write lines to stderr, and a crash say there whose input it was. Call once, before the first logger is made.
    public static func bootstrap(level: LogLevel, format: LogFormat) {
        Breadcrumb.install()
        LoggingSystem.bootstrap { handler(label: $0, level: level, format: format) }
    }

    /// A logger of its own that writes to stderr, without the process-wide set-up.
    public static func logger(label: String, settings: Settings) -> Logger {
        Logger(label: label) { handler(label: $0, level: settings.logLevel, format: settings.logFormat) }
    }

    private static func handler(label: String, level: LogLevel, format: LogFormat) -> LineLogHandler {
        LineLogHandler(label: label, level: level.swiftLogLevel, format: format, limiter: .shared, write: writeToStandardError)
    }

    /// One `write` per line, so that lines of several threads never mix (POSIX keeps pipe writes up to PIPE_BUF whole).
    @Sendable private static func writeToStandardError(_ line: [UInt8]) {
        var offset = 0
        while offset < line.count {
            let written = line.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress?.advanced(by: offset), line.count - offset) }
            if written > 0 { offset += written } else if errno != EINTR { return }
        }
    }
}

extension LogLevel {
    var swiftLogLevel: Logger.Level {
        switch self {
        case .trace: .trace
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        case .critical: .critical
        }
    }
}
