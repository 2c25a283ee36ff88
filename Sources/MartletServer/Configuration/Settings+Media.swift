// SPDX-License-Identifier: Apache-2.0
// The settings as the media engine takes them.
import MediaIO
import Primitives
import SDP

extension Settings {
    /// - Parameter announcedAddresses: `publicAddresses` with host names resolved.
    func mediaEngineConfiguration(announcedAddresses: [String]) -> MediaEngineConfiguration {
        var configuration = MediaEngineConfiguration()
        configuration.reactors = reactors
        configuration.playersPerReactor = playersPerReactor
        configuration.portFrom = UInt16(clamping: mediaPortFrom)
        configuration.portTo = UInt16(clamping: mediaPortTo)
        configuration.announcedAddresses = announcedAddresses
        configuration.offersLoopback = offersLoopback
        configuration.codecs.video = videoCodecs
        configuration.codecs.audio = audioCodecs
        configuration.iceTimeout = .milliseconds(Int64(iceTimeout))
        configuration.consentTimeout = .milliseconds(Int64(iceConsentTimeout))
        configuration.rtpActivityTimeout = .milliseconds(Int64(rtpActivityTimeout))
        configuration.periodicKeyFrameInterval = periodicKeyFrameRequest ? .milliseconds(Int64(periodicKeyFrameInterval)) : nil
        configuration.keyFrameRequestGap = .milliseconds(Int64(keyFrameRequestGap))
        configuration.refreshInterval = .milliseconds(Int64(refreshInterval))
        configuration.lowestREMB = publisherMinimumBitrate
        configuration.highestREMB = publisherMaximumBitrate
        configuration.maximumEndpoints = maximumEndpoints
        configuration.maximumHandshakes = maximumHandshakes
        configuration.maximumHandshakesPerAddress = maximumHandshakesPerAddress
        configuration.tcp.isOpen = mediaOverTCP
        configuration.tcp.isDefault = mediaOverTCPOnly
        configuration.tcp.maximumConnections = maximumTCPConnections
        configuration.tcp.maximumConnectionsPerAddress = maximumTCPConnectionsPerAddress
        configuration.tcp.highWaterMark = tcpHighWaterMark
        configuration.tcp.lowWaterMark = tcpLowWaterMark
        configuration.tcp.maximumDelay = .milliseconds(Int64(tcpMaximumDelay))
        return configuration
    }
}
