# SPDX-License-Identifier: Apache-2.0
"""Free ports, taken from below the ephemeral range so that no outgoing connection takes them while a server is restarted."""
import os
import random
import socket

_random = random.Random(os.getpid())
_given: set[int] = set()


def _is_free(port, kind):
    with socket.socket(socket.AF_INET6, kind) as probe:
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            probe.bind(("::", port))
        except OSError:
            return False
    return True


def free_tcp_port():
    while True:
        port = _random.randrange(12_000, 22_000)
        if port not in _given and _is_free(port, socket.SOCK_STREAM):
            _given.add(port)
            return port


def free_media_ports(count):
    """The first of `count` consecutive ports that are free for UDP and TCP."""
    while True:
        first = _random.randrange(22_000, 32_000)
        ports = range(first, first + count)
        if not _given.intersection(ports) and all(
                _is_free(port, kind) for port in ports for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)):
            _given.update(ports)
            return first
