# SPDX-License-Identifier: Apache-2.0
"""Streams to and from other RTMP servers: nginx with its RTMP module, and a second node."""
import os
import signal
import time

import pytest

from harness import records
from harness.rtmp import Nginx, RtmpClient
from harness.table import write_row
from harness.waiting import wait_until

# Seconds after which somebody joins at another server.
AGES = [int(age) for age in os.environ.get("MARTLET_TEST_JOINS", "5,20").split(",")]

needs_nginx = pytest.mark.skipif(not os.path.exists(Nginx.MODULE), reason="nginx has no RTMP module here")


@pytest.fixture
def nginx(tmp_path):
    server = Nginx(tmp_path / "nginx").start()
    yield server
    server.stop()


def pushes(node):
    reply = node.rest("push/find_all")
    return reply.body if reply.status == 200 else []


def wait_for_a_key_frame(nginx, name, timeout):
    """As a player that speaks RTMP: seconds until there is something to begin with."""
    began, player = time.monotonic(), RtmpClient(nginx)
    try:
        player.play(name)
        wait_until(lambda: any(kind == 9 and data[:2] == b"\x17\x01" for kind, data in list(player.media)), timeout, f"a key frame of {name}", pause=0.02)
        assert next(data[1] for kind, data in player.media if kind == 9) == 0, "the configuration comes first"
    finally:
        player.close()
    return time.monotonic() - began


@needs_nginx
def test_a_stream_is_republished_to_nginx_also_over_its_restart(a, encoder, nginx, name):
    encoder(f"{a.rtmp}/live/{name}")
    a.wait_for_stream(name)
    reply = a.rest("push/startup", {"streamName": name, "rtmpUrl": nginx.url})
    assert reply.status == 200, reply.reason
    assert (reply.body["streamName"], reply.body["rtmpUrl"], reply.body["muted"]) == (f"rtmp_{name}", nginx.url, False)
    assert a.rest("push/startup", {"streamName": name, "rtmpUrl": nginx.url}).status == 409
    wait_until(lambda: nginx.files() and nginx.files()[-1].stat().st_size > 150_000, 20, "nginx records")
    first = len(nginx.files())
    nginx.stop()
    wait_until(lambda: pushes(a)[0]["status"] == "RECONNECTING", 10, lambda: pushes(a))
    nginx.start()
    wait_until(lambda: pushes(a)[0]["status"] == "PUBLISHING", 10, lambda: pushes(a))
    wait_until(lambda: len(nginx.files()) > first and nginx.files()[-1].stat().st_size > 150_000, 20, "nginx records again")
    one = pushes(a)[0]
    assert a.rest("push/find", {"streamName": f"rtmp_{name}"}).body == [one]
    assert a.rest("push/terminate", {"mediaSessionId": one["mediaSessionId"]}).status == 200
    assert a.rest("push/terminate", {"mediaSessionId": one["mediaSessionId"]}).status == 404
    wait_until(lambda: not [s for s in a.streams(name=name, published=False)], 5, "the push plays no more")
    nginx.stop()
    for path in nginx.files()[-1:]:
        found = records.look(path)
        assert (found.video_codec, found.audio_codec, found.sizes) == ("h264", "aac", [(640, 360)]) and len(found.frames) > 20


@needs_nginx
def test_rtmp_url_of_publish_stream_republishes_a_browser(a, tab, nginx, name):
    published = tab(a).publish(a.ws, name, "H264", pattern={"fps": 15}, rtmpUrl=nginx.url)
    wait_until(lambda: nginx.files() and nginx.files()[-1].stat().st_size > 30_000, 20, lambda: pushes(a))
    assert pushes(a)[0]["streamName"] == f"rtmp_{name}"
    published.stop()
    wait_until(lambda: not pushes(a), 10, "the push ends with its stream")


