// SPDX-License-Identifier: Apache-2.0
// The socket calls of the load generator that need cmsg macros: receiving with the kernel's own arrival times.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#ifdef __cplusplus
extern "C" {
#endif

// One received buffer. With GRO it holds several datagrams of `segment` bytes each, the last possibly shorter.
typedef struct {
    uint8_t *data;
    uint32_t length;
    uint32_t segment;
    // When the kernel got it, ns of CLOCK_REALTIME; 0 when it did not say.
    int64_t arrival;
    uint32_t from_address;
    uint16_t from_port;
} bench_datagram;

typedef struct bench_receiver bench_receiver;

bench_receiver *bench_receiver_create(void);
void bench_receiver_destroy(bench_receiver *receiver);
// Receives what is there without waiting: number of buffers filled (0…32), 0 when nothing is there, -errno on an error.
int bench_receive(bench_receiver *receiver, int fd);
const bench_datagram *bench_received(const bench_receiver *receiver, int index);

// A non-blocking IPv4 UDP socket on the loopback address, any port, with arrival times. `gro`: take merged datagrams
// (UDP_GRO), which a browser does not. Returns the descriptor or -errno.
int bench_udp_open(int gro, uint16_t *port);

#ifdef __cplusplus
}
#endif
