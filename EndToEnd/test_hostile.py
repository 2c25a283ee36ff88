# SPDX-License-Identifier: Apache-2.0
"""Strangers at the doors: rubbish on the media ports and the listeners while a stream is watched."""
import base64
import concurrent.futures
import contextlib
import hashlib
import json
import os
import random
import re
import socket
import ssl
import struct
import threading
import time

import requests

from harness.waiting import wait_until
from harness.wcs import offer


def rubbish(seed, count):
    """Datagrams of every first byte a media port tells apart, and some that look half right."""
    source = random.Random(seed)
    for _ in range(count):
        kind = source.randrange(6)
        length = source.choice([0, 1, 3, 12, 20, 60, 200, 1200, 1499])
        body = bytearray(source.randbytes(length))
        if body and kind == 1:  # STUN with its magic cookie
            body[0] = source.choice([0, 1])
            body[4:8] = b"\x21\x12\xa4\x42"[:max(0, min(4, len(body) - 4))]
        elif body and kind == 2:  # DTLS
            body[0] = source.choice([20, 21, 22, 23])
            body[1:3] = b"\xfe\xfd"
        elif body and kind == 3:  # RTP
            body[0] = 0x80 | source.randrange(64)
        elif len(body) > 1 and kind == 4:  # RTCP
            body[0], body[1] = 0x80 | source.randrange(32), source.randrange(192, 224)
        yield bytes(body)


def test_rubbish_on_the_media_ports_disturbs_nobody(make_node, aiortc, name):
    node = make_node("A", log_level="info")
    aiortc.publish(node, name)
    player = aiortc.play(node, name)
    player.wait_for_frames(5)
    first = node.settings["media_port_from"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for index, datagram in enumerate(rubbish(1, 30_000)):
            stranger.sendto(datagram, ("127.0.0.1", first + index % node.settings["reactors"]))
    before, sent = player.frames, node.resources()
    player.wait_for_frames(before + 20)
    assert len(player.clocks) >= 0.8 * player.frames
    assert node.resources()["memory"] < sent["memory"] + 8_000
    assert len(node.log()) < 2_000_000, "strangers fill the log"


def test_rubbish_on_the_listeners_disturbs_nobody(make_node, client):
    node = make_node("A")
    ports = [node.settings[key + ".port"] for key in ("ws", "wss", "http", "https")]
    for port in ports:
        for text in (b"", b"\x00" * 100, os.urandom(3000), b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
                     b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"POST /rest-api/pull/push HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
                     b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"):
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=2) as stranger:
                    stranger.sendall(text)
            except OSError:
                pass
    untrusting = ssl._create_unverified_context()
    assert client(node.ws).user_data["status"] == "ESTABLISHED"
    assert client(node.wss, ssl=untrusting).user_data["status"] == "ESTABLISHED"
    assert requests.get(node.http + "/health", timeout=5).ok and requests.get(node.https + "/health", timeout=5, verify=False).ok
    assert node.stop()[0] == 0


def test_connections_that_never_speak_hold_up_nobody(make_node, client):
    node = make_node("A")
    silent = [socket.create_connection(("127.0.0.1", node.settings[key])) for key in ("ws.port", "http.port", "wss.port", "https.port") for _ in range(50)]
    try:
        assert client(node.ws).user_data["status"] == "ESTABLISHED"
        assert requests.get(node.http + "/health", timeout=5).ok
        code, seconds = node.stop()
        assert code == 0 and seconds < 5, (code, seconds)
    finally:
        for one in silent:
            one.close()


def test_limits_are_kept_and_said(make_node, client, name):
    node = make_node("A", max_sessions=3, max_streams_per_session=2)
    sessions = [client(node.ws) for _ in range(3)]
    try:
        extra = client(node.ws, handshake=False)
        extra.send("connection", {"appKey": "one too many"})
        extra._reader.join(5)
        assert not extra.of("getUserData")
    except Exception:
        pass  # refused at the door
    ids = [sessions[0].publish(f"{name}-{index}", offer()) for index in range(3)]
    for media_session in ids[:2]:
        sessions[0].answer(media_session)
    assert sessions[0].status(ids[2])["status"] == "FAILED"
    sessions[2].close()
    assert client(node.ws).user_data["status"] == "ESTABLISHED"


def test_rest_bodies_of_any_shape_are_refused_in_words(make_node):
    node = make_node("A")
    values = [None, True, -1, 1e300, "", "../../etc/passwd", "\u0000\ud800", "x" * 70_000, [], [[]], {}, {"a": {"b": []}}, 2**70]
    chance = random.Random(7)
    description = requests.get(node.http + "/rest-api/openapi.json", timeout=5).json()
    paths = description["paths"]
    methods = [path for path, item in paths.items() if "post" in item and not path.startswith("/wh")]
    assert len(methods) > 20
    for path in methods:
        schema = paths[path]["post"].get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        schema = description["components"]["schemas"][schema["$ref"].split("/")[-1]] if "$ref" in schema else schema
        fields = list(schema.get("properties", {})) or ["name", "uri", "streamName"]
        bodies = [b"", b"{", b"null", b"[1]", b"\xff\xfe", b"[" * 4000, b'{"a":' * 4000, b'{"name":"\\ud800"}', b'{"name":1e999}']
        bodies += [json.dumps({field: chance.choice(values) for field in fields if chance.random() < 0.8}).encode() for _ in range(8)]
        for body in bodies:
            reply = requests.post(node.http + "/rest-api" + path, data=body, headers={"Content-Type": "application/json"}, timeout=10)
            assert reply.status_code in (200, 400, 404, 409, 413), (path, body[:200], reply.status_code, reply.text[:300])
            assert reply.ok or reply.json()["reason"], (path, body[:200])
    assert node.rest("server/info").status == 200
    assert node.stop()[0] == 0


def test_big_rest_bodies_are_refused(a):
    reply = a.rest("pull/push", data="x" * 3_000_000, method="POST")
    assert reply.status in (400, 413), reply
    assert a.rest("server/info").status == 200


# Clients that take more than they should. Sockets by hand: what is sent here no client library sends.

def connection(node, key="http.port", receive_buffer=None, source=None):
    one = socket.socket()
    if receive_buffer:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if source:
        one.bind((source, 0))
    one.settimeout(5)
    one.connect(("127.0.0.1", node.settings[key]))
    return one


def websocket(node, **options):
    one = connection(node, "ws.port", **options)
    one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
                + base64.b64encode(os.urandom(16)) + b"\r\nSec-WebSocket-Version: 13\r\n\r\n")
    assert b"101" in one.recv(300)
    return one


