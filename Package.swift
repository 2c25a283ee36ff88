// swift-tools-version: 6.1
// SPDX-License-Identifier: Apache-2.0
// One package, small modules. Arrows point down only; see docs/architecture.md.
import PackageDescription

// The packet path: exclusivity is checked statically and, in debug builds, at run time; a release build doesn't pay for it per packet.
let hotPath: [SwiftSetting] = [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

let package = Package(
    name: "martlet",
    products: [
        .executable(name: "martlet", targets: ["martlet"]),
        .library(name: "NetworkEmulator", targets: ["NetworkEmulator"]),
    ],
    // Exact, since there is no lock file beside it: Package.resolved also names where a mirror of these lies.
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    ],
    targets: [
        // System libraries and the few C lines Swift can't say.
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CFFmpeg", pkgConfig: "libavcodec libavformat libavutil libswscale libswresample",
            providers: [.apt(["libavcodec-dev", "libavformat-dev", "libavutil-dev", "libswscale-dev", "libswresample-dev"])]),
        .systemLibrary(name: "CASS", pkgConfig: "libass", providers: [.apt(["libass-dev"])]),
        .systemLibrary(name: "CSRTP", pkgConfig: "libsrtp2", providers: [.apt(["libsrtp2-dev"])]),
        .target(name: "CMartlet"),

        // Protocols: pure, sans-IO.
        .target(name: "Primitives"),
        .target(name: "RTP", dependencies: ["Primitives"], swiftSettings: hotPath),
        .target(name: "SDP", dependencies: ["Primitives"]),
        .target(name: "ICE", dependencies: ["Primitives", "COpenSSL"]),
        .target(name: "DTLS", dependencies: ["Primitives", "COpenSSL"]),
        .target(name: "SRTP", dependencies: ["Primitives", "COpenSSL"], swiftSettings: hotPath),
        .target(name: "RTSP", dependencies: ["RTP", "SDP", "COpenSSL"]),
        .target(name: "WebRTC", dependencies: ["Primitives", "RTP", "SDP", "ICE", "DTLS", "SRTP"], swiftSettings: hotPath),
        .target(name: "RTMP", dependencies: ["Primitives", "COpenSSL"]),
        .target(name: "Signalling", dependencies: []),
        .target(name: "NetworkEmulator", dependencies: ["Primitives"]),

        // A bad network between real programs.
        .target(name: "NetworkRelay", dependencies: ["NetworkEmulator", "Primitives"]),

        // The clocks of the machine: what everything above is told the time by.
        .target(name: "Clocks", dependencies: ["Primitives"]),

        // Media: the forwarding path and the threads that drive it.
        .target(name: "MediaGraph", dependencies: ["Primitives", "RTP", "SDP", "SRTP", "WebRTC"], swiftSettings: hotPath),
        .target(name: "MediaIO", dependencies: ["Clocks", "Primitives", "WebRTC", "MediaGraph", "CMartlet"], swiftSettings: hotPath),
        .target(name: "Codecs", dependencies: ["CFFmpeg", "Primitives"]),

        // Work on what strangers sent, in processes of its own.
        .target(name: "CWorkers"),
        .target(name: "Workers", dependencies: ["CWorkers", .product(name: "Logging", package: "swift-log")]),
        .target(
            name: "Snapshots",
            dependencies: [
                "Codecs", "RTP", "MediaGraph", "MediaIO", "Primitives", "Workers", .product(name: "Logging", package: "swift-log"),
            ]),

        .target(
            name: "Recording",
            dependencies: [
                "Clocks", "Codecs", "RTP", "SDP", "MediaGraph", "MediaIO", "Primitives", "Workers", .product(name: "Logging", package: "swift-log"),
            ]),

        .target(
            name: "Bridges",
            dependencies: [
                "Clocks", "Codecs", "RTP", "SDP", "MediaGraph", "MediaIO", "Primitives", "Workers", .product(name: "Logging", package: "swift-log"),
            ]),

        // Records of several streams into one picture and one sound.
        .target(name: "Mixing", dependencies: ["CASS", "Codecs", "Primitives", "RTP", "Recording"]),

        .target(name: "MediaTools", dependencies: ["Clocks", "Codecs", "RTP", "SDP", "Primitives"]),

        // The composition and the executable.
        .target(
            name: "MartletServer",
            dependencies: [
                "Clocks", "Signalling", "MediaIO", "SDP", "DTLS", "RTMP", "RTSP", "RTP", "Codecs", "Snapshots", "Recording", "Bridges", "Workers",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ]),
        // What the commands publish, play and demo are made of.
        .target(name: "StreamClients", dependencies: ["Clocks", "MartletServer", "MediaTools", "MediaIO"]),
        // The load generator of `martlet bench`, and its few lines of C.
        .target(name: "CBenchmarks"),
        .target(
            name: "Benchmarks",
            dependencies: [
                "MartletServer", "Signalling", "WebRTC", "RTP", "SDP", "SRTP", "DTLS", "Primitives", "CMartlet", "CBenchmarks", "Codecs", "MediaTools",
                "Mixing",
            ]),
        .executableTarget(
            name: "martlet",
            dependencies: [
                "MartletServer", "StreamClients", "Benchmarks", "Snapshots", "Recording", "Bridges", "Mixing", "Workers", "NetworkRelay",
                "CMartlet", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),

        // Tests: one target per module, files named after what they test.
        .testTarget(name: "PrimitivesTests", dependencies: ["Primitives"]),
        .testTarget(name: "RTPTests", dependencies: ["RTP", "Primitives"]),
        .testTarget(name: "SDPTests", dependencies: ["SDP"]),
        .testTarget(name: "ICETests", dependencies: ["ICE", "NetworkEmulator"]),
        .testTarget(name: "NetworkEmulatorTests", dependencies: ["NetworkEmulator"]),
        .testTarget(name: "DTLSTests", dependencies: ["DTLS"]),
        .testTarget(name: "SRTPTests", dependencies: ["SRTP", "CSRTP"]),
        .testTarget(name: "MediaGraphTests", dependencies: ["MediaGraph", "NetworkEmulator", "DTLS"]),
        .testTarget(name: "MediaIOTests", dependencies: ["MediaIO", "CMartlet"]),
        .testTarget(name: "CodecsTests", dependencies: ["Codecs"]),
        .testTarget(name: "WorkersTests", dependencies: ["Workers", "CWorkers"]),
        .testTarget(
            name: "SnapshotsTests",
            dependencies: ["Snapshots", "Workers", "Codecs", "CFFmpeg", "MediaTools", "MediaIO", "RTP", "SDP", "Primitives"]),
        .testTarget(
            name: "RecordingTests",
            dependencies: ["Recording", "Workers", "Codecs", "CFFmpeg", "MediaTools", "MediaIO", "NetworkEmulator", "RTP", "SDP", "Primitives"]),
        .testTarget(
            name: "BridgesTests",
            dependencies: ["Bridges", "Workers", "Codecs", "MediaTools", "MediaIO", "RTP", "SDP", "Primitives"]),
        .testTarget(name: "MixingTests", dependencies: ["Mixing", "Recording", "Codecs", "MediaTools", "CFFmpeg"]),
        .testTarget(name: "MediaToolsTests", dependencies: ["Clocks", "MediaTools", "Codecs", "CFFmpeg", "RTP", "SDP", "Primitives"]),
        .testTarget(name: "RTSPTests", dependencies: ["RTSP", "SDP"]),
        .testTarget(name: "RTMPTests", dependencies: ["RTMP", "Primitives"]),
        .testTarget(name: "SignallingTests", dependencies: ["Signalling"]),
        .testTarget(name: "BenchmarksTests", dependencies: ["Benchmarks", "MediaIO", "RTP", "DTLS"]),
        .testTarget(name: "MartletServerTests", dependencies: ["MartletServer"]),
    ],
    swiftLanguageModes: [.v6]
)
