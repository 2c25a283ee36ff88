// SPDX-License-Identifier: Apache-2.0
// Figures of WHIP and WHEP for the statistics page.
import Signalling

struct WHIPStatistics: StatSource {
    let service: WHIPService

    func statSections() async -> [StatSection] {
        [StatSection("whip", [
            ("whip_sessions", JSONValue(await service.count)),
        ])]
    }
}
