# SPDX-License-Identifier: Apache-2.0
"""Clocks that jump, those of publishers and the server's own: whoever takes the stream sees its time go on, and a publisher that never settles is
ended with a word."""
import contextlib
import subprocess
import threading
import time

from harness import encoded, records
from harness.odd_cameras import begins_with_the_past
from harness.odd_inputs import RtmpFeed, audio_messages, merged, video_messages
from harness.rtmp import RtmpClient
from harness.rtsp import RtspClient
from harness.waiting import wait_until
from harness.wall_clock import WallClock
from test_recording import folder, only_record


def frame_times(path):
    """When the frames of a file are to be shown, s."""
    return sorted(frame[0] for frame in records.look(path).frames)


def test_nobody_sees_the_timestamps_of_a_publisher_jump(make_node, aiortc, name, tmp_path):
    node = make_node("jumps")
    publisher = aiortc.publish(node, name, fields={"record": True})
    player = aiortc.play(node, name)
    began = time.monotonic()
    fetched = tmp_path / "fetched.mkv"
    viewer = subprocess.Popen(
        ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-rtsp_transport", "tcp", "-i", f"{node.rtsp}/{name}", "-t", "8", "-c", "copy", str(fetched)])
    try:
        for seconds in (3600, -20_000, 40_000):
            seen = player.frames
            player.wait_for_frames(seen + 30)
            publisher.jump(seconds)
        seen = player.frames
        player.wait_for_frames(seen + 30)
        assert viewer.wait(timeout=60) == 0
    finally:
        if viewer.poll() is None:
            viewer.kill()
            viewer.wait()
    lasted = time.monotonic() - began
    publisher.stop()
    # What came by RTSP, and what was recorded: as long as it took, without a hole in which something of the jumps could be.
    for path in (fetched, folder(node) / only_record(node, timeout=60)["fileName"]):
        times = frame_times(path)
        assert len(times) > 60, (path, times)
        assert times[-1] - times[0] <= lasted + 3, (path, times[0], times[-1], lasted)
        assert max(b - a for a, b in zip(times, times[1:])) < 3, (path, times)
    assert "have jumped" in node.log(), node.log()[-4000:]


def test_a_publisher_whose_clock_never_settles_is_ended_with_the_reason(make_node, aiortc, client, name):
    node = make_node("restless")
    session = client(node.ws)
    publisher = aiortc.publish(node, name, session=session)
    player = aiortc.play(node, name)
    player.wait_for_frames(5)

    def jump():
        publisher.jump(30)
        return any(status["status"] == "FAILED" for status in session.statuses(publisher.id))
    wait_until(jump, 60, lambda: session.statuses(publisher.id), pause=0.3)
    status = next(status for status in session.statuses(publisher.id) if status["status"] == "FAILED")
    assert status["info"] == "Stream failed" and "jumped more than 20 times" in status["explanation"], status
    assert node.rest("connection/find_all").status in (200, 404), "the server lives"


def jumping(messages, start):
    """The messages; from the moment `start` is set each one's timestamp is 2³¹ − 1 ms after the last one's, modulo 2³²."""
    timestamp = 0
    for kind, at, payload in messages:
        if not start.is_set():
            timestamp = int(at)
        else:
            timestamp = (timestamp + 0x7FFF_FFFF) % 2 ** 32
        yield kind, at, payload, timestamp


def test_an_encoder_that_jumps_with_every_message_is_ended_and_its_viewers_are_told(make_node, aiortc, client, name):
    node = make_node("leaps", record_flash_published_streams=True)
    aiortc.publish(node, name + "-other")
    other = aiortc.play(node, name + "-other")
    session, leaps = client(node.ws), threading.Event()
    feed = RtmpFeed(lambda: jumping(merged(video_messages(encoded.access_units()), audio_messages(*encoded.aac())), leaps))
    watching, began = [], time.monotonic()
    try:
        feed.start(node, name)
        node.wait_for_stream(name)
        player = aiortc.play(node, name, session=session, codec="H264")
        watching += [RtmpClient(node), RtspClient(node, name)]
        rtmp, rtsp = watching
        number = rtmp.play(name)
        wait_until(lambda: player.frames > 5 and rtmp.received[number, 9] > 5 and all(rtsp.packets[track] > 5 for track in (0, 1)), 15,
                   lambda: (player.frames, rtmp.received, rtsp.packets, rtsp.end))
        leaps.set()
        assert "timestamps jump again and again" in feed.client.status("NetStream.Publish.Rejected")
        rtmp.status("NetStream.Play.UnpublishNotify")
        session.status(player.id, "FAILED", "STOPPED")
        wait_until(lambda: rtsp.end and feed.client.is_closed, 10, lambda: (rtsp.end, feed.client.calls))
        # It comes again and again, and begins with a leap.
        for _ in range(3):
            node.wait_for_no_stream(name)
            feed.stop()
            feed.start(node, name)
            feed.client.status("NetStream.Publish.Rejected")
    finally:
        feed.stop()
        for one in watching:
            one.close()
    lasted = time.monotonic() - began
    node.wait_for_no_stream(name)
    other.wait_for_frames(other.frames + 20)
    assert node.process.poll() is None and "worker process ended unexpectedly" not in node.log(), node.log_tail()
    # No file is longer than the time in which it was made, whatever stands at its media.
    wait_until(lambda: node.rest("recorder/find_all").status == 404, 30, lambda: node.rest("recorder/find_all").body)
    entries = [entry for entry in node.rest("record/find_all").body if entry["streamName"] == name]
    assert entries, node.log_tail()
    for entry in entries:
        times = frame_times(folder(node) / entry["fileName"])
        assert times[-1] - times[0] <= lasted + 1 and entry["duration"] / 1000 <= lasted + 1, (entry, times[0], times[-1], lasted)


STANDS, COMES_BACK = 6000, 14_000


def through_a_line_that_stands(messages):
    """The messages; what is made between `STANDS` and `COMES_BACK` comes then, at once."""
    for kind, at, payload in messages:
        yield kind, COMES_BACK if STANDS <= at < COMES_BACK else at, payload, int(at)


def packet_times(path, track):
    """Of the file's packets, in their order, s."""
    probed = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", track, "-show_entries", "packet=pts_time", "-of", "csv=p=0", str(path)],
        capture_output=True, text=True, check=True, timeout=60).stdout
    return [float(line.strip(",")) for line in probed.split() if line.strip(",") != "N/A"]