def frame(opcode, data=b"", final=True):
    head = bytes([(0x80 if final else 0) | opcode])
    head += bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0xfe]) + struct.pack(">H", len(data)) if len(data) < 65536 \
        else bytes([0xff]) + struct.pack(">Q", len(data))
    return head + b"\0\0\0\0" + data


HELLO = frame(1, b'{"message":"connection","data":[{"appKey":"defaultApp","mediaProviders":["WebRTC"]}]}')


def all_of(one):
    """What comes until the other side closes, or nothing comes for the socket's timeout."""
    received = b""
    try:
        while part := one.recv(65536):
            received += part
    except OSError:
        pass
    return received


def answer(node, request, wait=3):
    with connection(node) as one:
        one.settimeout(wait)
        one.sendall(request)
        return all_of(one)


def closing(received):
    """Code and words of the close frame that ends what a server sent."""
    for index in range(len(received) - 4, -1, -1):
        if received[index] == 0x88 and received[index + 1] == len(received) - index - 2:
            return struct.unpack(">H", received[index + 2:index + 4])[0], received[index + 4:].decode()
    raise AssertionError(f"no close frame at the end of {received[-200:]}")


def test_pings_that_nobody_reads_the_answers_of_take_no_memory(make_node, client):
    node = make_node("A", log_level="info")
    before = node.resources()["memory"]
    sockets = [websocket(node, receive_buffer=4096) for _ in range(3)]
    pings = frame(9, b"x" * 125) * 400
    sent = 0
    end = time.monotonic() + 3
    for one in sockets:
        one.sendall(HELLO)
        one.settimeout(0.2)
    while time.monotonic() < end:
        for one in sockets:
            try:
                one.sendall(pings)
                sent += 400
            except OSError:
                pass
    assert node.resources()["memory"] < before + 30_000, (sent, before, node.resources())
    assert client(node.ws).user_data["status"] == "ESTABLISHED"
    for one in sockets:
        one.close()


