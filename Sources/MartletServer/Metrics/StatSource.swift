// SPDX-License-Identifier: Apache-2.0
// Figures for the statistics page (`?action=stat`). Services implement StatSource; StatPage puts their sections together.
import Signalling

/// A group of figures, e.g. `connection` with `connections` and `connections_websocket`.
struct StatSection: Sendable, Equatable {
    /// One lower-case word (letters and `_`): WCS's console finds a section by it.
    let name: String
    /// In the order they are printed. Arrays and objects appear in the JSON form only.
    var values: [(key: String, value: JSONValue)]

    init(_ name: String, _ values: [(key: String, value: JSONValue)]) {
        self.name = name
        self.values = values
    }

    static func == (a: StatSection, b: StatSection) -> Bool {
        a.name == b.name && a.values.elementsEqual(b.values) { $0.key == $1.key && $0.value == $1.value }
    }
}

/// Something that has figures to show. Asked on each request of the page.
protocol StatSource: Sendable {
    func statSections() async -> [StatSection]
}
