// SPDX-License-Identifier: Apache-2.0
// Finds the folder of the pages when no setting names it.
import Foundation

enum WebRoot {
    /// `web_root` when set; else where `CompanionFiles` finds `Web`.
    static func locate(setting: String) -> String? {
        if !setting.isEmpty { return setting }
        return CompanionFiles.locate("Web/index.html").map { ($0 as NSString).deletingLastPathComponent }
    }
}
