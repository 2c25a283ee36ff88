// SPDX-License-Identifier: Apache-2.0
// The conversions as the settings want them.
import Bridges
import Logging
import MediaIO
import Workers

extension BridgeService {
    static func make(_ settings: Settings, engine: any StreamConverting) -> BridgeService {
        var workers = WorkerPool.Configuration(command: WorkerPool.Configuration.ownExecutable())
        workers.maximumProcesses = settings.transcodingWorkers
        workers.maximumJobsPerProcess = 256
        workers.isolatesOrigins = true
        var configuration = BridgeService.Configuration()
        configuration.isEnabled = !settings.transcodingDisabled
        configuration.maximumBridges = settings.maximumTranscoders
        configuration.maximumPerAddress = settings.maximumTranscodersPerAddress
        configuration.grace = .milliseconds(settings.transcodingIdleTimeout)
        return BridgeService(
            engine: engine, pool: WorkerPool(configuration: workers, logger: Logger(label: "martlet.workers")), configuration: configuration,
            logger: Logger(label: "martlet.bridges"))
    }
}
