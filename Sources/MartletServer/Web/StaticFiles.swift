// SPDX-License-Identifier: Apache-2.0
// Serves the pages and the browser SDK from one folder: content types, revalidation, byte ranges (RFC 9110 §13–14).
// Called by WebResponder; never leaves its folder.
import Foundation
import Hummingbird
import HTTPTypes
import NIOPosix

struct StaticFiles: Sendable {
    /// The folder with all symbolic links resolved.
    private let root: String
    private let aliases: AliasTable
    /// What requested paths begin with, and is no part of the file's.
    private let prefix: String

    /// - Throws: `SettingsError` when the folder doesn't exist.
    init(root: String, below prefix: String = "") throws(SettingsError) {
        guard let resolved = Self.realPath(root), Self.status(of: resolved)?.isFolder == true else {
            throw SettingsError(problems: ["web_root: the folder \(root) doesn't exist"])
        }
        self.root = resolved
        self.prefix = prefix
        self.aliases = AliasTable(file: resolved + "/" + AliasTable.fileName)
    }

    /// How many vendor paths lead to pages here.
    var aliasCount: Int { aliases.count }

    /// Answers GET and HEAD.
    func respond(to request: Request, context: WebRequestContext) async -> Response {
        guard let path = request.uri.path.removingPercentEncoding.map({ String($0.dropFirst(prefix.count)) }), let relative = Self.safePath(aliases.target(of: path) ?? path) else {
            return WebResponder.text("The path is malformed\n", status: .badRequest)
        }
        let found: File?
        do {
            let root = root
            found = try await NIOThreadPool.singleton.runIfActive { Self.find(relative, in: root) }
        } catch {
            return WebResponder.text("The server is stopping\n", status: .serviceUnavailable)
        }
        guard let file = found else { return WebResponder.text("There is no page \(path.prefix(200))\n", status: .notFound) }
        // Relative links of a folder's index need the slash.
        if file.isIndex, !path.hasSuffix("/") { return Self.redirect(to: request.uri.path + "/", query: request.uri.query) }
        return serve(file, request: request, context: context)
    }

    private func serve(_ file: File, request: Request, context: WebRequestContext) -> Response {
        var headers = HTTPFields()
        headers[.contentType] = MediaTypes.type(ofFile: file.path)
        headers[.lastModified] = HTTPDate.text(seconds: file.modified)
        headers[.eTag] = file.entityTag
        headers[.acceptRanges] = "bytes"
        // Revalidated each time, so that pages follow an update at once; a 304 costs next to nothing.
        headers[.cacheControl] = "no-cache"
        headers[.accessControlAllowOrigin] = "*"
        headers[.xContentTypeOptions] = "nosniff"
        if Self.isNotModified(file, request.headers) { return Response(status: .notModified, headers: headers) }

        var range: ClosedRange<Int>?
        if let wanted = request.headers[.range], Self.rangeApplies(file, request.headers) {
            switch ByteRange.parse(wanted, size: file.size) {
            case .whole: break
            case .part(let part): range = part
            case .unsatisfiable:
                headers[.contentRange] = "bytes */\(file.size)"
                return Response(status: .rangeNotSatisfiable, headers: headers)
            }
        }
        if let range { headers[.contentRange] = "bytes \(range.lowerBound)-\(range.upperBound)/\(file.size)" }
        headers[.contentLength] = String(range?.count ?? file.size)
        let status: HTTPResponse.Status = range == nil ? .ok : .partialContent
        if request.method == .head || file.size == 0 { return Response(status: status, headers: headers) }
        let body = FileBody.make(path: file.path, range: range ?? 0...(file.size - 1), channel: context.channel)
        return Response(status: status, headers: headers, body: body)
    }

    // MARK: Finding

    struct File: Sendable {
        let path: String
        let size: Int
        /// Seconds since 1970.
        let modified: Int
        let entityTag: String
        let isIndex: Bool
    }

    /// The path without its leading slash; `nil` when it is malformed or climbs out. Names that start with a dot are hidden.
    static func safePath(_ path: String) -> String? {
        guard path.hasPrefix("/"), !path.utf8.contains(0), !path.contains("\\"), path.utf8.count <= 4_096 else { return nil }
        let parts = path.split(separator: "/")
        guard !parts.contains(where: { $0.hasPrefix(".") }) else { return nil }
        return parts.joined(separator: "/")
    }

    private static func find(_ relative: String, in root: String) -> File? {
        guard relative != AliasTable.fileName, let path = realPath(root + "/" + relative),
            path == root || path.hasPrefix(root == "/" ? "/" : root + "/"), let status = status(of: path)
        else { return nil }
        guard status.isFolder else { return status.isRegular ? file(path, status, isIndex: false) : nil }
        guard let index = realPath(path + "/index.html"), index.hasPrefix(root + "/"), let indexStatus = Self.status(of: index),
            indexStatus.isRegular
        else { return nil }
        return file(index, indexStatus, isIndex: true)
    }

    private static func file(_ path: String, _ status: FileStatus, isIndex: Bool) -> File {
        let tag = "\"\(String(status.size, radix: 16))-\(String(status.seconds, radix: 16))-\(String(status.nanoseconds, radix: 16))\""
        return File(path: path, size: status.size, modified: status.seconds, entityTag: tag, isIndex: isIndex)
    }

    private struct FileStatus {
        var isFolder: Bool
        var isRegular: Bool
        var size: Int
        var seconds: Int
        var nanoseconds: Int
    }

    private static func status(of path: String) -> FileStatus? {
        var info = stat()
        guard stat(path, &info) == 0 else { return nil }
        let kind = info.st_mode & S_IFMT
        return FileStatus(isFolder: kind == S_IFDIR, isRegular: kind == S_IFREG, size: Int(info.st_size),
                          seconds: info.st_mtim.tv_sec, nanoseconds: info.st_mtim.tv_nsec)
    }

    private static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    // MARK: Conditions

    private static func isNotModified(_ file: File, _ headers: HTTPFields) -> Bool {
        if let tags = headers[.ifNoneMatch] {
            return tags.split(separator: ",").contains { tag in
                let tag = tag.trimmingWhitespace()
                return tag == "*" || tag == file.entityTag || tag == "W/" + file.entityTag
            }
        }
        guard let since = headers[.ifModifiedSince].flatMap(HTTPDate.seconds) else { return false }
        return file.modified <= since
    }

    /// If-Range: a part of another version would not fit what the client has.
    private static func rangeApplies(_ file: File, _ headers: HTTPFields) -> Bool {
        guard let condition = headers[.ifRange] else { return true }
        return condition == file.entityTag || condition == HTTPDate.text(seconds: file.modified)
    }

    private static func redirect(to path: String, query: String?) -> Response {
        // A path that starts with two slashes would be taken for another host.
        let target = "/" + path.drop { $0 == "/" }
        return Response(status: .found, headers: [.location: query.map { "\(target)?\($0)" } ?? target, .cacheControl: "no-cache"])
    }
}
