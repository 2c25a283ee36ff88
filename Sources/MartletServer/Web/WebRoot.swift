// Finds the folder of the pages when no setting names it.
import Foundation

enum WebRoot {
    /// `web_root` when set; else the first that exists of: `Web` in the working directory, `Web` in a folder above the
    /// executable (a source tree), `share/martlet/Web` beside its `bin` folder (an installation).
    static func locate(setting: String) -> String? {
        if !setting.isEmpty { return setting }
        var candidates = ["Web"]
        if let executable = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") {
            var folder = (executable as NSString).deletingLastPathComponent
            candidates.append((folder as NSString).deletingLastPathComponent + "/share/martlet/Web")
            for _ in 0..<5 where folder != "/" {
                candidates.append(folder + "/Web")
                folder = (folder as NSString).deletingLastPathComponent
            }
        }
        return candidates.first { candidate in
            FileManager.default.fileExists(atPath: candidate + "/index.html")
        }
    }
}
