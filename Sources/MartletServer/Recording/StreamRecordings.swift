// SPDX-License-Identifier: Apache-2.0
// Recordings by media session, with the settings that go with them: what the registry of streams and REST ask. Owned by the
// composition.
import Foundation
import Logging
import MediaIO
import Primitives
import Recording
import Workers

struct StreamRecordings: PublisherRecorder {
    let service: RecordingService
    let template: RecordTemplate
    let rotation: RecordRotation
    /// Publishers' wish to be recorded is heeded.
    let isEnabled: Bool
    /// Files of a room begin together, with its first stream.
    var alignsRooms = false
    let origins = RoomOrigins()
    /// Recordings that have ended before their streams: publishers are told.
    let stops: AsyncStream<(mediaSessionID: String, reason: String)>
    /// Of records of several streams.
    let groupHook: RecordHook?
    let logger: Logger
    /// Media that came before PUBLISHING was told belongs to a recording from the start, ns.
    static let backlog = TimeSpan.seconds(5)

    func begin(_ record: StreamRecord, owner: StreamOwner, stream: StreamHandle) async {
        guard isEnabled else { return }
        var request = request(record, owner, login: owner.login, stream, template)
        request.isAskedForByPublisher = true
        request.rotation = rotation
        request.backlog = Self.backlog
        if alignsRooms, let room = record.room { request.origin = origins.origin(of: room) }
        do {
            try await service.start(request)
        } catch {
            logger.log(
                level: error == .quota ? .warning : .error, "the stream is not recorded", metadata: StreamRegistry.metadata(record, ["reason": "\(error)"]))
            // Whoever asked for a record would find out at its end.
            owner.deliver(.recordingStopped(record.mediaSessionID, "\(error)"))
        }
    }

    func tracksChanged(_ mediaSessionID: String) async { await service.tracksChanged(mediaSessionID) }

    func end(_ mediaSessionID: String) async -> String? { await service.stopOfEndedStream(mediaSessionID)?.first?.fileName }

    /// On demand: what runs is ended, and another recording begun.
    func start(
        _ record: StreamRecord, owner: StreamOwner, stream: StreamHandle, template: RecordTemplate?, rotation: RecordRotation?
    ) async throws(RecordingError) {
        var request = request(record, owner, login: owner.login, stream, template ?? self.template)
        request.rotation = rotation ?? self.rotation
        try await service.start(request)
    }

    /// Into the recording of several streams.
    func add(
        _ record: StreamRecord, owner: StreamOwner, login: String, stream: StreamHandle, toGroup address: String
    ) async throws(RecordingError) {
        var request = request(record, owner, login: login, stream, template)
        request.backlog = Self.backlog
        try await service.add(request, toGroup: address)
    }

    private func request(
        _ record: StreamRecord, _ owner: StreamOwner, login: String, _ stream: StreamHandle, _ template: RecordTemplate
    ) -> RecordingRequest {
        var request = RecordingRequest(stream: stream, facts: Self.facts(record, login: login), template: template)
        request.source = owner.workerOrigin
        return request
    }

    /// A client that gave no login has the end of its session's id for one, so that names of files differ.
    private static func facts(_ record: StreamRecord, login: String) -> RecordFacts {
        RecordFacts(
            streamName: record.name, mediaSessionID: record.mediaSessionID, sessionID: record.sessionID,
            login: login.isEmpty ? String(record.sessionID.suffix(12)) : login, room: record.room)
    }
}

extension StreamRecordings {
    /// With workers of its own, as the settings say.
    static func make(_ settings: Settings, engine: any StreamTapping) -> StreamRecordings {
        let logger = Logger(label: "martlet.recording")
        var workers = WorkerPool.Configuration(command: WorkerPool.Configuration.ownExecutable())
        workers.maximumProcesses = settings.recordWorkers
        workers.maximumJobsPerProcess = 32
        workers.isolatesOrigins = true
        var configuration = RecordingService.Configuration(folder: folder(settings))
        configuration.formats = RecordFormats(settings.recordFormats) ?? RecordFormats()
        configuration.minimumFree = Int64(settings.recordMinimumFree) << 20
        configuration.quotaPerAddress = Int64(settings.recordQuotaPerAddress) << 20
        let hook = RecordHook(script: settings.recordHookScript, timeLimit: .milliseconds(settings.recordHookTimeout), logger: logger)
        let folder = configuration.folder
        let groupHook = RecordHook(
            script: settings.multipleRecordHookScript,
            timeLimit: settings.multipleRecordHookTimeout > 0 ? .milliseconds(settings.multipleRecordHookTimeout) : nil, logger: logger, notes: folder + "/.hooks")
        let (stops, stopped) = AsyncStream.makeStream(of: (mediaSessionID: String, reason: String).self)
        let service = RecordingService(
            taps: engine, pool: WorkerPool(configuration: workers, logger: Logger(label: "martlet.workers")), configuration: configuration,
            logger: logger, onFinished: { record in hook?.run(record.facts.streamName, "\(folder)/\(record.fileName)") },
            onGroupFinished: { record in
                groupHook?.run("\(folder)/\(record.fileName)", "\(record.startTime)", "\(record.milliseconds)", record.facts.streamName)
            },
            onStopped: { facts, stop in stopped.yield((facts.mediaSessionID, "\(stop)")) })
        return StreamRecordings(
            service: service, template: RecordTemplate(settings.recordTemplate) ?? RecordTemplate.standard,
            rotation: RecordRotation(settings.recordRotation) ?? RecordRotation(), isEnabled: settings.recordStreams,
            alignsRooms: settings.recordAlignsRooms, stops: stops, groupHook: groupHook, logger: logger)
    }

    /// Absolute, because scripts are told paths in it.
    static func folder(_ settings: Settings) -> String {
        let path = settings.recordFolder.isEmpty ? settings.stateDirectory + "/records" : settings.recordFolder
        return URL(fileURLWithPath: path).standardizedFileURL.path
    }
}