def test_a_stream_is_pulled_from_another_server_and_comes_back(a, make_node, encoder, tab, name, tmp_path):
    far = make_node("F")
    first = encoder(f"{far.rtmp}/live/{name}")
    far.wait_for_stream(name)
    uri = f"{far.rtmp}/live/{name}"
    assert a.rest("pull/rtmp/pull", {"uri": uri, "localStreamName": name}).status == 200
    assert a.rest("pull/rtmp/pull", {"uri": uri, "localStreamName": name + "2"}).status == 409
    a.wait_for_stream(name)
    played = tab(a).play(a.ws, name)
    played.wait_for_frames(10)
    first.stop()
    wait_until(lambda: a.rest("pull/rtmp/find_all").body[0]["status"] == "RECONNECTING", 10, "it is missed")
    assert a.streams(name=name, published=True), "the stream is kept for its players"
    before = played.decoded()
    encoder(uri)
    played.wait_for_frames(before + 25)
    assert a.rest("pull/rtmp/terminate", {"uri": uri}).status == 200
    a.wait_for_no_stream(name)


def test_a_pull_whose_far_side_falls_silent_is_called_again(a, make_node, encoder, name):
    far = make_node("F")
    encoder(f"{far.rtmp}/live/{name}")
    far.wait_for_stream(name)
    assert a.rest("pull/rtmp/pull", {"uri": f"{far.rtmp}/live/{name}", "localStreamName": name}).status == 200
    a.wait_for_stream(name)
    os.kill(far.process.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: a.rest("pull/rtmp/find_all").body[0]["status"] == "RECONNECTING", 20, "it is missed")
    finally:
        os.kill(far.process.pid, signal.SIGCONT)
    wait_until(lambda: a.rest("pull/rtmp/find_all").body[0]["status"] == "PROCESSED_REMOTE", 20, "it is back")
    assert a.rest("pull/rtmp/terminate", {"uri": f"{far.rtmp}/live/{name}"}).status == 200


def test_a_push_whose_far_side_is_down_at_first_is_listed_and_comes_by_itself(a, make_node, encoder, tab, name):
    far = make_node("F")
    target = f"{far.rtmp}/live"
    far.stop()
    encoder(f"{a.rtmp}/live/{name}")
    a.wait_for_stream(name)
    reply = a.rest("push/startup", {"streamName": name, "rtmpUrl": target})
    assert reply.status == 200 and reply.body["status"] == "RECONNECTING", reply.body
    listed = pushes(a)[0]
    assert listed["status"] == "RECONNECTING" and "127.0.0.1" in listed["reason"], listed
    assert a.rest("push/startup", {"streamName": name, "rtmpUrl": target}).status == 409
    published = tab(a).publish(a.ws, f"{name}-browser", "H264", pattern={"fps": 15}, rtmpUrl=target)
    wait_until(lambda: len(pushes(a)) == 2, 10, lambda: pushes(a))
    far.start()
    wait_until(lambda: [one["status"] for one in pushes(a)] == ["PUBLISHING", "PUBLISHING"], 20, lambda: pushes(a))
    assert not any("reason" in one for one in pushes(a))
    far.wait_for_stream(f"rtmp_{name}")
    far.wait_for_stream(f"rtmp_{name}-browser")
    assert a.rest("push/terminate", {"mediaSessionId": listed["mediaSessionId"]}).status == 200
    published.stop()
    wait_until(lambda: not pushes(a), 10, "the other push ends with its stream")


@needs_nginx
def test_a_browsers_stream_comes_to_an_nginx_that_is_down_at_first(a, tab, nginx, name):
    nginx.stop()
    published = tab(a).publish(a.ws, name, "H264", pattern={"fps": 15}, rtmpUrl=nginx.url)
    wait_until(lambda: [one["status"] for one in pushes(a)] == ["RECONNECTING"], 10, lambda: pushes(a))
    nginx.start()
    wait_until(lambda: [one["status"] for one in pushes(a)] == ["PUBLISHING"], 20, lambda: pushes(a))
    # The interval and a second.
    wait_for_a_key_frame(nginx, f"rtmp_{name}", 4)
    published.stop()
    wait_until(lambda: not pushes(a), 10, "the push ends with its stream")


