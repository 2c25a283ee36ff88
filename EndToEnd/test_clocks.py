"""Publishers whose clocks jump: whoever takes the stream sees its time go on, and one that never settles is ended with a word."""
import subprocess
import time

from harness import records
from harness.waiting import wait_until
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
