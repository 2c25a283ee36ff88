#define _GNU_SOURCE
#include "cmartlet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { BATCH = 16, BUFFER = 65536, CONTROL = 64 };

struct martlet_receiver {
    struct mmsghdr headers[BATCH];
    struct iovec vectors[BATCH];
    struct sockaddr_storage names[BATCH];
    _Alignas(struct cmsghdr) char control[BATCH][CONTROL];
    martlet_datagram datagrams[BATCH];
    uint8_t *memory;
};

martlet_receiver *martlet_receiver_create(void) {
    martlet_receiver *r = calloc(1, sizeof *r);
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

void martlet_receiver_destroy(martlet_receiver *r) {
    if (!r) return;
    free(r->memory);
    free(r);
}

static martlet_address read_address(const struct sockaddr_storage *name) {
    martlet_address a = {0};
    if (name->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)name;
        a.low = ntohl(in->sin_addr.s_addr);
        a.port = ntohs(in->sin_port);
        return a;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)name;
    a.port = ntohs(in6->sin6_port);
    uint64_t words[2];
    memcpy(words, &in6->sin6_addr, 16);
    uint64_t high = __builtin_bswap64(words[0]), low = __builtin_bswap64(words[1]);
    if (high == 0 && low >> 32 == 0xffff) {
        a.low = low & 0xffffffff;
        return a;
    }
    a.high = high;
    a.low = low;
    a.is_ipv6 = 1;
    return a;
}

int martlet_receive(martlet_receiver *r, int fd) {
    for (int i = 0; i < BATCH; i++) {
        r->headers[i].msg_hdr.msg_namelen = sizeof r->names[i];
        r->headers[i].msg_hdr.msg_controllen = CONTROL;
        r->headers[i].msg_hdr.msg_flags = 0;
    }
    int n = recvmmsg(fd, r->headers, BATCH, MSG_DONTWAIT, NULL);
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
    for (int i = 0; i < n; i++) {
        martlet_datagram *d = &r->datagrams[i];
        d->data = r->vectors[i].iov_base;
        d->length = r->headers[i].msg_len;
        d->segment = d->length;
        struct msghdr *h = &r->headers[i].msg_hdr;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
            if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
                int segment;
                memcpy(&segment, CMSG_DATA(c), sizeof segment);
                if (segment > 0) d->segment = (uint32_t)segment;
            }
        }
        d->from = read_address(&r->names[i]);
    }
    return n;
}

const martlet_datagram *martlet_received(const martlet_receiver *r, int index) { return &r->datagrams[index]; }

int martlet_udp_open(uint16_t port, int *is_ipv6, uint16_t *bound_port) {
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int off = 0, on = 1, result = 0;
    *is_ipv6 = fd >= 0;
    if (fd >= 0) {
        struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any, .sin6_port = htons(port)};
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        result = bind(fd, (struct sockaddr *)&any, sizeof any) ? -errno : 0;
        // A kernel without IPv6 addresses may give the socket and refuse the bind.
        if (result == -EADDRNOTAVAIL || result == -EAFNOSUPPORT) { close(fd); fd = -1; }
    }
    if (fd < 0) {
        *is_ipv6 = 0;
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) return -errno;
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY), .sin_port = htons(port)};
        result = bind(fd, (struct sockaddr *)&any, sizeof any) ? -errno : 0;
    }
    if (result < 0) { close(fd); return result; }
    // The kernel caps these unless we may force them; both calls may fail harmlessly.
    int size = 8 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size)) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size)) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    getsockname(fd, (struct sockaddr *)&name, &length);
    *bound_port = *is_ipv6 ? ntohs(((struct sockaddr_in6 *)&name)->sin6_port) : ntohs(((struct sockaddr_in *)&name)->sin_port);
    return fd;
}

int martlet_send(int fd, int socket_is_ipv6, const void *data, size_t length, uint16_t segment, martlet_address to) {
    struct sockaddr_in6 in6;
    struct sockaddr_in in;
    struct iovec vector = {.iov_base = (void *)data, .iov_len = length};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (socket_is_ipv6) {
        memset(&in6, 0, sizeof in6);
        in6.sin6_family = AF_INET6;
        in6.sin6_port = htons(to.port);
        uint64_t words[2] = {
            __builtin_bswap64(to.high), __builtin_bswap64(to.is_ipv6 ? to.low : to.low | 0xffff00000000ull)};
        memcpy(&in6.sin6_addr, words, 16);
        message.msg_name = &in6;
        message.msg_namelen = sizeof in6;
    } else {
        if (to.is_ipv6) return -EAFNOSUPPORT;
        memset(&in, 0, sizeof in);
        in.sin_family = AF_INET;
        in.sin_port = htons(to.port);
        in.sin_addr.s_addr = htonl((uint32_t)to.low);
        message.msg_name = &in;
        message.msg_namelen = sizeof in;
    }
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(uint16_t))];
    if (segment > 0 && length > segment) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        memcpy(CMSG_DATA(c), &segment, sizeof segment);
    }
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void martlet_name_thread(const char *name) {
    char shortened[16] = {0};
    strncpy(shortened, name, sizeof shortened - 1);
    pthread_setname_np(pthread_self(), shortened);
}
