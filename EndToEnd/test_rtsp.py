# SPDX-License-Identifier: Apache-2.0
"""RTSP both ways: players that speak it, and cameras as sources."""
import contextlib
import re
import select
import socket
import struct
import subprocess
import threading
import time

import pytest
from playwright.sync_api import Error

from harness import encoded, odd_inputs, records
from harness.chromium import ONLY
from harness.ports import free_media_ports, free_tcp_port
from harness.rtsp import Camera, fetch
from harness.scripted_camera import FPS, PCMU, ScriptedCamera, payloads, pictures
from harness.waiting import wait_until
from test_recording import folder, in_step, only_record, run_for
from test_tools import publishing


def figures(node):
    return {key: value for section in node.statistics().values() if isinstance(section, dict) for key, value in section.items()} | node.statistics()


# The server.

@pytest.mark.parametrize("codec, transport", [("h264", "tcp"), ("vp8", "udp")])
def test_ffmpeg_plays_sound_and_picture_in_step(a, name, tmp_path, codec, transport):
    with publishing(a, name, "--video", codec, "--size", "320x240", "--fps", "20"):
        path = tmp_path / "fetched.mkv"
        fetch(f"{a.rtsp}/{name}", path, 7, transport)
        records.decodes(path)
        contents = records.look(path)
        in_step(contents, spread=60)
        assert {stream["codec_name"] for stream in records.probe(path)["streams"]} == {codec, "opus"}
    wait_until(lambda: not a.streams(name=name), 10, lambda: a.streams(name=name))


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_a_browsers_stream_is_played_by_rtsp_and_shown_as_such(a, tab, name, tmp_path, codec):
    page = tab(a)
    published = page.publish(a.ws, name, pattern={"width": 320, "height": 240, "fps": 20}, stripCodecs=ONLY[codec])
    a.wait_for_stream(name)
    path = tmp_path / "fetched.mkv"
    process = subprocess.Popen(
        ["ffmpeg", "-loglevel", "error", "-y", "-rtsp_transport", "tcp", "-i", f"{a.rtsp}/{name}", "-t", "4", "-c", "copy", str(path)])
    wait_until(lambda: [one for one in a.streams(name=name, published=False) if one["mediaProvider"] == "RTSP"], 20, lambda: a.streams(name=name))
    assert process.wait(60) == 0
    records.decodes(path)
    assert len(records.look(path).frames) >= 50
    published.stop()


def test_what_is_not_there_is_said(a, name):
    done = subprocess.run(["ffprobe", "-v", "error", "-rtsp_transport", "tcp", f"{a.rtsp}/{name}"], capture_output=True, text=True, timeout=20)
    assert "404" in done.stderr


def test_who_talks_nonsense_or_nothing_is_dropped(a):
    with socket.create_connection(("127.0.0.1", a.settings["rtsp.port"])) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.settimeout(10)
        assert connection.recv(100) == b""
    with socket.create_connection(("127.0.0.1", a.settings["rtsp.port"])) as connection:
        connection.sendall(b"OPTIONS * RTSP/1.0\r\n" + b"X: y\r\n" * 5000)
        connection.settimeout(10)
        try:
            answer = b"".join(iter(lambda: connection.recv(1000), b""))
            assert answer.startswith(b"RTSP/1.0 413 ")
        except ConnectionResetError:
            pass


