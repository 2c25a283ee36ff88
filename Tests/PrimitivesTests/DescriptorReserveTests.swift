// When connections are refused for want of file descriptors.
import Glibc
import Testing

@testable import Primitives

@Suite("The reserve of file descriptors")
struct DescriptorReserveTests {
    @Test("it is needed when fewer than its size are free, and no descriptor is left open by asking")
    func need() {
        let lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
        close(lowest)
        #expect(!DescriptorReserve.isNeeded(limit: lowest + DescriptorReserve.size + 100))
        #expect(DescriptorReserve.isNeeded(limit: lowest + 2))
        #expect(!DescriptorReserve.isNeeded)
    }
}