@contextlib.contextmanager
def copying(node, name, folder):
    """`start(protocol, label, seconds)` lets ffmpeg write what comes of the stream into a file; `paths()` waits for all of them and gives them by label."""
    viewers = {}

    def start(protocol, label, seconds):
        url, options = {"rtmp": (f"{node.rtmp}/live/{name}", []), "rtsp": (f"{node.rtsp}/{name}", ["-rtsp_transport", "tcp"])}[protocol]
        path = folder / f"{label}.mkv"
        viewers[label] = path, subprocess.Popen(
            ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y", *options, "-i", url, "-t", str(seconds), "-c", "copy", str(path)])

    def paths():
        for label, (_, viewer) in viewers.items():
            assert viewer.wait(timeout=60) == 0, label
        return {label: path for label, (path, _) in viewers.items()}
    try:
        yield start, paths
    finally:
        for _, viewer in viewers.values():
            if viewer.poll() is None:
                viewer.kill()
                viewer.wait()


def steps_of(times):
    """From each to the next, ms."""
    return [round((after - before) * 1000) for before, after in zip(times, times[1:])]


def test_what_a_line_held_back_for_eight_seconds_comes_with_its_own_times(make_node, name, tmp_path):
    node = make_node("late", record_flash_published_streams=True)
    feed = RtmpFeed(lambda: through_a_line_that_stands(merged(video_messages(encoded.access_units()), audio_messages(*encoded.aac()))))
    with copying(node, name, tmp_path) as (start, finished):
        try:
            feed.start(node, name)
            node.wait_for_stream(name)
            for protocol in ("rtmp", "rtsp"):
                start(protocol, protocol, 16)
            paths = finished()
        finally:
            feed.stop()
    paths["record"] = folder(node) / only_record(node, timeout=60)["fileName"]
    for taker, path in paths.items():
        times = packet_times(path, "v")
        steps = steps_of(times)
        assert len(times) > 350 and all(30 <= step <= 50 for step in steps), (taker, len(times), [(at, step) for at, step in zip(times, steps) if not 30 <= step <= 50])
        sound = packet_times(path, "a")
        assert len(sound) > 500 and all(before < after for before, after in zip(sound, sound[1:])), (taker, sound)


def test_whoever_joins_while_a_camera_sends_the_past_sees_time_go_on(make_node, name, tmp_path):
    node = make_node("past")
    camera = begins_with_the_past(2)
    with copying(node, name, tmp_path) as (start, finished):
        try:
            camera.start(node, name)
            for number in range(3):
                for protocol in ("rtmp", "rtsp"):
                    start(protocol, f"{protocol}-{number}", 6)
                time.sleep(0.5)
            paths = finished()
        finally:
            camera.stop()
    for path in paths.values():
        times = packet_times(path, "v")
        steps = steps_of(times)
        assert len(times) > 100 and all(1 <= step <= 200 for step in steps), (path.name, len(times), [(at, step) for at, step in zip(times, steps) if not 1 <= step <= 200])


HOUR, DAY, YEAR = 3600, 86_400, 31_557_600


def test_nobody_sees_the_wall_clock_of_the_server_jump(make_node, aiortc, client, name, tmp_path):
    """As by a virtual machine that is woken, or by a first answer of a time server: media go by a clock that nobody sets."""
    wall = WallClock(tmp_path)
    node = make_node("wall", start=False)
    node.environment.update(wall.environment)
    node.start()
    session = client(node.ws)
    publisher = aiortc.publish(node, name, session=session, codec="H264", fields={"record": True})
    began = time.monotonic()
    player = aiortc.play(node, name, codec="H264")
    rtmp, rtsp = RtmpClient(node), RtspClient(node, name)
    try:
        number = rtmp.play(name)
        counts = {"WebRTC": lambda: player.frames, "RTMP": lambda: rtmp.received[number, 9], "RTSP": lambda: rtsp.packets[rtsp.kinds.index("video")]}

        def all_go_on(by=12):
            before = {way: count() for way, count in counts.items()}
            wait_until(lambda: all(count() >= before[way] + by for way, count in counts.items()), 10,
                       lambda: f"{by} more than {before}; {({way: count() for way, count in counts.items()})}; {rtsp.end}")
        all_go_on()
        first, seen = publisher.video.count, {way: counts[way]() for way in ("WebRTC", "RTMP")}
        for seconds in (HOUR, -DAY, 10 * YEAR, -20 * YEAR, 95 * YEAR, -int(time.time()) + DAY, 0):
            wall.set(seconds)
            shown = node.rest("nothing").body["timestamp"] / 1000
            assert abs(shown - time.time() - seconds) < 5, (shown, seconds)
            all_go_on()
        made = publisher.video.count - first
        for way, before in seen.items():
            # What is on its way now and was on its way then.
            assert counts[way]() - before >= made - 10, (way, counts[way]() - before, made)
        gaps = [later - earlier for (_, earlier), (_, later) in zip(player.clocks, player.clocks[1:])]
        assert max(gaps) < 1500, f"a picture stood for {max(gaps)} ms"
        # Who comes now sees it too, and nobody has been sent away.
        aiortc.play(node, name, codec="H264").wait_for_frames(10)
        assert not session.is_closed and not rtmp.is_closed and not rtsp.end, (session.story(), rtsp.end)
    finally:
        rtmp.close()
        rtsp.close()
    lasted = time.monotonic() - began
    publisher.stop()
    entry = only_record(node, timeout=60)
    times = frame_times(folder(node) / entry["fileName"])
    assert lasted - 2 <= times[-1] - times[0] <= lasted + 1, (times[0], times[-1], lasted)
    assert len(times) >= made and max(b - a for a, b in zip(times, times[1:])) < 1, times
    assert abs(entry["duration"] / 1000 - lasted) < 2, (entry, lasted)