def test_readers_that_stand_still_hold_one_small_buffer_each(make_node):
    node = make_node("A", log_level="info")
    records = node.settings["state_dir"] / "records"
    with open(records / "large.mp4", "wb") as file:
        for _ in range(40):
            file.write(os.urandom(1 << 20))
    before = node.resources()["memory"]
    readers = [connection(node, receive_buffer=4096) for _ in range(150)]
    try:
        for one in readers:
            one.sendall(b"GET /client/records/large.mp4 HTTP/1.1\r\nHost: x\r\n\r\n")
        for one in readers:
            assert one.recv(12) == b"HTTP/1.1 200"
        # A quick reader gets the whole file meanwhile, and by ranges what it asks for.
        whole = requests.get(node.http + "/client/records/large.mp4", timeout=60).content
        assert whole == (records / "large.mp4").read_bytes()
        part = requests.get(node.http + "/client/records/large.mp4", headers={"Range": "bytes=100000-300000"}, timeout=10)
        assert part.status_code == 206 and part.content == whole[100_000:300_001]
        del whole
        assert node.resources()["memory"] < before + 40_000, (before, node.resources())
        # They don't hold up the server's end either.
        code, seconds = node.stop()
        assert code == 0 and seconds < 5 and "did not stop in time" not in node.log(), (code, seconds, node.log_tail())
    finally:
        for one in readers:
            one.close()


