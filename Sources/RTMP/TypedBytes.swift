// SPDX-License-Identifier: Apache-2.0
// `withUnsafeBytes` for bodies that throw this module's error and no other.

extension [UInt8] {
    func withBytes<Value>(_ body: (UnsafeRawBufferPointer) throws(RTMPError) -> Value) throws(RTMPError) -> Value {
        try withUnsafeBytes { bytes -> Result<Value, RTMPError> in
            do throws(RTMPError) { return .success(try body(bytes)) } catch { return .failure(error) }
        }.get()
    }
}
