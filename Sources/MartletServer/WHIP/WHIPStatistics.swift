// Figures of WHIP and WHEP for the statistics page.
import Primitives
import Signalling

struct WHIPStatistics: StatSource {
    let service: WHIPService
    let limiter: SourceRateLimiter<String>

    func statSections() async -> [StatSection] {
        [StatSection("whip", [
            ("whip_sessions", JSONValue(await service.count)), ("whip_sessions_refused_by_rate", .integer(Int64(clamping: limiter.refused))),
        ])]
    }
}