def test_who_is_silent_or_speaks_letter_by_letter_is_dropped(make_node, name):
    node = make_node("slow", rtsp_client_idle_timeout=1000)
    silent, slow, hesitant = [socket.create_connection(("127.0.0.1", node.settings["rtsp.port"]), timeout=10) for _ in range(3)]
    hesitant.sendall(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
    assert hesitant.recv(4096).startswith(b"RTSP/1.0 200")
    text = iter(f"DESCRIBE rtsp://localhost/{name} RTSP/1.0\r\nCSeq: 1\r\n" + "X: y\r\n" * 100)
    slow.settimeout(0.1)

    def is_dropped():
        try:
            slow.sendall(next(text).encode())
            return slow.recv(100) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True
    wait_until(is_dropped, 10, "letters are no sign of life")
    assert silent.recv(100) == b"" and hesitant.recv(100) == b""


def test_nonsense_in_any_amount_writes_a_few_lines(make_node):
    node = make_node("nonsense", log_level="info")
    for number in range(300):
        with socket.create_connection(("127.0.0.1", node.settings["rtsp.port"]), timeout=10) as connection:
            connection.sendall(f"NONSENSE-{number} " .encode() + b"x" * 300 + b"\r\n\r\n")
            try:
                assert connection.recv(100) == b""
            except ConnectionResetError:
                pass
    assert figures(node)["rtsp_clients_malformed"] == 300
    lines = [line for line in node.log().splitlines() if "RTSP client dropped" in line and "more:" not in line]
    assert 0 < len(lines) < 100
    # A second later one line says how many there were in all.
    wait_until(lambda: sum(int(line.split("… ")[1].split(" more:")[0]) for line in node.log().splitlines()
                           if " more: RTSP client dropped" in line) + len([line for line in node.log().splitlines()
                           if "RTSP client dropped" in line and "more:" not in line]) == 300, 5, node.log_tail)


def test_unfinished_messages_count_in_the_share_of_their_address(make_node):
    node = make_node("unfinished", log_level="info", memory_per_address=1)
    connections = []
    try:
        for _ in range(60):
            connections.append(socket.create_connection(("127.0.0.1", node.settings["rtsp.port"]), timeout=5))
            connections[-1].sendall(b"SET_PARAMETER * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 16000\r\n\r\n" + b"x" * 15_000)
        wait_until(lambda: figures(node)["memory_budget_evicted"] > 0, 10, lambda: figures(node))
        assert figures(node)["memory_budget_highest"] <= 1 << 20
        wait_until(lambda: "RTSP client dropped: it makes the server hold too much" in node.log(), 5, node.log_tail)
        assert "memory_per_address" in node.log()
    finally:
        for connection in connections:
            connection.close()
    wait_until(lambda: figures(node)["memory_budget_used"] == 0, 10, lambda: figures(node))


def test_who_takes_no_media_is_dropped_and_harms_nobody(make_node, name):
    node = make_node("slow", rtsp_write_timeout=1000)
    with publishing(node, name, "--video", "vp8", "--size", "640x480", "--fps", "30", "--bitrate", "3000"):
        connection = socket.create_connection(("127.0.0.1", node.settings["rtsp.port"]))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        base = f"{node.rtsp}/{name}"
        for number, (method, uri, extra) in enumerate([
                ("DESCRIBE", base, ""), ("SETUP", base + "/trackID=0", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"),
                ("SETUP", base + "/trackID=1", "Transport: RTP/AVP/TCP;unicast;interleaved=2-3\r\n"), ("PLAY", base, "")], 1):
            connection.sendall(f"{method} {uri} RTSP/1.0\r\nCSeq: {number}\r\n{extra}\r\n".encode())
            assert connection.recv(4096).startswith(b"RTSP/1.0 200")
        wait_until(lambda: figures(node)["rtsp_clients_playing"] == 1, 10)
        # From now on nothing is read.
        wait_until(lambda: figures(node)["rtsp_clients_too_slow"] == 1, 40, lambda: figures(node))
        wait_until(lambda: not node.streams(name=name, published=False), 10)
        connection.close()


# Cameras.

@pytest.fixture(scope="module")
def camera():
    with Camera() as camera:
        yield camera


@pytest.fixture
def pulled(a):
    """Begins a pull; ends all of them with the test."""
    urls = []

    def pull(url, stream=None):
        urls.append(url)
        return a.rest("rtsp/startup", {"uri": url, **({"toStream": stream} if stream else {})})

    yield pull
    for url in urls:
        a.rest("rtsp/terminate", {"uri": url})


@pytest.mark.parametrize("path, codecs", [("/h264-aac", ("mpeg4-generic", "H264")), ("/h264-alaw", ("PCMA", "H264"))])
def test_a_camera_is_seen_and_heard_in_a_browser(a, tab, name, camera, pulled, path, codecs):
    reply = pulled(camera.url(path), name)
    assert reply.status == 200, reply.reason
    assert a.rest("rtsp/find_all").body == [{"uri": camera.url(path), "status": "PLAYING", "toStream": name}]
    record = a.streams(name=name, published=True)[0]
    assert (record["mediaProvider"], record["audioCodec"], record["videoCodec"]) == ("RTSP", *codecs)
    assert pulled(camera.url(path), name + "-2").status == 409
    page = tab(a)
    player = page.play(a.ws, name)
    player.wait_for_frames(20)
    wait_until(lambda: player.audio_energy() > 0.01, 10, lambda: player.figures())


def test_a_camera_sends_over_udp(make_node, tab, name, camera):
    node = make_node("udp", rtsp_udp=True)
    reply = node.rest("rtsp/startup", {"uri": camera.url("/h264-aac"), "toStream": name})
    assert reply.status == 200, reply.reason
    player = tab(node).play(node.ws, name)
    player.wait_for_frames(20)
    wait_until(lambda: player.audio_energy() > 0.01, 10, lambda: player.figures())
    # No media came by the connection that commands go over.
    assert node.rest("rtsp/find_all").body[0]["status"] == "PLAYING"


def test_a_cameras_stream_is_pictured_recorded_and_pushed_on(make_node, b, name, camera):
    node = make_node("sinks", record_rtsp_streams=True)
    url = camera.url("/h264-aac")
    assert node.rest("rtsp/startup", {"uri": url, "toStream": name}).status == 200
    picture = node.rest("stream/snapshot", {"streamName": name})
    assert picture.status == 200 and len(picture.body["data"]) > 1000
    assert node.rest("pull/push", {"uri": b.ws, "localStreamName": name, "remoteStreamName": name}).status == 200
    wait_until(lambda: (b.streams(name=name, published=True) or [{}])[0].get("width") == 320, 10, lambda: b.streams(name=name))
    statistics = node.statistics()["stream_stats"]
    assert (statistics["streams_rtsp_in"], statistics["streams_webrtc_in"]) == (1, 0)
    run_for(3)
    assert node.rest("rtsp/terminate", {"uri": url}).status == 200
    b.wait_for_no_stream(name)
    entry = only_record(node)
    records.decodes(folder(node) / entry["fileName"])
    found = records.look(folder(node) / entry["fileName"])
    assert (found.video_codec, found.audio_codec, found.sizes) == ("h264", "aac", [(320, 240)])
    assert len(found.frames) > 40 and found.loudness(found.sound_start + 0.5, found.sound_start + 2) > 0.05


def test_pictures_that_cannot_be_recorded_are_named(a, name, camera, pulled):
    assert pulled(camera.url("/h265"), name).status == 200
    session = a.streams(name=name, published=True)[0]["mediaSessionId"]
    reply = a.rest("recorder/startup", {"mediaSessionId": session})
    assert reply.status >= 400 and "H.265" in reply.reason, reply


def test_b_frames_are_taken_out_for_browsers(a, tab, name, camera, pulled):
    assert pulled(camera.url("/h264-b"), name).status == 200
    page = tab(a)
    player = page.play(a.ws, name)
    player.wait_for_frames(20)
    assert "B-frames" in a.log_path.read_text()


def test_a_camera_comes_with_the_first_player_and_goes_after_the_last(make_node, tab, camera):
    node = make_node("demand", rtsp_idle_timeout=1000)
    url = camera.url("/vp8")
    page = tab(node)
    player = page.play(node.ws, url)
    player.wait_for_frames(10)
    assert node.rest("rtsp/find", {"uri": url}).body[0]["status"] == "PLAYING"
    player.stop()
    wait_until(lambda: node.rest("rtsp/find_all").status == 404, 15)


def test_a_camera_that_dies_is_called_again(make_node, tab, name):
    with Camera() as camera:
        node = make_node("dies")
        assert node.rest("rtsp/startup", {"uri": camera.url("/h264-aac"), "toStream": name}).status == 200
        page = tab(node)
        player = page.play(node.ws, name)
        player.wait_for_frames(10)
        camera.kill()
        wait_until(lambda: node.rest("rtsp/find_all").body[0]["status"] == "RECONNECTING", 10)
        camera.start()
        wait_until(lambda: node.rest("rtsp/find_all").body[0]["status"] == "PLAYING", 20)
        player.wait_for_frames(20)


@pytest.mark.parametrize("scheme", ["basic", "digest"])
def test_a_login_is_given_and_a_wrong_one_told(a, name, pulled, scheme):
    with Camera(f"{scheme}:user:secret") as camera:
        assert pulled(camera.url("/vp8", "user:secret@"), name).status == 200
        assert "secret" not in a.log_path.read_text()
        for login in ("user:wrong@", ""):
            reply = pulled(camera.url("/vp8", login), name + "-no")
            assert reply.status == 500 and reply.reason.startswith("Failed to connect to rtsp stream") and "401" in reply.reason


def test_dead_hosts_wrong_codecs_and_missing_streams_have_their_words(a, tab, name, camera, pulled):
    cases = {
        f"rtsp://127.0.0.1:{free_tcp_port()}/x": "Failed to connect to rtsp stream", camera.url("/latm"): "Rtsp has wrong format",
        camera.url("/nothing"): "Rtsp stream not found",
    }
    for url, words in cases.items():
        reply = pulled(url, name)
        assert reply.status == 500 and reply.reason.startswith(words), reply
    assert a.rest("rtsp/find_all").status == 404
    assert not a.streams(name=name)
    # The same for a player who asks by name.
    page = tab(a)
    for url, words in cases.items():
        with pytest.raises(Error, match=f"FAILED {words}"):
            page.play(a.ws, url)


# Odd cameras.

def frames(node, name):
    """How many pictures an RTSP player decodes in two seconds."""
    probe = subprocess.run(
        ["ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-select_streams", "v", "-read_intervals", "%+2", "-count_frames",
         "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", f"{node.rtsp}/{name}"], capture_output=True, text=True, timeout=40)
    return int((probe.stdout.strip().split("\n")[0] or "0").strip(","))


def a_space_in_the_head(link, method, uri, headers):
    return ["RTSP/1.0 200 OK", " ", "X-Strange line without colon", "Session: 4711"] if method == "PLAY" else None


def no_double_slash(link, method, uri, headers):
    return ["RTSP/1.0 404 Not Found"] if method == "SETUP" and "//" in uri.partition("://")[2] else None


@pytest.mark.parametrize("options, override", [
    ({}, a_space_in_the_head), ({"control": "/media/1/video", "content_base": "rtsp://127.0.0.1/"}, no_double_slash),
    ({"audio": "m=application RTP/AVP 107\r\na=control:x\r\n"}, None), ({"described": 96, "sent": 97}, None)],
    ids=["a line of a space", "slashes of addresses", "a section without a port", "another payload type"])
def test_an_odd_camera_is_fetched(a, name, pulled, options, override):
    with ScriptedCamera(**options) as camera:
        camera.override = override or camera.override
        reply = pulled(camera.url(), name)
        assert reply.status == 200, reply.reason
        assert frames(a, name) >= 25 and len(camera.links) == 1


def test_stray_bytes_between_packets_cost_nothing_else(a, name, pulled):
    with ScriptedCamera() as camera:
        camera.between = lambda link, picture, packet: link.send(b"\1\2$garbage\xaa\xbb\0") if picture % 10 == 7 and packet == 0 else None
        assert pulled(camera.url(), name).status == 200
        assert frames(a, name) >= 25 and len(camera.links) == 1
        # What is asked of it in between still is answered.
        assert a.rest("rtsp/terminate", {"uri": camera.url()}).status == 200
        wait_until(lambda: camera.count("TEARDOWN") == 1, 10, "a goodbye")


def test_packets_too_long_to_be_passed_on_are_counted_and_named_once(a, name, pulled):
    with ScriptedCamera() as camera:
        description = camera.description().replace("H264", "VP8")
        camera.description = lambda: description
        camera.largest = 65_000
        camera.picture = lambda link, number: [b"\x10" + bytes(3000)] if number % 2 else [b"\x10" + bytes(500)]
        assert pulled(camera.url(), name).status == 200

        def said(words):
            return [line for line in a.log().splitlines() if words in line and f":{camera.port}/" in line]
        wait_until(lambda: said("packets of 3013 bytes of VP8 are too long and can't be cut"), 5, a.log_tail)
        wait_until(lambda: a.streams(name=name), 5, a.log_tail)
        assert a.rest("rtsp/terminate", {"uri": camera.url()}).status == 200
        wait_until(lambda: said("packets of a camera were too long to be passed on"), 5, a.log_tail)
        assert len(said("can't be cut")) == 1


@pytest.mark.parametrize("status", ["401 Unauthorized", "501 Not Implemented", "302 Found"])
def test_refused_signs_of_life_do_not_end_what_has_media(a, name, pulled, status):
    with ScriptedCamera(timeout=2) as camera:
        camera.override = lambda link, method, uri, headers: (
            [f"RTSP/1.0 {status}", 'WWW-Authenticate: Digest realm="x", nonce="y"', "Location: rtsp://127.0.0.1:1/"] if method == "GET_PARAMETER" else None)
        assert pulled(camera.url(), name).status == 200
        # The other form goes on.
        wait_until(lambda: camera.count("GET_PARAMETER") == 1 and camera.count("OPTIONS") >= 4, 20, lambda: camera.requests)
        assert a.rest("rtsp/find", {"uri": camera.url()}).body[0]["status"] == "PLAYING"
        assert frames(a, name) >= 25 and len(camera.links) == 1


def test_a_camera_that_begins_with_the_same_numbers_again_goes_on_at_once(a, tab, name, pulled):
    with ScriptedCamera() as camera:
        assert pulled(camera.url(), name).status == 200
        player = tab(a).play(a.ws, name)
        # So long the pictures would stand still if what comes next were taken for a repetition.
        player.wait_for_frames(10 * 25, timeout=30)
        before = player.decoded()
        camera.links[0].close()
        wait_until(lambda: len(camera.links) == 2 and camera.count("PLAY") == 2, 10, lambda: camera.requests)
        wait_until(lambda: player.decoded() > before + 25, 6, lambda: player.figures())


def test_the_stream_of_a_camera_that_is_back_with_other_tracks_goes_on(a, tab, name, pulled):
    with ScriptedCamera() as camera:
        assert pulled(camera.url(), name).status == 200
        before = a.streams(name=name, published=True)[0]
        assert "audioCodec" not in before or not before["audioCodec"]
        player = tab(a).play(a.ws, name)
        player.wait_for_frames(10)
        camera.audio, camera.sounds, camera.described, camera.payload_type = PCMU, True, 98, 98
        camera.links[0].close()
        wait_until(lambda: (a.streams(name=name, published=True) or [{}])[0].get("audioCodec") == "PCMU", 15, lambda: a.streams(name=name))
        assert a.streams(name=name, published=True)[0]["mediaSessionId"] == before["mediaSessionId"]
        # Its page had made a place for audio.
        wait_until(lambda: player.audio_energy() > 0.001, 10, lambda: player.figures())
        assert a.rest("rtsp/find", {"uri": camera.url()}).body[0]["status"] == "PLAYING"
        assert frames(a, name) >= 25


@pytest.mark.parametrize("refused", ["TCP", "UDP"])
def test_where_one_transport_is_refused_the_other_is_taken(make_node, name, refused):
    node = make_node("transports", rtsp_udp=refused == "UDP")
    with ScriptedCamera() as camera:
        camera.override = lambda link, method, uri, headers: (
            ["RTSP/1.0 461 Unsupported Transport"] if method == "SETUP" and ("TCP" in headers["transport"]) == (refused == "TCP") else None)
        reply = node.rest("rtsp/startup", {"uri": camera.url(), "toStream": name})
        assert reply.status == 200, reply.reason
        assert frames(node, name) >= 25 and len(camera.links) == 2


def test_a_camera_whose_datagrams_do_not_come_is_fetched_over_tcp(make_node, name):
    node = make_node("silent", rtsp_udp=True, rtsp_activity_timeout=1000)
    with ScriptedCamera() as camera:
        camera.picture = lambda link, number: pictures()[number % len(pictures())] if link.number else []
        assert node.rest("rtsp/startup", {"uri": camera.url(), "toStream": name}).status == 200
        wait_until(lambda: len(camera.links) == 2, 15, lambda: camera.requests)
        assert frames(node, name) >= 25 and isinstance(camera.links[1].channels["video"], int)


def test_datagrams_come_from_another_address_that_the_camera_names(make_node, name):
    node = make_node("source", rtsp_udp=True)
    with ScriptedCamera() as camera:
        camera.sender = camera.source = "127.0.0.77"
        assert node.rest("rtsp/startup", {"uri": camera.url(), "toStream": name}).status == 200
        link = camera.links[0]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reports:
            reports.bind((camera.sender, link.datagrams.getsockname()[1] + 1))
            reports.settimeout(15)
            assert frames(node, name) >= 25 and len(camera.links) == 1 and isinstance(link.channels["video"], tuple)
            # A receiver's report.
            data, (host, port) = reports.recvfrom(2000)
            assert data[1] == 201 and host == "127.0.0.1" and port == link.channels["video"][1] + 1


@pytest.mark.parametrize("named", [None, "localhost"])
def test_datagrams_from_an_address_that_nobody_named_are_not_taken(make_node, name, named):
    node = make_node("stranger", rtsp_udp=True, rtsp_activity_timeout=1000)
    with ScriptedCamera() as camera:
        camera.sender, camera.source = "127.0.0.77", named
        assert node.rest("rtsp/startup", {"uri": camera.url(), "toStream": name}).status == 200
        wait_until(lambda: len(camera.links) == 2, 15, lambda: camera.requests)
        assert frames(node, name) >= 25 and isinstance(camera.links[1].channels["video"], int)


def test_datagrams_that_are_faster_than_the_answer_to_play_are_not_lost(make_node, name):
    node = make_node("early", rtsp_udp=True)
    # One key frame, and no other for as long as anybody looks.
    units = encoded.access_units(gop=200)
    with ScriptedCamera() as camera:
        camera.sets = encoded.sets(units)
        camera.picture = lambda link, number: units[1 + number % (len(units) - 1)]

        def begin(link, method, uri, headers):
            if method == "PLAY":
                parts = [part for unit in units[0] for part in payloads(unit)]
                for index, part in enumerate(parts):
                    marker = 0x80 if index == len(parts) - 1 else 0
                    link.packet(link.channels["video"], struct.pack(
                        ">BBHII", 0x80, marker | 96, 1000 - len(parts) + index, 90000 - 90000 // FPS, 0x1111) + part)
                # The answer is slow.
                time.sleep(0.2)
        camera.override = begin
        assert node.rest("rtsp/startup", {"uri": camera.url(), "toStream": name}).status == 200
        assert frames(node, name) >= 25 and len(camera.links) == 1 and isinstance(camera.links[0].channels["video"], tuple)


def test_a_camera_is_called_for_as_long_as_it_is_wanted_and_no_longer(a, name, pulled):
    with ScriptedCamera() as camera:
        assert pulled(camera.url(), name).status == 200
        camera.override = lambda link, method, uri, headers: ["RTSP/1.0 404 Not Found"] if method == "DESCRIBE" else None
        camera.links[0].close()
        wait_until(lambda: camera.count("DESCRIBE") >= 4, 20, lambda: camera.requests)
        assert a.rest("rtsp/find", {"uri": camera.url()}).body[0]["status"] == "RECONNECTING"
        assert a.rest("rtsp/terminate", {"uri": camera.url()}).status == 200
        a.wait_for_no_stream(name, 2)


# The server, to clients that are odd themselves.

def ask(connection, method, uri, number, *fields):
    connection.sendall("\r\n".join([f"{method} {uri} RTSP/1.0", f"CSeq: {number}", *fields, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(4096)
        assert piece, answer
        answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(next((line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), b"0"))
    while len(body) < length:
        body += connection.recv(4096)
    return head.decode(), body.decode()


def test_two_tracks_that_ask_for_the_same_channels_get_different_ones(a, name):
    with publishing(a, name, "--video", "vp8", "--size", "320x240", "--fps", "20"):
        with socket.create_connection(("127.0.0.1", a.settings["rtsp.port"]), timeout=10) as connection:
            assert "200" in ask(connection, "DESCRIBE", f"{a.rtsp}/{name}", 1)[0]
            for track, channels in ((0, "0-1"), (1, "2-3")):
                head, _ = ask(connection, "SETUP", f"{a.rtsp}/{name}/trackID={track}", 2 + track, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
                assert f"interleaved={channels}" in head, head


@pytest.mark.parametrize("transport, is_taken", [
    ("RTP/AVP;unicast;client_port={port}-{next}", True), ("RTP/AVP;unicast;client_port={port}-{next};destination=127.0.0.66", True),
    ("RTP/AVP/UDP;unicast;destination=127.0.0.66;source=127.0.0.66;client_port={port}-{next}", True),
    ("RTP/AVP;multicast;destination=224.2.0.1;port={port}-{next};ttl=127", False), ("RTP/AVP;destination=224.2.0.1;port={port}-{next}", False),
    ("RTP/AVP/TCP;unicast;interleaved=300-301", False), ("RTP/AVP/TCP;unicast;interleaved=0-0", False),
    ("RTP/AVP/TCP;unicast;interleaved=300-301,RTP/AVP;unicast;client_port={port}-{next};destination=127.0.0.66", True)],
    ids=["own", "another host", "another host named twice", "multicast", "a group of multicast", "channels beyond all", "one channel for both", "a choice"])
def test_media_goes_to_nobody_but_who_asks_for_it(a, name, transport, is_taken):
    """RFC 2326 §12.39: `destination` would let anybody aim a stream at a third party. It is not followed, as servers may decide."""
    port = free_media_ports(2)
    with contextlib.ExitStack() as opened:
        opened.enter_context(publishing(a, name, "--no-audio", "--video", "vp8", "--size", "320x240", "--fps", "20"))

        def receiver(address):
            one = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            one.bind((address, port))
            one.settimeout(5)
            return one
        own, stranger = receiver("127.0.0.7"), receiver("127.0.0.66")
        player = opened.enter_context(
            socket.create_connection(("127.0.0.1", a.settings["rtsp.port"]), timeout=10, source_address=("127.0.0.7", 0)))
        url = f"{a.rtsp}/{name}"
        assert "200" in ask(player, "DESCRIBE", url, 1)[0]
        head, _ = ask(player, "SETUP", f"{url}/trackID=0", 2, "Transport: " + transport.format(port=port, next=port + 1))
        if is_taken:
            assert "200 OK" in head and f"client_port={port}-{port + 1}" in head and "127.0.0.66" not in head, head
            assert "200" in ask(player, "PLAY", url, 3)[0]
            # As many as would have come to the others too.
            assert all(own.recv(2000)[0] >> 6 == 2 for _ in range(20))
        else:
            assert "461 Unsupported Transport" in head and "Transport:" not in head, head
            # Nothing has been set up, so there is nothing to play.
            assert "455" in ask(player, "PLAY", url, 3)[0]
            assert select.select([own], [], [], 1)[0] == []
        assert select.select([stranger], [], [], 0)[0] == [], "somebody else has got something"


def test_one_whose_description_no_longer_holds_is_told_so_when_it_plays(a, name):
    source = odd_inputs.audio_configuration_changes().start(a, name)
    try:
        a.wait_for_stream(name)

        def described(connection):
            head, body = ask(connection, "DESCRIBE", f"{a.rtsp}/{name}", 1)
            assert "200" in head, head
            return next(line for line in body.splitlines() if "config=" in line)

        def described_anew():
            with socket.create_connection(("127.0.0.1", a.settings["rtsp.port"]), timeout=10) as other:
                return described(other)
        with socket.create_connection(("127.0.0.1", a.settings["rtsp.port"]), timeout=10) as connection:
            before = described(connection)
            for track in (0, 1):
                head, _ = ask(connection, "SETUP", f"{a.rtsp}/{name}/trackID={track}", 2 + track, f"Transport: RTP/AVP/TCP;unicast;interleaved={2 * track}-{2 * track + 1}")
                assert "200" in head, head
            wait_until(lambda: described_anew() != before, 10, "another configuration", pause=0.1)
            head, _ = ask(connection, "PLAY", f"{a.rtsp}/{name}", 4)
            assert "455" in head and "other tracks" in head, head
    finally:
        source.stop()


def test_names_with_slashes_at_their_ends_are_found(a, name):
    odd = f"/{name}/"
    with publishing(a, odd, "--video", "vp8", "--size", "320x240", "--fps", "20"):
        with socket.create_connection(("127.0.0.1", a.settings["rtsp.port"]), timeout=10) as connection:
            head, body = ask(connection, "DESCRIBE", f"{a.rtsp}/{odd}", 1)
            assert "200" in head and "m=video" in body, head
            assert "404" in ask(connection, "DESCRIBE", f"{a.rtsp}/{odd}x", 2)[0]


def test_audio_that_never_comes_is_not_announced(a, name, pulled):
    with ScriptedCamera(audio=PCMU) as camera:
        assert pulled(camera.url(), name).status == 200
        with socket.create_connection(("127.0.0.1", a.settings["rtsp.port"]), timeout=10) as connection:
            def described():
                return ask(connection, "DESCRIBE", f"{a.rtsp}/{name}", 1)[1]
            assert "m=video" in wait_until(lambda: (body := described()) and "m=audio" not in body and body, 15, described, pause=0.2)


# Players that pause, and go on as before or by another way.

class Conversation:
    """With the RTSP server about one stream: answers, and the packets between them."""

    def __init__(self, node, name):
        self.connection = socket.create_connection(("127.0.0.1", node.settings["rtsp.port"]), timeout=10)
        self.url, self.number, self.data, self.waiting = f"{node.rtsp}/{name}", 0, b"", []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def _item(self):
        """An answer as text, or a packet with its channel."""
        while True:
            if self.data[:1] == b"$":
                end = 4 + int.from_bytes(self.data[2:4], "big")
                if len(self.data) >= max(5, end):
                    item, self.data = (self.data[1], self.data[4:end]), self.data[end:]
                    return item
            elif b"\r\n\r\n" in self.data:
                length = re.search(rb"content-length: (\d+)", self.data.partition(b"\r\n\r\n")[0].lower())
                end = self.data.index(b"\r\n\r\n") + 4 + (int(length[1]) if length else 0)
                if len(self.data) >= end:
                    item, self.data = self.data[:end].decode(), self.data[end:]
                    return item
            piece = self.connection.recv(65536)
            assert piece, "the server has hung up"
            self.data += piece

    def ask(self, method, path="", *fields):
        """The answer; packets in front of it are kept in `waiting`."""
        self.number += 1
        self.connection.sendall("\r\n".join([f"{method} {self.url}{path} RTSP/1.0", f"CSeq: {self.number}", *fields, "", ""]).encode())
        while isinstance(item := self._item(), tuple):
            self.waiting.append(item)
        assert f"CSeq: {self.number}\r\n" in item, item
        return item

    def packet(self):
        if self.waiting:
            return self.waiting.pop(0)
        item = self._item()
        assert isinstance(item, tuple), item
        return item


def session_of(answer):
    return "Session: " + re.search(r"^Session: (\w+)", answer, re.MULTILINE)[1]


def begins_a_key_frame(packet):
    """Of H.264."""
    kind, fragment = packet[12] & 31, packet[13] & 31
    return (fragment if kind == 28 else kind) in (5, 7, 24)


def number_of(packet):
    return int.from_bytes(packet[2:4], "big")


@contextlib.contextmanager
def receivers(first, count):
    """Sockets for RTP of so many tracks; their reports go to the ports between, which nobody has."""
    with contextlib.ExitStack() as opened:
        made = [opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
        for number, one in enumerate(made):
            one.bind(("127.0.0.1", first + 2 * number))
            one.settimeout(5)
        yield made


def is_free(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_who_pauses_gets_nothing_until_it_plays_again(a, name, transport):
    port = free_media_ports(2)
    wait_until(lambda: figures(a)["rtsp_clients_playing"] == 0, 10, lambda: figures(a))
    way = "RTP/AVP/TCP;unicast;interleaved=0-1" if transport == "tcp" else f"RTP/AVP;unicast;client_port={port}-{port + 1}"
    with publishing(a, name, "--no-audio", "--video", "h264", "--size", "320x240", "--fps", "20"), receivers(port, 1) as (own,):
        with Conversation(a, name) as player:
            def packet():
                while True:
                    channel, data = player.packet() if transport == "tcp" else (0, own.recv(2000))
                    if channel == 0:
                        return data
            assert "m=video" in player.ask("DESCRIBE")
            assert " 455 " in player.ask("PAUSE")
            session = session_of(player.ask("SETUP", "/trackID=0", f"Transport: {way}"))
            assert " 200 " in player.ask("PLAY", "", session)
            before = [packet() for _ in range(40)]
            assert " 200 " in player.ask("PAUSE", "", session)
            before += [data for channel, data in player.waiting if channel == 0]
            player.waiting.clear()
            # What was on its way by UDP; twenty pictures a second would go on coming.
            while select.select([own], [], [], 0.4)[0]:
                before.append(own.recv(2000))
                assert len(before) < 200, "it goes on"
            assert select.select([own, player.connection], [], [], 1.5)[0] == [] and player.data == b"", "it goes on"
            wait_until(lambda: not a.streams(name=name, published=False), 5, lambda: a.streams(name=name))
            assert figures(a)["rtsp_clients_playing"] == 0
            # Once more changes nothing.
            assert " 200 " in player.ask("PAUSE", "", session)
            assert " 200 " in player.ask("PLAY", "", session)
            after = [packet() for _ in range(40)]
            # Pictures that can be shown from the first one on, and to the client the same source.
            assert begins_a_key_frame(after[0]) and after[0][8:12] == before[-1][8:12]
            assert 0 < (number_of(after[0]) - number_of(before[-1])) & 0xffff < 100
            assert len(a.streams(name=name, published=False)) == 1
        wait_until(lambda: not a.streams(name=name, published=False), 5, lambda: a.streams(name=name))
    wait_until(lambda: figures(a)["rtsp_clients_playing"] == 0, 5, lambda: figures(a))
    assert len([line for line in a.log().splitlines() if "player ended" in line and name in line]) == 2


def test_who_gets_nothing_by_udp_goes_on_by_tcp_on_the_same_connection(a, name):
    """As libavformat does it: it pauses, forgets its session, sets the same tracks up again and plays."""
    port = free_media_ports(4)
    with publishing(a, name, "--video", "h264", "--size", "320x240", "--fps", "20"), receivers(port, 2) as own, Conversation(a, name) as player:
        kinds = re.findall(r"^m=(\w+)", player.ask("DESCRIBE"), re.MULTILINE)
        assert sorted(kinds) == ["audio", "video"]
        servers, fields = [], []
        for track in (0, 1):
            way = f"Transport: RTP/AVP/UDP;unicast;client_port={port + 2 * track}-{port + 2 * track + 1}"
            answer = player.ask("SETUP", f"/trackID={track}", way, *fields)
            servers.append(int(re.search(r"server_port=(\d+)", answer)[1]))
            fields = [session_of(answer)]
            assert " 455 " in player.ask("SETUP", f"/trackID={track}", way, *fields)
        assert " 200 " in player.ask("PLAY", "", *fields)
        for one in own:
            assert all(one.recv(2000)[0] >> 6 == 2 for _ in range(10))
        assert " 455 " in player.ask("SETUP", "/trackID=0", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1", *fields)
        assert not any(is_free(one) for one in servers)
        assert " 200 " in player.ask("PAUSE", "", *fields)
        fields = []
        for track in (0, 1):
            channels = f"interleaved={2 * track}-{2 * track + 1}"
            answer = player.ask("SETUP", f"/trackID={track}", f"Transport: RTP/AVP/TCP;unicast;{channels}", *fields)
            assert " 200 " in answer and channels in answer, answer
            fields = [session_of(answer)]
        wait_until(lambda: all(is_free(one) for one in servers), 5, "the ports are closed")
        for one in own:
            while select.select([one], [], [], 0)[0]:
                one.recv(2000)
        assert " 200 " in player.ask("PLAY", "", *fields)
        packets = {0: [], 2: []}
        for _ in range(3000):
            channel, data = player.packet()
            if channel in packets:
                packets[channel].append(data)
            if min(map(len, packets.values())) >= 20:
                break
        assert min(map(len, packets.values())) >= 20
        assert begins_a_key_frame(packets[2 * kinds.index("video")][0])
        assert select.select(own, [], [], 0)[0] == []


@contextlib.contextmanager
def without_datagrams(node):
    """A port by which the node's RTSP server can be talked to, and from which its datagrams don't come back: it is spoken to by IPv6, which
    whoever speaks IPv4 here doesn't listen to."""
    listener = socket.create_server(("127.0.0.1", 0))
    ends = []

    def carry(one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("::1", node.settings["rtsp.port"]))
                ends.extend([near, far])
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=carry, args=(one, other), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        for end in ends:
            end.close()


def test_ffmpeg_goes_over_to_tcp_by_itself(a, name, tmp_path):
    with publishing(a, name, "--video", "h264", "--size", "320x240", "--fps", "20"), without_datagrams(a) as port:
        path = tmp_path / "fetched.mkv"
        done = subprocess.run(
            ["ffmpeg", "-hide_banner", "-loglevel", "warning", "-y", "-timeout", "3000000", "-i", f"rtsp://127.0.0.1:{port}/{name}", "-t", "4",
             "-c", "copy", str(path)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "retrying with TCP" in done.stderr, done.stderr
        records.decodes(path)
        contents = records.look(path)
        assert len(contents.frames) >= 50 and contents.loudness(contents.sound_start + 0.5, contents.sound_start + 3) > 0.01
        # It is the connection that began with UDP.
        assert "RTSP client pauses" in a.log()
