# SPDX-License-Identifier: Apache-2.0
"""RTMP: encoders to browsers, browsers to RTMP players, taken names, parameters, codecs that aren't taken, strangers."""
import os
import socket
import statistics
import time

import pytest

from harness import records, rtmp
from harness.rtmp import RtmpClient
from harness.waiting import wait_until
from test_recording import folder, in_step, only_record, run_for


@pytest.fixture
def client():
    made = []

    def make(node, **options):
        made.append(RtmpClient(node, **options))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("bframes, rate, channels", [(0, 48000, 2), (0, 44100, 1), (2, 44100, 2)])
def test_an_encoder_is_seen_and_heard(a, tab, encoder, name, bframes, rate, channels):
    encoder(f"{a.rtmp}/live/{name}", bframes=bframes, rate=rate, channels=channels)
    a.wait_for_stream(name)
    record = a.streams(name=name, published=True)[0]
    assert (record["mediaProvider"], record["videoCodec"], record["appKey"]) == ("Flash", "H264", "flashStreamingApp")
    played = tab(a).play(a.ws, name)
    played.wait_for_frames(25)
    wait_until(lambda: played.audio_energy() > 0.001, 10, lambda: played.figures()["audio"], pause=0.1)
    figures = played.figures()
    assert figures["size"] == [640, 360]
    # The browser has been told to let pictures wait for the sound, which comes later and less evenly. By itself it lets them wait for 10 to 30 ms;
    # told, for about 70 where the sound comes with its pictures, and longer the later it comes.
    waits = figures["video"]["jitterBufferTargetDelay"] / figures["video"]["jitterBufferEmittedCount"]
    assert 0.045 < waits < 0.6, figures["video"]
    print(f"pictures wait {waits * 1000:.0f} ms; first frame after {played.first_frame_ms():.0f} ms")


@pytest.mark.parametrize("bframes, rate, channels", [(0, 44100, 1), (2, 48000, 2)])
def test_what_is_converted_for_browsers_stays_in_step(a, b, encoder, name, bframes, rate, channels):
    """By its timestamps, which a second server records: what a browser makes of them depends on how busy its machine is."""
    encoder(f"{a.rtmp}/live/{name}", bframes=bframes, rate=rate, channels=channels)
    a.wait_for_stream(name)
    assert a.rest("pull/push", {"uri": b.ws, "localStreamName": name, "remoteStreamName": name}).status == 200
    session = wait_until(lambda: b.streams(name=name, published=True), 10, "the stream at B")[0]["mediaSessionId"]
    assert b.rest("recorder/startup", {"mediaSessionId": session}).status == 200
    run_for(4)
    assert b.rest("recorder/terminate", {"mediaSessionId": session}, timeout=60).status == 200
    entry = next(entry for entry in b.rest("record/find_all").body if entry["streamName"] == name)
    offsets = records.look(folder(b) / entry["fileName"]).offsets()
    assert offsets and max(map(abs, offsets)) <= 20, offsets
    assert a.rest("pull/terminate", {"uri": b.ws, "localStreamName": name, "remoteStreamName": name}).status == 200


def test_a_browser_is_played_by_rtmp(a, tab, name, tmp_path):
    """VP8 and Opus become H.264 and AAC; the file decodes clean."""
    tab(a).publish(a.ws, name, "VP8", pattern={"fps": 20, "flash": True})
    wait_until(lambda: a.streams(name=name, published=True)[0].get("width"), 10, "pictures")
    rtmp.fetch(f"{a.rtmp}/live/{name}", tmp_path / "vp8.flv", 4)
    found = records.look(tmp_path / "vp8.flv")
    assert (found.video_codec, found.audio_codec, found.sizes) == ("h264", "aac", [(320, 240)])
    records.decodes(tmp_path / "vp8.flv")
    clocks = [clock for _, clock, _ in found.frames if clock is not None]
    assert len(clocks) > 40 and clocks == sorted(clocks), "the pictures are those of the browser, in order"
    offsets = found.offsets()
    assert offsets and abs(statistics.median(offsets)) <= 60, offsets


