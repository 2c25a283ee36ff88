# SPDX-License-Identifier: Apache-2.0
"""A server that dies says in its last line whose input it was handling: the next trap is found in a minute."""
import contextlib
import re
import socket
import subprocess

import pytest

from harness.paths import MARTLET
from harness.waiting import wait_until

REQUESTS = {
    "http": ("http.port", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", "an HTTP request"),
    "rtmp": ("rtmp.port", b"\x03" + bytes(1536), "RTMP input"),
    "rtsp": ("rtsp.port", b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", "RTSP input"),
    "websocket": (
        "ws.port", b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n" + b"\x81\x82\x00\x00\x00\x00{}", "a WebSocket message"),
}


@contextlib.contextmanager
def trapping(make_node, place):
    """A node that traps at the first input of that kind."""
    node = make_node("A", start=False)
    node.environment["MARTLET_TEST_TRAP"] = place
    node.spawn()
    wait_until(lambda: "is ready" in node.log(), 20, node.log_tail)
    try:
        yield node
    finally:
        node.kill()


def connected(port):
    def attempt():
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except ConnectionRefusedError:
            return None
    return wait_until(attempt, 10)


def crash_line(node):
    lines = wait_until(lambda: [line for line in node.log().splitlines() if "the process dies of" in line], 5, node.log_tail)
    assert len(lines) == 1, lines
    # Nothing of the log proper follows: a backtrace may, if one is switched on.
    last = [line for line in node.log().splitlines() if re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z ", line)][-1]
    assert last == lines[0]
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z CRITICAL martlet: the process dies of SIG(ILL|TRAP) ", last), last
    return last


@pytest.mark.parametrize("place", REQUESTS)
def test_the_last_line_names_the_peer(make_node, place):
    port, request, words = REQUESTS[place]
    with trapping(make_node, place) as node, connected(node.settings[port]) as peer:
        peer.sendall(request)
        line = crash_line(node)
        assert words in line and re.search(r" thread=\S+ pid=\d+$", line), line
        assert f"peer=127.0.0.1:{peer.getsockname()[1]} " in line, line


def test_the_last_line_names_the_stream_and_peer_of_a_datagram(make_node, name):
    with trapping(make_node, "datagram") as node:
        publisher = subprocess.Popen([str(MARTLET), "publish", node.ws, name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            line = crash_line(node)
            assert re.search(rf"while handling a UDP datagram peer=\S+:\d+ stream={re.escape(name)} .*thread=reactor-\d", line), line
        finally:
            publisher.kill()
            publisher.wait()
