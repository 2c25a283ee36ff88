// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "cmartlet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

enum { BATCH = 16, BUFFER = 65536, CONTROL = 128 };

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

// IPv4 addresses inside IPv6 ones are told as IPv4.
static martlet_address read_ipv6(const struct in6_addr *address) {
    martlet_address a = {0};
    uint64_t words[2];
    memcpy(words, address, 16);
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

// fe80::/10; its lower half of `high` holds the zone, see SocketAddress.
static int is_link_local(uint64_t high) { return high >> 54 == 0x3fa; }

static martlet_address with_zone(martlet_address a, uint32_t zone) {
    if (a.is_ipv6 && is_link_local(a.high)) a.high = (a.high & ~0xffffffffull) | zone;
    return a;
}

static uint32_t zone_of(martlet_address a) { return a.is_ipv6 && is_link_local(a.high) ? (uint32_t)a.high : 0; }

static martlet_address read_address(const struct sockaddr_storage *name) {
    martlet_address a = {0};
    if (name->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)name;
        a.low = ntohl(in->sin_addr.s_addr);
        a.port = ntohs(in->sin_port);
        return a;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)name;
    a = with_zone(read_ipv6(&in6->sin6_addr), in6->sin6_scope_id);
    a.port = ntohs(in6->sin6_port);
    return a;
}

static void write_ipv6(martlet_address a, struct in6_addr *address) {
    uint64_t words[2] = {__builtin_bswap64(a.high & ~(uint64_t)zone_of(a)), __builtin_bswap64(a.is_ipv6 ? a.low : a.low | 0xffff00000000ull)};
    memcpy(address, words, 16);
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
        d->has_to = 0;
        struct msghdr *h = &r->headers[i].msg_hdr;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
            if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
                int segment;
                memcpy(&segment, CMSG_DATA(c), sizeof segment);
                if (segment > 0) d->segment = (uint32_t)segment;
            } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
                struct in6_pktinfo info;
                memcpy(&info, CMSG_DATA(c), sizeof info);
                d->to = with_zone(read_ipv6(&info.ipi6_addr), info.ipi6_ifindex);
                d->has_to = 1;
            } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
                struct in_pktinfo info;
                memcpy(&info, CMSG_DATA(c), sizeof info);
                d->to = (martlet_address){.low = ntohl(info.ipi_addr.s_addr)};
                d->has_to = 1;
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
    // Packets of cameras and encoders pass through at the size they have, and may be larger than the path to a viewer. Over IPv4 every
    // router may cut them (no "don't fragment"), so they arrive even where nobody answers "too big". Over IPv6 only the sender may:
    // the kernel does once it has been told the path's MTU, which is what WANT means.
    int dont = IP_PMTUDISC_DONT, want = IPV6_PMTUDISC_WANT;
    setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont, sizeof dont);
    if (*is_ipv6) setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &want, sizeof want);
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    getsockname(fd, (struct sockaddr *)&name, &length);
    *bound_port = *is_ipv6 ? ntohs(((struct sockaddr_in6 *)&name)->sin6_port) : ntohs(((struct sockaddr_in *)&name)->sin_port);
    return fd;
}

void martlet_udp_note_destination(int fd, int is_ipv6) {
    int on = 1;
    if (is_ipv6) setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    else setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
}

uint32_t martlet_udp_drops(int fd) {
    // SO_MEMINFO's ninth number (SK_MEMINFO_DROPS, Linux 4.12).
    uint32_t numbers[9] = {0};
    socklen_t length = sizeof numbers;
    if (getsockopt(fd, SOL_SOCKET, 55, numbers, &length) || length < sizeof numbers) return 0;
    return numbers[8];
}

static struct cmsghdr *add_control(struct msghdr *message, struct cmsghdr *last, int level, int type, const void *value, size_t size) {
    message->msg_controllen += CMSG_SPACE(size);
    struct cmsghdr *c = last ? CMSG_NXTHDR(message, last) : CMSG_FIRSTHDR(message);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), value, size);
    return c;
}

