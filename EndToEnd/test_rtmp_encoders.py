# SPDX-License-Identifier: Apache-2.0
"""RTMP as encoders really send it: streams that ffmpeg copies, and the oddities of encoders that other servers' users have met. What can't be used costs
itself: the stream is seen and heard."""
import threading
import time

import pytest

from harness import rtmp
from harness.rtmp import Encoder, RtmpClient
from harness.waiting import wait_until


@pytest.fixture
def copying(tmp_path):
    made = []

    def make(path, url):
        made.append(Encoder.copying(path, url, tmp_path / f"copy-{len(made)}.log"))
        return made[-1]
    yield make
    for one in made:
        one.stop()


@pytest.fixture
def client():
    made = []

    def make(node, **options):
        made.append(RtmpClient(node, **options))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """H.264 main profile without B-frames, a key frame each second, AAC of 44.1 kHz; configurations first."""
    return rtmp.messages(rtmp.record(tmp_path_factory.mktemp("flv") / "source.flv", seconds=4))


def is_heard(played):
    wait_until(lambda: played.audio_energy() > 0.001, 15, lambda: played.figures()["audio"], pause=0.1)


@pytest.mark.parametrize("container, bframes, profile", [("mp4", 0, "main"), ("mp4", 2, "main"), ("ts", 0, "high"), ("flv", 0, "baseline")])
def test_what_ffmpeg_copies_is_seen_and_heard(a, tab, copying, name, tmp_path, container, bframes, profile):
    copying(rtmp.record(tmp_path / f"source.{container}", bframes=bframes, profile=profile), f"{a.rtmp}/live/{name}")
    a.wait_for_stream(name)
    played = tab(a).play(a.ws, name)
    played.wait_for_frames(25)
    is_heard(played)
    assert a.streams(name=name, published=True)[0].get("bFrames", False) == bool(bframes)


def test_copied_audio_alone_is_heard(a, tab, copying, name, tmp_path):
    copying(rtmp.record(tmp_path / "source.aac", video=False), f"{a.rtmp}/live/{name}")
    a.wait_for_stream(name)
    is_heard(tab(a).play(a.ws, name))


# What becomes of the messages of a stream at odd encoders; each gives a list of (kind, milliseconds, payload) for one.

SEI = bytes([6, 5, 8]) + b"oddities" + b"\x80"
ADTS = lambda size: bytes([0xFF, 0xF1, 0x50, 0x80 | (size + 7) >> 11, (size + 7) >> 3 & 0xFF, ((size + 7) & 7) << 5 | 0x1F, 0xFC])


def is_video(kind, payload):
    return kind == 9 and payload[1] == 1


def units(payload):
    """The H.264 units of a frame."""
    found, offset = [], 5
    while offset < len(payload):
        length = int.from_bytes(payload[offset:offset + 4], "big")
        found.append(payload[offset + 4:offset + 4 + length])
        offset += 4 + length
    return found


def sei_alone(kind, at, payload):
    first = [(9, at, b"\x27\x01\0\0\0" + len(SEI).to_bytes(4, "big") + SEI)] if is_video(kind, payload) else []
    return first + [(kind, at, payload)]


def flagged_inter(kind, at, payload):
    return [(kind, at, b"\x27" + payload[1:] if is_video(kind, payload) else payload)]


def start_codes(kind, at, payload):
    if is_video(kind, payload):
        payload = payload[:5] + b"".join(b"\0\0\0\1" + unit for unit in units(payload))
    return [(kind, at, payload)]


def late_by_a_constant(kind, at, payload):
    return [(kind, at, payload[:2] + (80).to_bytes(3, "big") + payload[5:] if is_video(kind, payload) else payload)]


def empty_configuration(kind, at, payload):
    return ([(8, at, b"\xaf\0")] if kind == 8 and payload[1] == 0 else []) + [(kind, at, payload)]


def adts(kind, at, payload):
    if kind == 8 and payload[1] == 0:
        return []
    return [(kind, at, payload[:2] + ADTS(len(payload) - 2) + payload[2:] if kind == 8 else payload)]


def second_audio(kind, at, payload):
    second = [(8, at, b"\x95" + bytes([0 if payload[1] == 0 else 1]) + b"mp4a\1" + payload[2:])] if kind == 8 else []
    return [(kind, at, payload)] + second


def damaged(kind, at, payload):
    return [(8, at, b"\xaf\0\xff"), (9, at, b"\x17\0\0\0\0\1\2"), (9, at, b"\x91\0"), (kind, at, payload)]


@pytest.mark.parametrize("oddity", [
    sei_alone, flagged_inter, start_codes, late_by_a_constant, empty_configuration, adts, second_audio, damaged], ids=lambda one: one.__name__)
def test_oddities_cost_nothing(a, tab, client, name, messages, oddity):
    publisher = client(a)
    publisher.publish(name, [odd for message in messages for odd in oddity(*message)])
    a.wait_for_stream(name)
    played = tab(a).play(a.ws, name)
    played.wait_for_frames(40)
    is_heard(played)
    assert "bFrames" not in a.streams(name=name, published=True)[0]
    assert not publisher.is_closed
    # One frame for each of the publisher's: a tenth more would be frames taken apart.
    before, start = played.decoded(), time.monotonic()
    wait_until(lambda: played.decoded() >= before + 50, 15, played.figures)
    assert time.monotonic() - start > 50 / 25 * 0.8


