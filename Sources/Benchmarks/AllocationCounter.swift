// SPDX-License-Identifier: Apache-2.0
// Counts the server's heap allocations from outside: a small library in front of malloc (LD_PRELOAD), compiled on the spot,
// with one counter a thread in memory that both processes see.
import Foundation

/// The counters of one server process. `nil` where there is no C compiler: the figure is left out then.
final class AllocationCounter: Sendable {
    private static let slots = 512
    private static let slotLength = 64

    /// What the server must be started with.
    let environment: [String: String]
    private let file: String

    private init(library: String, file: String) {
        environment = ["LD_PRELOAD": library, "MARTLET_ALLOCATION_COUNTS": file]
        self.file = file
    }

    /// Compiles the library into `folder` and makes the shared file.
    static func make(in folder: String) -> AllocationCounter? {
        let absolute = URL(fileURLWithPath: folder).path
        let source = "\(absolute)/allocations.c", library = "\(absolute)/allocations.so", file = "\(absolute)/allocations"
        guard (try? Self.source.write(toFile: source, atomically: true, encoding: .utf8)) != nil,
            FileManager.default.createFile(atPath: file, contents: Data(count: slots * slotLength))
        else { return nil }
        for compiler in ["cc", "gcc", "clang"] {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [compiler, "-O2", "-fPIC", "-shared", "-o", library, source]
            process.standardError = FileHandle.nullDevice
            guard (try? process.run()) != nil else { continue }
            process.waitUntilExit()
            if process.terminationStatus == 0 { return AllocationCounter(library: library, file: file) }
        }
        return nil
    }

    /// Allocations so far by thread id. Threads that have ended are still in it.
    func read() -> [Int32: UInt64] {
        guard let data = FileManager.default.contents(atPath: file) else { return [:] }
        var result: [Int32: UInt64] = [:]
        data.withUnsafeBytes { bytes in
            for start in stride(from: 0, to: bytes.count - Self.slotLength + 1, by: Self.slotLength) {
                let thread = bytes.loadUnaligned(fromByteOffset: start, as: Int32.self)
                if thread != 0 { result[thread, default: 0] += bytes.loadUnaligned(fromByteOffset: start + 8, as: UInt64.self) }
            }
        }
        return result
    }

    private static let source = """
        // malloc and its relatives, counted. Each thread writes to a slot of its own; no lock, no allocation in here.
        #define _GNU_SOURCE
        #include <errno.h>
        #include <fcntl.h>
        #include <stdint.h>
        #include <stdlib.h>
        #include <sys/mman.h>
        #include <sys/syscall.h>
        #include <unistd.h>

        extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);

        typedef struct { int32_t thread; uint32_t reserved; volatile uint64_t count; uint8_t rest[48]; } slot;
        enum { SLOTS = \(slots) };
        static slot *slots;
        static int used;
        static __thread slot *own __attribute__((tls_model("initial-exec")));

        __attribute__((constructor)) static void begin(void) {
            const char *path = getenv("MARTLET_ALLOCATION_COUNTS");
            int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
            if (fd < 0) return;
            void *memory = mmap(0, sizeof(slot) * SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            close(fd);
            if (memory != MAP_FAILED) slots = memory;
        }

        static inline void count(void) {
            if (!slots) return;
            if (!own) {
                int index = __atomic_fetch_add(&used, 1, __ATOMIC_RELAXED);
                own = &slots[index < SLOTS ? index : SLOTS - 1];
                own->thread = (int32_t)syscall(SYS_gettid);
            }
            own->count++;
        }

        void *malloc(size_t n) { count(); return __libc_malloc(n); }
        void *calloc(size_t n, size_t m) { count(); return __libc_calloc(n, m); }
        void *realloc(void *p, size_t n) { count(); return __libc_realloc(p, n); }
        void *memalign(size_t a, size_t n) { count(); return __libc_memalign(a, n); }
        void *aligned_alloc(size_t a, size_t n) { count(); return __libc_memalign(a, n); }
        int posix_memalign(void **p, size_t a, size_t n) {
            count();
            *p = __libc_memalign(a, n);
            return *p ? 0 : ENOMEM;
        }

        """
}
