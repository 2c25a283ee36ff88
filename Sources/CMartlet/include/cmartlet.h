// SPDX-License-Identifier: Apache-2.0
// What Swift's Glibc can't say: epoll, eventfd, and the socket calls that need cmsg macros (UDP_GRO, UDP_SEGMENT).
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#ifdef __cplusplus
extern "C" {
#endif

// An address as two big-endian words' values, the way SocketAddress keeps it (IPv4 in the low 32 bits of `low`).
typedef struct {
    uint64_t high, low;
    uint16_t port;
    uint8_t is_ipv6;
} martlet_address;

// One received buffer. With GRO it holds several datagrams of `segment` bytes each, the last possibly shorter.
typedef struct {
    uint8_t *data;
    uint32_t length;
    uint32_t segment;
    martlet_address from;
    // The address of ours that it was sent to; only when asked for by martlet_udp_note_destination.
    martlet_address to;
    uint8_t has_to;
} martlet_datagram;

typedef struct martlet_receiver martlet_receiver;

// Buffers for 16 receives of 64 KiB. NULL when memory is short.
martlet_receiver *martlet_receiver_create(void);
void martlet_receiver_destroy(martlet_receiver *receiver);
// Receives what is there without waiting: number of buffers filled, 0 when nothing is there, -errno on an error.
int martlet_receive(martlet_receiver *receiver, int fd);
const martlet_datagram *martlet_received(const martlet_receiver *receiver, int index);

// Opens a non-blocking UDP socket on all addresses (dual-stack where the system has IPv6) with large buffers and GRO.
// port 0 = any. Returns the descriptor or -errno; *is_ipv6 tells which family it has, *bound_port the port.
int martlet_udp_open(uint16_t port, int *is_ipv6, uint16_t *bound_port);

// Asks for the address of ours that each datagram was sent to. For machines with several addresses of one family.
void martlet_udp_note_destination(int fd, int is_ipv6);

// Datagrams that the kernel has dropped because the socket's receive buffer was full.
uint32_t martlet_udp_drops(int fd);

// Sends `length` bytes, cut into datagrams of `segment` bytes when segment > 0 (UDP_SEGMENT). 0 or -errno.
int martlet_send(int fd, int socket_is_ipv6, const void *data, size_t length, uint16_t segment, martlet_address to);

// The same, leaving from one of our addresses instead of the one the routing table prefers.
int martlet_send_from(
    int fd, int socket_is_ipv6, const void *data, size_t length, uint16_t segment, martlet_address to, const martlet_address *from);

// Opens a non-blocking TCP listener on all addresses, dual-stack where the system has IPv6. The descriptor or -errno.
int martlet_tcp_listen(uint16_t port);
// Takes one connection: non-blocking, without Nagle's delay, and with little unsent data kept in the kernel, so that what
// waits can still be thrown away here. The descriptor or -errno; *from is the peer.
int martlet_tcp_accept(int listener, martlet_address *from);
// Sends `count` packets that lie one after the other, each `segment` bytes long but the last, each behind its length in
// 16 bits (RFC 4571), in one call. The number of bytes taken, lengths included, or -errno. count <= 64.
long martlet_tcp_send_frames(int fd, const uint8_t *data, size_t length, size_t segment, int count);

// Names the calling thread (15 characters at most are kept), as top -H shows it.
void martlet_name_thread(const char *name);

// MARK: the last line of a process that crashes (crash.c)

// What a thread is at.
typedef enum {
    MARTLET_WORK_NONE = 0,
    MARTLET_WORK_DATAGRAM,
    MARTLET_WORK_TCP_PACKET,
    MARTLET_WORK_TIMER,
    MARTLET_WORK_FANOUT,
    MARTLET_WORK_JOB,
    MARTLET_WORK_WEBSOCKET,
    MARTLET_WORK_HTTP,
    MARTLET_WORK_RTMP,
    MARTLET_WORK_RTSP,
} martlet_work;

// Each thread's own; written by plain stores, read by the signal handler of the same thread.
typedef struct {
    martlet_work work;
    // The peer by address (datagrams), or by the text in `name` when that isn't empty.
    martlet_address peer;
    // A stream's handle.
    uint64_t number;
    // Whose it is; a C string that lives as long as it stands here, or NULL.
    const char *label;
    char name[64];
} martlet_breadcrumb;

// The calling thread's breadcrumb; the first call on a thread gives it a stack for signal handlers as well.
martlet_breadcrumb *martlet_breadcrumb_here(void);

// Keeps the first 63 bytes of a peer's name.
void martlet_breadcrumb_name(martlet_breadcrumb *crumb, const uint8_t *name, size_t length);

// Writes one line to `descriptor` when a thread of the process dies of SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE or SIGABRT, and then lets
// happen what was set up for the signal before. Call once, early.
void martlet_breadcrumb_install(int descriptor);

// Tells glibc's allocator to give back what is freed: large blocks come from the system and go back to it, the end of the heap too, and
// there are `heaps` heaps at most. By itself glibc raises the limit of large blocks to the largest it has seen freed (up to 32 MiB) and
// makes eight heaps per core, each with holes of its own.
void martlet_heap_give_back(int heaps);

#ifdef __cplusplus
}
#endif
