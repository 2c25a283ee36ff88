// SPDX-License-Identifier: Apache-2.0
// When each endpoint wants to be called next, side by side in memory: a timer that looks at ten thousand of them touches 80 kB instead of
// ten thousand objects. Owned by ReactorCore.
import MediaGraph
import Primitives

/// Endpoints keep their `deadline` up to date in here by themselves. Places are given out and taken back; they never move.
final class DeadlineTable {
    private static let chunk = 1_024
    private var chunks: [UnsafeMutablePointer<Instant>] = []
    private var endpoints: ContiguousArray<Endpoint?> = []
    private var free: [Int] = []

    deinit {
        for endpoint in endpoints { endpoint?.deadlinePlace = nil }
        for chunk in chunks { chunk.deallocate() }
    }

    func add(_ endpoint: Endpoint) {
        if free.isEmpty {
            let first = endpoints.count
            let cells = UnsafeMutablePointer<Instant>.allocate(capacity: Self.chunk)
            cells.initialize(repeating: .distantFuture, count: Self.chunk)
            chunks.append(cells)
            endpoints.append(contentsOf: repeatElement(nil, count: Self.chunk))
            free = Array((first..<first + Self.chunk).reversed())
        }
        let place = free.removeLast()
        endpoints[place] = endpoint
        endpoint.deadlinePlace = (chunks[place / Self.chunk] + place % Self.chunk, place)
    }

    func remove(_ endpoint: Endpoint) {
        guard let (cell, place) = endpoint.deadlinePlace else { return }
        endpoint.deadlinePlace = nil
        cell.pointee = .distantFuture
        endpoints[place] = nil
        free.append(place)
    }

    /// Those whose time has come.
    func due(at now: Instant) -> [Endpoint] {
        var due: [Endpoint] = []
        for (index, cells) in chunks.enumerated() {
            for i in 0..<Self.chunk where cells[i] <= now {
                if let endpoint = endpoints[index * Self.chunk + i] { due.append(endpoint) }
            }
        }
        return due
    }
}