def sending(publisher, name, pieces, stamp=lambda at: at):
    """Publishes (kind, milliseconds, payload) once, at their pace, with timestamps of `stamp`, in a thread."""
    stream = publisher.stream()
    publisher.call("publish", name, "live", stream=stream, wait=False)
    publisher.status("NetStream.Publish.Start")

    def run():
        start = time.monotonic()
        try:
            for kind, at, payload in pieces:
                time.sleep(max(0, start + at / 1000 - time.monotonic()))
                publisher.send(kind, payload, stream, stamp(at))
        except OSError:
            pass
    threading.Thread(target=run, daemon=True).start()


def again(messages, turns, length=4000):
    """The messages several times, without their configurations from the second time on."""
    return [(kind, at + turn * length, payload) for turn in range(turns) for kind, at, payload in messages if not turn or payload[1] == 1]


def test_another_audio_configuration_costs_no_video(a, tab, client, name, messages, tmp_path):
    others = [message for message in rtmp.messages(rtmp.record(tmp_path / "other.flv", seconds=4, rate=48000, channels=1)) if message[0] == 8]
    video = [message for message in again(messages, 8) if message[0] == 9]
    first = [message for message in messages if message[0] == 8]
    then = [(kind, at + 4000, payload) for kind, at, payload in again(others, 7)]
    publisher = client(a)
    sending(publisher, name, sorted(video + first + then, key=lambda message: message[1]))
    a.wait_for_stream(name)
    wait_until(lambda: "sends other tracks now" in a.log(), 15, "the new configuration", pause=0.1)
    played = tab(a).play(a.ws, name)
    played.wait_for_frames(40)
    is_heard(played)
    assert not publisher.is_closed


def test_a_clock_that_jumps_goes_on_by_arrival(a, tab, client, name, messages):
    """An hour ahead after 4 s, and back after 8."""
    publisher = client(a)
    sending(publisher, name, again(messages, 8), lambda at: at + 3_600_000 if 4000 <= at < 8000 else at)
    a.wait_for_stream(name)
    played = tab(a).play(a.ws, name)
    wait_until(lambda: a.statistics()["rtmp_stats"]["rtmp_clock_jumps"] >= 2, 15, "the jumps are counted", pause=0.2)
    before = played.decoded()
    played.wait_for_frames(before + 25)
    assert not publisher.is_closed


def test_a_clock_that_only_jumps_ends_its_publisher_and_nobody_else(a, tab, encoder, client, name):
    encoder(f"{a.rtmp}/live/{name}")
    a.wait_for_stream(name)
    viewer = tab(a).play(a.ws, name)
    viewer.wait_for_frames(10)
    publisher = client(a)
    stream = publisher.stream()
    publisher.call("publish", name + "-clock", "live", stream=stream, wait=False)
    publisher.status("NetStream.Publish.Start")
    head = lambda timestamp: b"\x04\xff\xff\xff" + (41).to_bytes(3, "big") + b"\x08" + stream.to_bytes(4, "little") + timestamp.to_bytes(4, "big")
    timestamp = 0x1000000
    with pytest.raises(OSError):
        for _ in range(100_000):
            publisher.socket.sendall(head(timestamp) + b"\x72" + bytes([0xD5]) * 40)
            timestamp = max(0x1000000, (timestamp + 0x7FFFFFFF) & 0xFFFFFFFF)
    assert "timestamps jump" in a.log()
    a.wait_for_no_stream(name + "-clock")
    viewer.wait_for_frames(viewer.decoded() + 25)


def test_a_publisher_that_is_gone_gives_way_to_its_next_connection(a, client, name, messages):
    ghost = client(a)
    ghost.publish(name, messages)
    a.wait_for_stream(name)
    # Its network is gone: nothing comes and nothing is read any more, and nobody closes anything.
    with ghost.writing:
        ghost.reads.clear()
        start = time.monotonic()

        def is_let_in():
            rival = client(a)
            rival.call("publish", name, "live", stream=rival.stream(), wait=False)
            wait_until(lambda: any(call == "onStatus" for call, _, _ in list(rival.calls)), 5, "an answer")
            return any(call == "onStatus" and values[1]["code"] == "NetStream.Publish.Start" for call, _, values in list(rival.calls))
        wait_until(is_let_in, 10, "the next connection is let in", pause=0.5)
        print(f"let in after {time.monotonic() - start:.1f} s")


def test_a_publisher_that_lives_keeps_its_name(a, client, name, messages):
    publisher = client(a)
    publisher.publish(name, messages)
    a.wait_for_stream(name)
    start = time.monotonic()
    while time.monotonic() - start < 4:
        rival = client(a)
        rival.call("publish", name, "live", stream=rival.stream(), wait=False)
        assert "in use" in rival.status("NetStream.Publish.BadName")
        rival.close()
    assert not publisher.is_closed


@pytest.mark.parametrize("app, key, expected", [
    ("live", "r%20{}", "r {}"), ("live", "/{}/", "{}"), ("live/{}", "", "{}"), ("live/a", "{}", "a/{}")])
def test_names_mean_the_same_everywhere(a, client, name, messages, app, key, expected):
    publisher = client(a, app=app.format(name))
    publisher.publish(key.format(name), messages)
    a.wait_for_stream(expected.format(name))
    player = client(a, app=app.format(name))
    player.play(key.format(name))
    player.status("NetStream.Play.Start")