int martlet_send_from(
    int fd, int socket_is_ipv6, const void *data, size_t length, uint16_t segment, martlet_address to, const martlet_address *from) {
    struct sockaddr_in6 in6;
    struct sockaddr_in in;
    struct iovec vector = {.iov_base = (void *)data, .iov_len = length};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (socket_is_ipv6) {
        memset(&in6, 0, sizeof in6);
        in6.sin6_family = AF_INET6;
        in6.sin6_port = htons(to.port);
        write_ipv6(to, &in6.sin6_addr);
        in6.sin6_scope_id = zone_of(to);
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
    // Only what is used is cleared: this is the way of every packet.
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(struct in6_pktinfo))];
    struct cmsghdr *last = NULL;
    if (segment > 0 && length > segment) {
        message.msg_control = control;
        last = add_control(&message, last, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
    }
    if (from) {
        // CMSG_NXTHDR looks at the length of the header behind.
        if (last) memset(control + CMSG_SPACE(sizeof(uint16_t)), 0, CMSG_SPACE(sizeof(struct in6_pktinfo)));
        message.msg_control = control;
        if (socket_is_ipv6) {
            struct in6_pktinfo info = {.ipi6_ifindex = zone_of(*from)};
            write_ipv6(*from, &info.ipi6_addr);
            add_control(&message, last, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
        } else {
            struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl((uint32_t)from->low)};
            add_control(&message, last, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
        }
    }
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int martlet_send(int fd, int socket_is_ipv6, const void *data, size_t length, uint16_t segment, martlet_address to) {
    return martlet_send_from(fd, socket_is_ipv6, data, length, segment, to, NULL);
}

int martlet_tcp_listen(uint16_t port) {
    int on = 1, off = 0, result = 0;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any, .sin6_port = htons(port)};
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        result = bind(fd, (struct sockaddr *)&any, sizeof any) ? -errno : 0;
        // A kernel without IPv6 addresses may give the socket and refuse the bind.
        if (result == -EADDRNOTAVAIL || result == -EAFNOSUPPORT) { close(fd); fd = -1; }
    }
    if (fd < 0) {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) return -errno;
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY), .sin_port = htons(port)};
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        result = bind(fd, (struct sockaddr *)&any, sizeof any) ? -errno : 0;
    }
    if (result == 0 && listen(fd, 1024)) result = -errno;
    if (result < 0) { close(fd); return result; }
    return fd;
}

int martlet_tcp_accept(int listener, martlet_address *from) {
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    int fd = accept4(listener, (struct sockaddr *)&name, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return -errno;
    int on = 1, unsent = 64 << 10;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    *from = read_address(&name);
    return fd;
}

long martlet_tcp_send_frames(int fd, const uint8_t *data, size_t length, size_t segment, int count) {
    enum { MOST = 64 };
    struct iovec vectors[2 * MOST];
    uint16_t lengths[MOST];
    if (count < 1 || count > MOST) return -EINVAL;
    for (int i = 0; i < count; i++) {
        size_t offset = (size_t)i * segment, size = i == count - 1 ? length - offset : segment;
        lengths[i] = htons((uint16_t)size);
        vectors[2 * i] = (struct iovec){.iov_base = &lengths[i], .iov_len = 2};
        vectors[2 * i + 1] = (struct iovec){.iov_base = (void *)(data + offset), .iov_len = size};
    }
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = (size_t)(2 * count)};
    ssize_t taken = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return taken < 0 ? -errno : taken;
}

void martlet_name_thread(const char *name) {
    char shortened[16] = {0};
    strncpy(shortened, name, sizeof shortened - 1);
    pthread_setname_np(pthread_self(), shortened);
}

void martlet_heap_give_back(int heaps) {
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    mallopt(M_TRIM_THRESHOLD, 256 << 10);
    mallopt(M_ARENA_MAX, heaps);
}
