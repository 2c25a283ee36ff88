# SPDX-License-Identifier: Apache-2.0
"""The wall clock of one server process, to be set at will: a small library that goes before libc's functions. Clocks that can't be set stay as they are."""
import mmap
import shutil
import struct
import subprocess

import pytest

SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset;

__attribute__((constructor)) static void map_offset(void) {
    const char *path = getenv("WALL_CLOCK_OFFSET");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) offset = mapped;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *offset;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (result) *result = exact.tv_sec;
    return exact.tv_sec;
}
"""


class WallClock:
    """`node.environment.update(clock.environment)` before its start; `clock.set(3600)`: from now on it's an hour later there."""

    def __init__(self, folder):
        compiler = shutil.which("gcc") or shutil.which("clang")
        if not compiler:
            pytest.skip("without a C compiler there is no clock to set")
        source, library, self.file = folder / "wall_clock.c", folder / "wall_clock.so", open(folder / "wall_clock.offset", "w+b")
        source.write_text(SOURCE)
        made = subprocess.run([compiler, "-O1", "-Wall", "-shared", "-fPIC", "-o", str(library), str(source)], capture_output=True, text=True, timeout=60)
        assert made.returncode == 0, made.stderr
        self.file.write(bytes(8))
        self.file.flush()
        self.offset = mmap.mmap(self.file.fileno(), 8)
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK_OFFSET": self.file.name}

    def set(self, seconds):
        """Seconds by which it's later there than here."""
        self.offset[:] = struct.pack("=q", seconds)
