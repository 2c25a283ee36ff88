// SPDX-License-Identifier: Apache-2.0
// The version of this build, as `martlet version`, REST and statistics say it.

public enum Version {
    /// Semantic version.
    public static let current = "0.1.0"
}
