// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "cworkers.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

int martlet_worker_pair(int pair[2]) {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return -errno;
    // Room for a group of pictures, so that neither side waits for the other's scheduling. Best effort: the system caps it.
    int size = 1 << 20;
    for (int i = 0; i < 2; i++) {
        setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        setsockopt(pair[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
    return 0;
}

static pid_t spawn(const char *const *argv, const char *const *environment, posix_spawn_file_actions_t *actions) {
    posix_spawnattr_t attributes;
    sigset_t all, none;
    pid_t pid = 0;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    int error = posix_spawn(&pid, argv[0], actions, &attributes, (char *const *)argv, (char *const *)environment);
    posix_spawn_file_actions_destroy(actions);
    posix_spawnattr_destroy(&attributes);
    return error == 0 ? pid : -error;
}

pid_t martlet_worker_spawn(const char *const *argv, const char *const *environment, int fd) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, 3);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, 4);
    return spawn(argv, environment, &actions);
}

int martlet_program_pipe(int pair[2]) { return pipe2(pair, O_CLOEXEC) == 0 ? 0 : -errno; }

pid_t martlet_program_spawn(const char *const *argv, const char *const *environment, int output) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_adddup2(&actions, output, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    return spawn(argv, environment, &actions);
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

void martlet_worker_settle(uint64_t maximum_memory) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    // A sanitizer's shadow of the memory, terabytes of it, would count as memory.
    if (maximum_memory > 0 && !SANITIZED) {
        struct rlimit memory = {maximum_memory, maximum_memory};
        setrlimit(RLIMIT_DATA, &memory);
    }
}

// On Linux the nice value belongs to the thread, whatever POSIX says.
void martlet_worker_be_nice(int niceness) {
    if (niceness > 0) setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + niceness);
}
