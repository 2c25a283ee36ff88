// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "cbenchmarks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { BATCH = 32, BUFFER = 65536, CONTROL = 96 };

struct bench_receiver {
    struct mmsghdr headers[BATCH];
    struct iovec vectors[BATCH];
    struct sockaddr_in names[BATCH];
    _Alignas(struct cmsghdr) char control[BATCH][CONTROL];
    bench_datagram datagrams[BATCH];
    uint8_t *memory;
};

bench_receiver *bench_receiver_create(void) {
    bench_receiver *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->memory = malloc((size_t)BATCH * BUFFER);
    if (!r->memory) { free(r); return NULL; }
    for (int i = 0; i < BATCH; i++) {
        r->vectors[i].iov_base = r->memory + (size_t)i * BUFFER;
        r->vectors[i].iov_len = BUFFER;
        r->headers[i].msg_hdr.msg_iov = &r->vectors[i];
        r->headers[i].msg_hdr.msg_iovlen = 1;
        r->headers[i].msg_hdr.msg_name = &r->names[i];
        r->headers[i].msg_hdr.msg_control = r->control[i];
    }
    return r;
}

void bench_receiver_destroy(bench_receiver *r) {
    if (!r) return;
    free(r->memory);
    free(r);
}

int bench_receive(bench_receiver *r, int fd) {
    for (int i = 0; i < BATCH; i++) {
        r->headers[i].msg_hdr.msg_namelen = sizeof r->names[i];
        r->headers[i].msg_hdr.msg_controllen = CONTROL;
        r->headers[i].msg_hdr.msg_flags = 0;
    }
    int n = recvmmsg(fd, r->headers, BATCH, MSG_DONTWAIT, NULL);
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ECONNREFUSED ? 0 : -errno;
    for (int i = 0; i < n; i++) {
        bench_datagram *d = &r->datagrams[i];
        d->data = r->vectors[i].iov_base;
        d->length = r->headers[i].msg_len;
        d->segment = d->length;
        d->arrival = 0;
        struct msghdr *h = &r->headers[i].msg_hdr;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
            if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
                int segment;
                memcpy(&segment, CMSG_DATA(c), sizeof segment);
                if (segment > 0) d->segment = (uint32_t)segment;
            } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
                struct timespec t;
                memcpy(&t, CMSG_DATA(c), sizeof t);
                d->arrival = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
            }
        }
        d->from_address = ntohl(r->names[i].sin_addr.s_addr);
        d->from_port = ntohs(r->names[i].sin_port);
    }
    return n;
}

const bench_datagram *bench_received(const bench_receiver *r, int index) { return &r->datagrams[index]; }

int bench_udp_open(int gro, uint16_t *port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (struct sockaddr *)&own, sizeof own)) { int error = errno; close(fd); return -error; }
    // Big enough for a key frame of every stream while the generator is busy elsewhere; the calls may fail harmlessly.
    int size = 2 << 20, on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size)) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (gro) setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    socklen_t length = sizeof own;
    getsockname(fd, (struct sockaddr *)&own, &length);
    *port = ntohs(own.sin_port);
    return fd;
}
