// SPDX-License-Identifier: Apache-2.0
// What Swift's Glibc can't say about starting a process: close-from, and a clean signal state. Used by module Workers only.
#pragma once
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

// Starts `argv` with `fd` as its descriptor 3, /dev/null as standard input and output, standard error inherited and every other
// descriptor closed; in a process group of its own (Ctrl-C is the server's affair), with default signals and no mask.
// Returns the process id or -errno.
pid_t martlet_worker_spawn(const char *const *argv, const char *const *environment, int fd);

// Makes the calling process bounded: no core files, at most `maximum_memory` bytes of data (0 = no bound).
void martlet_worker_settle(uint64_t maximum_memory);

// Makes the calling thread, and those that it starts, give way to others: adds to its nice value.
void martlet_worker_be_nice(int niceness);

// A connected pair of stream sockets, both close-on-exec. 0 or -errno.
int martlet_worker_pair(int pair[2]);

// A pipe, both ends close-on-exec. 0 or -errno.
int martlet_program_pipe(int pair[2]);

// Starts `argv` with /dev/null as standard input and `output` as standard output and error; otherwise as a worker is started.
// Returns the process id or -errno.
pid_t martlet_program_spawn(const char *const *argv, const char *const *environment, int output);

#ifdef __cplusplus
}
#endif
