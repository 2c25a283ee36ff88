"""Strangers at the doors: rubbish on the media ports and the listeners while a stream is watched."""
import json
import os
import random
import socket
import ssl

import requests

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
