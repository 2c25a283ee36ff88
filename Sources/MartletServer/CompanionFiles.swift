// SPDX-License-Identifier: Apache-2.0
// Finds what comes with the program: pages, scripts.
import Foundation

enum CompanionFiles {
    /// The first that exists of: `path` in the working directory, beside the program's `bin` folder in `share/martlet` (an
    /// installation), in a folder above the program (a source tree).
    static func locate(_ path: String) -> String? {
        var candidates = [path]
        if let executable = self.executable {
            var folder = (executable as NSString).deletingLastPathComponent
            candidates.append((folder as NSString).deletingLastPathComponent + "/share/martlet/" + path)
            for _ in 0..<5 where folder != "/" {
                candidates.append(folder + "/" + path)
                folder = (folder as NSString).deletingLastPathComponent
            }
        }
        return candidates.first { FileManager.default.fileExists(atPath: $0) }
    }

    /// This program.
    static var executable: String? { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") }
}