def test_head_has_no_body_and_the_connection_goes_on(a):
    for path in ("/", "/health", "/rest-api/stream/find_all", "/rest-api/openapi.json", "/nothing", "/whip/x", "/?action=stat", "/player.html"):
        head, _, rest = answer(a, f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 ") and rest == b"", (path, rest[:80])
    with connection(a) as one:
        one.settimeout(2)
        one.sendall(b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = all_of(one)
    assert received.count(b"HTTP/1.1 200") == 2 and received.count(b'{"status":"UP"}') == 1, received


def test_a_request_names_its_host_once(a):
    assert answer(a, b"GET /health HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert answer(a, b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert b" 200 " in answer(a, b"GET /health HTTP/1.0\r\n\r\n")[:15]


def test_http_connections_are_bounded_and_told_so(make_node):
    node = make_node("A", max_http_connections=6, max_http_connections_per_address=4)

    def taken_in():
        with connection(node, source="127.0.0.3") as other:
            other.sendall(b"GET /?action=stat&format=json&groups=http_stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return json.loads(all_of(other).partition(b"\r\n\r\n")[2])["http_stats"]["http_connections"]
    # The one that asks, and no longer the one by which the start was seen.
    wait_until(lambda: taken_in() == 1, 5, "nobody else is connected")
    idle = [connection(node) for _ in range(4)]
    try:
        # They are taken in by several threads, in no order.
        wait_until(lambda: taken_in() == 5, 5, "the idle ones are taken in")
        refused = answer(node, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert refused.startswith(b"HTTP/1.1 503") and b"max_http_connections_per_address" in refused, refused
        # Others have room.
        with connection(node, source="127.0.0.2") as other:
            other.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b" 200 " in all_of(other)[:15]
    finally:
        for one in idle:
            one.close()
    wait_until(lambda: answer(node, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200"), 5, "there is room again")
    assert node.statistics()["http_stats"]["http_connections_refused"] >= 1


def test_unfinished_messages_and_bodies_end_at_the_share_of_an_address(make_node, client):
    node = make_node("A", memory_per_address=8, log_level="info")
    before = node.resources()["memory"]
    sockets = []
    try:
        for index in range(40):
            one = websocket(node) if index % 2 else connection(node)
            sockets.append(one)
            try:
                if index % 2:
                    one.sendall(HELLO + frame(1, b"a" * 1_000_000, final=False))
                else:
                    one.sendall(b"POST /rest-api/stream/find HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n" + b" " * 1_000_000)
            except OSError:
                pass
        figures = lambda: node.statistics()["memory_stats"]
        wait_until(lambda: figures()["memory_budget_evicted"] > 0 and figures()["memory_budget_used"] < 6_700_000, 10, figures)
        assert node.resources()["memory"] < before + 60_000, (before, node.resources())
        words = b""
        for one in sockets:
            one.settimeout(0.2)
            words += all_of(one)
        assert b"memory_per_address" in words
        # The others of that address, and other addresses, are served.
        assert client(node.ws).user_data["status"] == "ESTABLISHED"
        with connection(node, source="127.0.0.2") as other:
            other.sendall(b"POST /rest-api/stream/find_all HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            assert b" 404 " in all_of(other)[:15]
    finally:
        for one in sockets:
            one.close()
    wait_until(lambda: figures()["memory_budget_used"] == 0, 10, figures)


def test_who_is_refused_for_memory_is_not_listened_to(make_node):
    node = make_node("A", memory_per_address=8, log_level="info")
    before = node.resources()["memory"]
    # Frames that are never complete: the first few fill the share, the others are refused as they come.
    head = bytes([0x81, 0xff]) + struct.pack(">Q", 1_048_000) + bytes(4)
    sockets, most = [], 0
    try:
        for index in range(150):
            one = websocket(node)
            sockets.append(one)
            try:
                one.sendall(head + b"a" * 1_000_000)
            except OSError:
                pass
            if index % 10 == 9:
                most = max(most, node.resources()["memory"])
        assert most < before + 60_000, (before, most)
        words = b""
        for one in sockets[-20:]:
            one.settimeout(1)
            words += all_of(one)
        assert b"your address" in words
    finally:
        for one in sockets:
            one.close()


def test_a_frame_that_is_too_large_is_refused_in_words(a):
    with websocket(a) as one:
        def send():
            try:
                one.sendall(HELLO + frame(1, b"a" * 3_000_000))
            except OSError:
                pass
        sender = threading.Thread(target=send)
        sender.start()
        code, words = closing(all_of(one))
        sender.join()
    assert code == 1009 and "larger than" in words


def test_sessions_that_never_connect_cost_little_and_end_by_themselves(make_node):
    node = make_node("A", log_level="info", max_session_rate=1000, ice_timeout=6000)
    headers = {"Content-Type": "application/sdp"}
    http = requests.Session()
    assert http.post(node.http + "/whip/first", data=offer(), headers=headers, timeout=5).status_code == 201
    before = node.resources()["memory"]
    for number in range(400):
        assert http.post(node.http + f"/whip/idle-{number}", data=offer(), headers=headers, timeout=5).status_code == 201
    after = node.resources()["memory"]
    # kB of each: descriptions, credentials, names. Rings and DTLS come with the first packet.
    assert (after - before) / 400 < 60, (before, after)
    wait_until(lambda: node.statistics()["whip_stats"]["whip_sessions"] == 0, 20, node.statistics)
    wait_until(lambda: node.statistics()["memory_stats"]["memory_budget_used"] == 0, 10, node.statistics)


def test_bug_reports_do_not_fill_the_log(make_node):
    node = make_node("A", log_level="info")
    report = frame(1, json.dumps({"message": "submitBugReport", "data": [{"text": "A" * 6000}]}).encode())
    with websocket(node) as one:
        one.sendall(HELLO + report * 300 + frame(8, struct.pack(">H", 1000)))
        all_of(one)
    assert node.log().count("bug report of a client") == 1
    assert len(node.log()) < 50_000


def test_without_free_descriptors_connections_are_closed_and_the_server_goes_on(make_node, client):
    node = make_node("A", start=False, log_level="info")
    node.inside = ["prlimit", "--nofile=256:256", "--"]
    node.start()
    kept = requests.Session()
    assert kept.get(node.http + "/health", timeout=5).ok
    sockets = []
    for key in ("http.port", "ws.port", "rtmp.port", "rtsp.port"):
        for index in range(120):
            try:
                sockets.append(connection(node, key, source=f"127.0.0.{2 + index}"))
            except OSError:
                pass
    try:
        # What is beyond is closed again, and whoever is connected is served, REST and files alike.
        wait_until(lambda: node.resources()["files"] <= 256 - 16, 10, node.resources)
        assert kept.get(node.http + "/health", timeout=5).ok
        assert kept.get(node.http + "/player.html", timeout=5).ok
        # One more is not left waiting.
        with connection(node) as one:
            one.settimeout(5)
            one.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert all_of(one)[:12] in (b"", b"HTTP/1.1 503")
    finally:
        for one in sockets:
            one.close()
    wait_until(lambda: answer(node, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200"), 10, "the doors are open again")
    assert client(node.ws).user_data["status"] == "ESTABLISHED"


# Far servers that a stream is to be fetched from.

def upgraded(one):
    """Takes a client in as a WebSocket server does."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += one.recv(4096)
    key = re.search(rb"(?i)sec-websocket-key: (\S+)", request).group(1)
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    one.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    return one


def unmasked(opcode, data):
    """A frame as servers send it."""
    length = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
    return bytes([0x80 | opcode]) + length + data


def for_ever(one, data):
    while True:
        one.sendall(data)


def rubbish_answers(one):
    """Says yes to everything, with a description that no client can read, and with 500 more of sessions that nobody has begun."""
    rubbish = "v=0\r\n" + "m=audio 9 X\r\n" * 500
    tell = lambda message, *data: one.sendall(unmasked(1, json.dumps({"message": message, "data": data}).encode()))
    upgraded(one)
    tell("getUserData", {"status": "ESTABLISHED"})
    for number in range(500):
        tell("setRemoteSDP", f"nobody-{number}", rubbish, True)
    with one.makefile("rb") as frames:
        while head := frames.read(2):
            length = head[1] & 127
            if length > 125:
                length = int.from_bytes(frames.read(2 if length == 126 else 8), "big")
            mask = frames.read(4)
            request = bytes(byte ^ mask[index % 4] for index, byte in enumerate(frames.read(length)))
            if b'"playStream"' in request:
                tell("setRemoteSDP", json.loads(request)["data"][0]["mediaSessionId"], rubbish, True)


FAR_SERVERS = {
    "is silent": (lambda one: one.recv(1 << 16) and all_of(one), "did not accept in time"),
    "never ends its answer": (lambda one: for_ever(one, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 60_000 + b"\r\n"), "does not speak HTTP"),
    "leads elsewhere": (lambda one: one.sendall(b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n") or all_of(one), "is no WebSocket server"),
    "nests": (lambda one: for_ever(upgraded(one), unmasked(1, b"[" * 60_000)), "did not accept in time"),
    "announces 2⁴⁰ bytes": (lambda one: for_ever(upgraded(one), b"\x81\x7f" + struct.pack(">Q", 1 << 40) + b"z" * 60_000), "larger than"),
    "pings": (lambda one: for_ever(upgraded(one), unmasked(9, b"x" * 125) * 200), "did not accept in time"),
    "describes rubbish": (rubbish_answers, "can't be answered"),
}


def test_far_servers_of_any_kind_are_left_in_words_and_take_nothing(make_node, aiortc, name):
    node = make_node("A", log_level="info")
    aiortc.publish(node, name)
    player = aiortc.play(node, name)
    player.wait_for_frames(10)
    # What there is anyway.
    before, sessions = node.resources(), len(node.sessions())
    left = []

    def far_server(talk):
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0)))

        def run():
            with contextlib.suppress(OSError):
                talk(opened.enter_context(listener.accept()[0]))
            left.append(talk)
        threading.Thread(target=run, daemon=True).start()
        return f"ws://127.0.0.1:{listener.getsockname()[1]}/"

    def fetch(kind):
        return node.rest("pull/pull", {"uri": far_server(FAR_SERVERS[kind][0]), "localStreamName": kind, "remoteStreamName": "x"})
    with contextlib.ExitStack() as opened, concurrent.futures.ThreadPoolExecutor(len(FAR_SERVERS)) as pool:
        first = player.frames
        replies = dict(zip(FAR_SERVERS, pool.map(fetch, FAR_SERVERS)))
        for kind, (_, words) in FAR_SERVERS.items():
            assert replies[kind].status == 500 and words in replies[kind].reason and replies[kind].seconds < 15, (kind, replies[kind])
        # All connections have been ended by the node.
        wait_until(lambda: len(left) == len(FAR_SERVERS), 10, lambda: [kind for kind, (talk, _) in FAR_SERVERS.items() if talk not in left])
    # kB. What they sent would have been hundreds of megabytes.
    print(f"{peak_memory(node) - before['memory']} kB more at most")
    assert peak_memory(node) < before["memory"] + 20_000, (before, peak_memory(node))
    assert player.frames > first + 60 and len(player.clocks) >= 0.9 * player.frames, "the stream that is watched has gone on"
    wait_until(lambda: not node.pulls() and len(node.sessions()) == sessions, 5, lambda: (node.pulls(), node.sessions()))
    assert {stream["name"] for stream in node.streams()} == {name}
    wait_until(lambda: node.resources()["files"] <= before["files"], 10, lambda: (before, node.resources()))
    assert len(node.log()) < 50_000


def peak_memory(node):
    """kB that have been resident at most."""
    return int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{node.process.pid}/status").read()).group(1))