def test_a_push_that_is_terminated_while_its_far_side_is_down_is_gone(a, encoder, name):
    encoder(f"{a.rtmp}/live/{name}")
    a.wait_for_stream(name)
    reply = a.rest("push/startup", {"streamName": name, "rtmpUrl": "rtmp://127.0.0.1:1/live"})
    assert reply.status == 200 and "127.0.0.1:1" in reply.body["reason"], reply.body
    assert a.rest("push/terminate", {"mediaSessionId": reply.body["mediaSessionId"]}).status == 200
    assert a.rest("push/find_all").status == 404


@needs_nginx
def test_whoever_joins_a_browsers_stream_at_another_server_late_gets_frames_within_the_interval(a, make_node, tab, nginx, name):
    """A browser sends a key frame when it is asked for one, and RTMP and RTSP have no way to ask. A stream for each way: none helps another."""
    far, page = make_node("F"), tab(a)
    for way in ("rtmp", "nginx", "rtsp"):
        url = {"rtmp": f"{far.rtmp}/live", "nginx": nginx.url}.get(way)
        page.publish(a.ws, f"{name}-{way}", "H264", pattern={"fps": 15}, **({"rtmpUrl": url} if url else {}))
    assert far.rest("rtsp/startup", {"uri": f"{a.rtsp}/{name}-rtsp", "toStream": f"rtsp_{name}-rtsp"}).status == 200
    far.wait_for_stream(f"rtmp_{name}-rtmp")
    wait_until(lambda: nginx.files() and nginx.files()[-1].stat().st_size > 0, 10, "nginx gets it")
    started, viewer = time.monotonic(), tab(far)
    # The interval (key_frame_interval, 3 s) and a second.
    longest = 4
    for after in AGES:
        # The far side's stream is to be that old: nothing else can be waited for.
        wait_until(lambda: time.monotonic() - started > after, after + 5, "the stream grows older")
        took = {"nginx": wait_for_a_key_frame(nginx, f"rtmp_{name}-nginx", longest)}
        for way in ("rtmp", "rtsp"):
            played = viewer.play(far.ws, f"{way}_{name}-{way}")
            took[way] = played.first_frame_ms() / 1000
            played.wait_for_frames(3, longest)
            played.stop()
        assert max(took.values()) < longest, took
        write_row(f"joins after {after} s", *(f"{took[way] * 1000:.0f}" for way in ("rtmp", "nginx", "rtsp")))
    page.close()
    wait_until(lambda: not pushes(a), 10, "the pushes end with their streams")


def test_what_cannot_be_pushed_or_pulled_is_said(a, encoder, name):
    assert a.rest("push/startup", {"streamName": name, "rtmpUrl": "rtmp://127.0.0.1:1/live"}).status == 404
    assert "streamName" in a.rest("push/startup", {"rtmpUrl": "rtmp://127.0.0.1/live"}).reason
    assert a.rest("push/startup", {"streamName": name, "rtmpUrl": "http://127.0.0.1/live"}).status == 400
    assert a.rest("push/startup", {"streamName": name}).status == 400
    reply = a.rest("push/startup", {"streamName": name, "rtmpUrl": "rtmp://user:secret@127.0.0.1/live"})
    assert reply.status == 400 and "login" in reply.reason and "secret" not in reply.reason
    encoder(f"{a.rtmp}/live/{name}")
    a.wait_for_stream(name)
    reply = a.rest("pull/rtmp/pull", {"uri": f"{a.rtmp}/live/nobody-{name}", "localStreamName": name + "-pulled"})
    assert reply.status == 500 and "nobody" in reply.reason
    assert a.rest("pull/rtmp/pull", {"uri": f"{a.rtmp}/live/x", "localStreamName": name}).status == 409
