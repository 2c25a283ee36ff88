// SPDX-License-Identifier: Apache-2.0
// The last line of a process that crashes: which peer's input the thread was at. All that the handler calls is async-signal-safe
// (signal-safety(7)): it formats by hand, into a buffer on its own stack, and writes once.
#define _GNU_SOURCE
#include "cmartlet.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ALTERNATE_STACK = 64 << 10, LINE = 512, SIGNALS = 6 };

static const int signals[SIGNALS] = {SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
static struct sigaction previous[SIGNALS];
static int output = 2;
static __thread martlet_breadcrumb crumb;
static __thread char is_prepared;

typedef struct {
    char bytes[LINE];
    size_t length;
} text;

static void put_byte(text *t, char c) {
    if (t->length < LINE - 1) t->bytes[t->length++] = c;
}

static void put(text *t, const char *s) {
    while (*s) put_byte(t, *s++);
}

// What a peer chose may stand in it: nothing but printable ASCII gets through.
static void put_foreign(text *t, const char *s, size_t most) {
    for (size_t i = 0; i < most && s[i]; i++) put_byte(t, s[i] >= 0x20 && s[i] < 0x7f ? s[i] : '?');
}

static void put_number(text *t, uint64_t value, unsigned base, int width) {
    char digits[20];
    int count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value && count < 20);
    for (int i = count; i < width; i++) put_byte(t, '0');
    while (count) put_byte(t, digits[--count]);
}

static void put_address(text *t, const martlet_address *a) {
    if (a->is_ipv6) {
        put_byte(t, '[');
        for (int i = 0; i < 8; i++) {
            if (i) put_byte(t, ':');
            put_number(t, ((i < 4 ? a->high : a->low) >> (48 - 16 * (i % 4))) & 0xffff, 16, 1);
        }
        put_byte(t, ']');
    } else {
        for (int i = 3; i >= 0; i--) {
            put_number(t, (a->low >> (8 * i)) & 0xff, 10, 1);
            if (i) put_byte(t, '.');
        }
    }
    put_byte(t, ':');
    put_number(t, a->port, 10, 1);
}

// 2026-01-31T12:00:00.123Z, from the days since 1970 (Howard Hinnant's civil_from_days).
static void put_time(text *t) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seconds = now.tv_sec > 0 ? (uint64_t)now.tv_sec : 0, days = seconds / 86400 + 719468, rest = seconds % 86400;
    uint64_t era = days / 146097, day_of_era = days % 146097;
    uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t shifted = (5 * day_of_year + 2) / 153, day = day_of_year - (153 * shifted + 2) / 5 + 1;
    uint64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    put_number(t, year_of_era + era * 400 + (month <= 2), 10, 4);
    put_byte(t, '-'); put_number(t, month, 10, 2);
    put_byte(t, '-'); put_number(t, day, 10, 2);
    put_byte(t, 'T'); put_number(t, rest / 3600, 10, 2);
    put_byte(t, ':'); put_number(t, rest / 60 % 60, 10, 2);
    put_byte(t, ':'); put_number(t, rest % 60, 10, 2);
    put_byte(t, '.'); put_number(t, (uint64_t)now.tv_nsec / 1000000, 10, 3);
    put_byte(t, 'Z');
}

static const char *name_of(int number) {
    switch (number) {
    case SIGILL: return "SIGILL";
    case SIGTRAP: return "SIGTRAP";
    case SIGSEGV: return "SIGSEGV";
    case SIGBUS: return "SIGBUS";
    case SIGFPE: return "SIGFPE";
    default: return "SIGABRT";
    }
}

static void put_work(text *t, const martlet_breadcrumb *c) {
    static const char *const works[] = {
        [MARTLET_WORK_DATAGRAM] = "a UDP datagram", [MARTLET_WORK_TCP_PACKET] = "an ICE-TCP packet", [MARTLET_WORK_TIMER] = "the timers of a peer connection",
        [MARTLET_WORK_FANOUT] = "the fan-out of a stream", [MARTLET_WORK_JOB] = "a request to the reactor", [MARTLET_WORK_WEBSOCKET] = "a WebSocket message",
        [MARTLET_WORK_HTTP] = "an HTTP request", [MARTLET_WORK_RTMP] = "RTMP input", [MARTLET_WORK_RTSP] = "RTSP input"};
    if (c->work <= MARTLET_WORK_NONE || c->work > MARTLET_WORK_RTSP) {
        put(t, " while handling nobody's input");
        return;
    }
    // The control side's handlers may suspend: what they have begun may be over.
    put(t, c->work >= MARTLET_WORK_WEBSOCKET ? " during or after " : " while handling ");
    put(t, works[c->work]);
    if (c->work == MARTLET_WORK_FANOUT) {
        put(t, " handle=");
        put_number(t, c->number, 10, 1);
    } else if (c->work == MARTLET_WORK_DATAGRAM || c->work == MARTLET_WORK_TCP_PACKET) {
        put(t, " peer=");
        put_address(t, &c->peer);
    } else if (c->work >= MARTLET_WORK_WEBSOCKET) {
        put(t, " peer=");
        put_foreign(t, c->name, sizeof c->name);
    }
    if (c->label && c->work != MARTLET_WORK_FANOUT) {
        put_byte(t, ' ');
        put_foreign(t, c->label, 256);
    }
}

static void handle(int number, siginfo_t *info, void *context) {
    (void)context;
    int saved = errno;
    text line = {.length = 0};
    char thread[17] = {0};
    prctl(PR_GET_NAME, thread, 0, 0, 0);
    put_time(&line);
    put(&line, " CRITICAL martlet: the process dies of ");
    put(&line, name_of(number));
    put_work(&line, &crumb);
    put(&line, " thread=");
    put_foreign(&line, thread, sizeof thread);
    put(&line, " pid=");
    put_number(&line, (uint64_t)getpid(), 10, 1);
    put_byte(&line, '\n');
    if (write(output, line.bytes, line.length) < 0) {}
    for (int i = 0; i < SIGNALS; i++) {
        if (signals[i] == number) sigaction(number, &previous[i], NULL);
    }
    // A fault of the processor comes again when the handler returns; a signal that was sent is sent again and waits until then.
    int is_fault = info && info->si_code > 0 && info->si_code != SI_KERNEL && (number == SIGILL || number == SIGSEGV || number == SIGBUS || number == SIGFPE);
    if (!is_fault) syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), number);
    errno = saved;
}

martlet_breadcrumb *martlet_breadcrumb_here(void) {
    if (!is_prepared) {
        is_prepared = 1;
        // A stack of its own for the handler, so that a stack overflow leaves its line too. It lives as long as the thread, and threads
        // that get here live as long as the process.
        stack_t current;
        if (sigaltstack(NULL, &current) == 0 && (current.ss_flags & SS_DISABLE)) {
            void *memory = mmap(NULL, ALTERNATE_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (memory != MAP_FAILED) {
                stack_t stack = {.ss_sp = memory, .ss_size = ALTERNATE_STACK};
                sigaltstack(&stack, NULL);
            }
        }
    }
    return &crumb;
}

void martlet_breadcrumb_name(martlet_breadcrumb *c, const uint8_t *name, size_t length) {
    size_t kept = length < sizeof c->name ? length : sizeof c->name - 1;
    if (name) memcpy(c->name, name, kept);
    c->name[name ? kept : 0] = 0;
}

void martlet_breadcrumb_install(int descriptor) {
    output = descriptor;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < SIGNALS; i++) sigaction(signals[i], &action, &previous[i]);
}