def test_h264_of_a_browser_passes_unchanged(a, tab, name, tmp_path):
    tab(a).publish(a.ws, name, "H264", pattern={"fps": 20})
    wait_until(lambda: a.streams(name=name, published=True)[0].get("width"), 10, "pictures")
    rtmp.fetch(f"{a.rtmp}/live/{name}", tmp_path / "h264.flv", 3)
    found = records.look(tmp_path / "h264.flv")
    assert (found.video_codec, found.audio_codec) == ("h264", "aac") and len(found.frames) > 30
    records.decodes(tmp_path / "h264.flv")


def test_an_rtmp_player_starts_at_once_from_a_long_group_of_pictures(a, encoder, client, name):
    encoder(f"{a.rtmp}/live/{name}", fps=25)
    a.wait_for_stream(name)
    player = client(a)
    start = time.monotonic()
    player.play(name)
    player.status("NetStream.Play.Start")
    wait_until(lambda: any(kind == 9 and data[:2] == b"\x17\x01" for kind, data in player.media), 3, "a key frame")
    print(f"key frame after {(time.monotonic() - start) * 1000:.0f} ms")
    kinds = [(kind, data[1]) for kind, data in player.media if kind == 9]
    assert kinds[0] == (9, 0), "the configuration comes before the first picture"


def test_names_and_parameters(a, encoder, client, name):
    encoder(f"{a.rtmp}/live?connectParam=1/{name}?streamParam=two")
    a.wait_for_stream(name)
    record = a.streams(name=name, published=True)[0]
    assert record["custom"] == {"streamParam": "two"}
    second = client(a)
    stream = second.stream()
    second.call("publish", name, "live", stream=stream, wait=False)
    assert "in use" in second.status("NetStream.Publish.BadName")
    player = client(a)
    player.play("nobody-" + name)
    assert "nobody" in player.status("NetStream.Play.StreamNotFound")


def test_the_end_is_told_both_ways(a, encoder, client, tab, name):
    publishing = encoder(f"{a.rtmp}/live/{name}")
    a.wait_for_stream(name)
    player, viewer = client(a), tab(a).play(a.ws, name)
    player.play(name)
    player.status("NetStream.Play.Start")
    assert a.rest("stream/terminate", {"name": name, "published": True}).status == 200
    player.status("NetStream.Play.UnpublishNotify")
    assert viewer.ended()["info"] == "Stopped by publisher stop"
    wait_until(lambda: publishing.process.poll() is not None, 5, "the encoder gives up")
    a.wait_for_no_stream(name)


def test_codecs_that_are_not_taken_are_named(a, encoder, client, name):
    encoder(f"{a.rtmp}/live/{name}", video=False, codec="libmp3lame", rate=44100)
    wait_until(lambda: "MP3" in a.log(), 10, "the log names the codec")
    publisher = client(a)
    stream = publisher.stream()
    publisher.call("publish", name + "-hevc", "live", stream=stream, wait=False)
    publisher.status("NetStream.Publish.Start")
    publisher.send(9, b"\x90hvc1\x01\x02\x03", stream)
    assert "H.265" in publisher.status("NetStream.Publish.Rejected")
    wait_until(lambda: publisher.is_closed, 5, "the connection is closed")
    a.wait_for_no_stream(name + "-hevc")


def test_rtmps(make_node, tab, encoder, name):
    from harness.ports import free_tcp_port
    node = make_node("A", rtmps__port=free_tcp_port())
    encoder(f"rtmps://127.0.0.1:{node.settings['rtmps.port']}/live/{name}")
    node.wait_for_stream(name)
    tab(node).play(node.ws, name).wait_for_frames(10)


def test_strangers_and_the_slow_are_dropped(make_node, name, client):
    node = make_node("A", rtmp_connect_timeout=1000, max_rtmp_connections_per_address=8)
    port = node.settings["rtmp.port"]

    def connect():
        return socket.create_connection(("127.0.0.1", port), timeout=10)

    def is_closed(one):
        try:
            while one.recv(65536):
                pass
            return True
        except ConnectionError:
            return True
    # Nothing, a byte now and then, another protocol, half a handshake, noise behind a handshake.
    silent, half, web, noise = connect(), connect(), connect(), connect()
    half.sendall(b"\x03" + bytes(700))
    web.sendall(b"GET / HTTP/1.1\r\n\r\n")
    noise.sendall(b"\x03" + bytes(3072) + os.urandom(5000))
    for one in (silent, half, web, noise):
        assert is_closed(one)
    waiting = client(node, connect=False)
    wait_until(lambda: waiting.is_closed, 5, "a client without connect is dropped")
    idle = client(node)
    wait_until(lambda: idle.is_closed, 5, "a client that wants nothing is dropped")
    # Too many at once.
    crowd = [connect() for _ in range(12)]
    wait_until(lambda: node.statistics()["rtmp_stats"]["rtmp_connections_refused"] >= 4, 5, "some are refused")
    for one in crowd:
        one.close()
    # What announces a message of 16 MB keeps nothing of it.
    huge = connect()
    huge.sendall(b"\x03" + bytes(3072) + b"\x03\x00\x00\x00\xff\xff\xff\x14\x00\x00\x00\x00")
    assert is_closed(huge)
    assert node.process.poll() is None
    assert node.statistics()["rtmp_stats"]["rtmp_connections_failed"] >= 3
    assert client(node).connected[0] == "_result"


def test_a_player_that_does_not_read_costs_nobody_else(make_node, encoder, client, tab, name):
    node = make_node("A", rtmp_write_timeout=2000)
    encoder(f"{node.rtmp}/live/{name}")
    node.wait_for_stream(name)
    viewer = tab(node).play(node.ws, name)
    stuck = client(node, receive_buffer=4096)
    stuck.play(name)
    stuck.status("NetStream.Play.Start")
    stuck.reads.clear()
    wait_until(lambda: "the peer took nothing" in node.log() or "does not read" in node.log(), 30, "the stuck player is dropped", pause=0.2)
    stuck.reads.set()
    viewer.wait_for_frames(viewer.decoded() + 25)
    assert len(node.streams(name=name, published=False)) == 1


def test_clients_are_connections_and_their_streams_are_counted(make_node, encoder, client, name):
    node = make_node("A")
    encoder(f"{node.rtmp}/live/{name}", bframes=2)
    node.wait_for_stream(name)
    player = client(node, app="live", appKey="someApp", login="eve")
    player.play(name)
    player.status("NetStream.Play.Start")
    statistics = node.statistics()["stream_stats"]
    assert (statistics["streams_rtmp_in"], statistics["streams_rtmp_out"], statistics["streams_webrtc_in"]) == (1, 1, 0)
    record = node.streams(name=name, published=True)[0]
    assert record["bFrames"] is True
    found = node.rest("connection/find", {"transport": "rtmp"}).body
    assert record["sessionId"] in [one["sessionId"] for one in found] and len(found) == 2
    eve, = node.rest("connection/find", {"login": "eve"}).body
    assert (eve["appKey"], eve["mediaProviders"], eve["status"]) == ("someApp", ["Flash"], "ESTABLISHED")
    assert node.rest("connection/terminate", {"sessionId": eve["sessionId"]}).status == 200
    wait_until(lambda: player.is_closed, 5, "she is put out")
    assert not node.streams(name=name, published=False) and node.streams(name=name, published=True)


def test_b_frames_are_refused_where_they_are_not_wanted(make_node, encoder, name):
    node = make_node("A", bframes_disabled=True)
    refused = encoder(f"{node.rtmp}/live/{name}", bframes=2)
    wait_until(lambda: refused.process.poll() is not None, 10, "the encoder gives up")
    assert "B-frames, which this server does not take" in node.log()
    encoder(f"{node.rtmp}/live/{name}")
    node.wait_for_stream(name)
    assert "bFrames" not in node.streams(name=name, published=True)[0]


def test_streams_of_encoders_have_pictures_and_records(make_node, encoder, name, tmp_path):
    node = make_node("A", record_flash_published_streams=True)
    publishing = encoder(f"{node.rtmp}/live/{name}")
    node.wait_for_stream(name)
    picture = node.rest("stream/snapshot", {"streamName": name})
    assert picture.status == 200 and len(picture.body["data"]) > 1000
    assert node.rest("stream/find", {"mediaProvider": "Flash", "published": True}).body[0]["name"] == name
    run_for(4)
    publishing.stop()
    node.wait_for_no_stream(name)
    entry = only_record(node)
    assert entry["videoCodec"].lower() == "h264" and entry["duration"] > 3000, entry
    path = folder(node) / entry["fileName"]
    records.decodes(path)
    found = records.look(path)
    in_step(found)
    assert (found.video_codec, found.audio_codec, found.sizes) == ("h264", "aac", [(640, 360)])
