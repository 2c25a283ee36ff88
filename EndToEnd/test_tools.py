# SPDX-License-Identifier: Apache-2.0
"""`martlet publish` and `martlet play`, the test pattern and the headless player."""
import contextlib
import json
import signal
import subprocess

import pytest

from harness.paths import MARTLET
from harness.waiting import wait_until


@contextlib.contextmanager
def publishing(node, name, *options, url=None):
    """A `martlet publish` that runs while the block does."""
    process = subprocess.Popen(
        [str(MARTLET), "publish", url or node.ws, name, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_until(lambda: node.has_stream(name) or process.poll() is not None, 15, "the tool publishes", pause=0.05)
        assert process.poll() is None, process.stdout.read()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def play(node, name, *options, timeout=40, url=None):
    """Figures of a `martlet play --json`."""
    result = subprocess.run(
        [str(MARTLET), "play", url or node.ws, name, "--json", *options], capture_output=True, text=True, timeout=timeout)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize("codec", ["h264", "vp8", "vp9", "av1"])
def test_the_pattern_is_published_and_played(a, name, codec):
    with publishing(a, name, "--video", codec, "--size", "320x240", "--fps", "20"):
        figures = play(a, name, "--frames", "60")
        assert (figures["width"], figures["height"]) == (320, 240) and 12 < figures["fps"] < 28, figures
        assert figures["frames_decoded"] >= 60 and figures["audio_rms"] > 0.05 and figures["lost_packets"] == 0, figures
        assert figures["clocks_read"] > 0.9 * figures["frames_decoded"], figures
        assert 0 <= figures["latency_ms_p50"] < 500, figures


def test_the_tools_end_cleanly_on_interrupt(a, name):
    with publishing(a, name, "--size", "320x240", "--fps", "10") as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0
        a.wait_for_no_stream(name, 2)


def test_a_publisher_that_is_killed_is_gone(a, name):
    with publishing(a, name, "--size", "320x240", "--fps", "10") as process:
        process.kill()
        a.wait_for_no_stream(name, 1)


def test_the_pattern_is_seen_in_a_browser_with_a_readable_clock(a, tab, name):
    with publishing(a, name, "--size", "640x360"):
        page = tab(a)
        played = page.play(a.ws, name)
        played.wait_for_frames(20)
        clock = wait_until(played.clock, 5, "a readable clock")
        age = (page.run("clockNow") - clock) % 2**32
        assert 0 <= age < 1500, age
        wait_until(lambda: played.audio_energy() > 0.001, 5, "the tone", pause=0.1)


def test_a_browsers_stream_is_played_by_the_tool(a, tab, name):
    tab(a).publish(a.ws, name, "VP8", pattern={"fps": 15})
    figures = play(a, name, "--frames", "40")
    assert figures["clocks_read"] > 30 and figures["audio_rms"] > 0.001, figures


def test_a_file_is_published(a, name, tmp_path):
    file = tmp_path / "film.mp4"
    made = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25", "-f", "lavfi", "-i", "sine=frequency=440", "-t", "4",
         "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac", str(file)], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    with publishing(a, name, "--file", str(file), "--loop"):
        figures = play(a, name, "--seconds", "5")
        assert (figures["width"], figures["height"]) == (320, 240) and figures["frames_decoded"] > 80, figures
        assert figures["audio_rms"] > 0.01, figures


def test_failures_are_said_in_words(a, name):
    result = subprocess.run([str(MARTLET), "play", a.ws, name, "--json"], capture_output=True, text=True, timeout=20)
    assert result.returncode != 0 and "Session does not exist" in result.stderr, result
    result = subprocess.run([str(MARTLET), "publish", "ws://127.0.0.1:1", name], capture_output=True, text=True, timeout=20)
    assert result.returncode != 0 and "127.0.0.1:1" in result.stderr, result
    result = subprocess.run([str(MARTLET), "publish", "http://x", name], capture_output=True, text=True, timeout=20)
    assert result.returncode != 0 and "ws://" in result.stderr, result


@pytest.mark.parametrize("options", [
    ("publish", "--bitrate", "9223372036854775807"), ("publish", "--bitrate=-1"), ("publish", "--key-interval", "9223372036854775807"),
    ("publish", "--size", "99999999999x5"), ("publish", "--fps", "0"), ("play", "--seconds", "1e300"), ("play", "--seconds", "nan"),
    ("play", "--frames=-1"),
], ids=" ".join)
def test_numbers_that_are_out_of_range_are_refused_in_words(a, name, options):
    command, *rest = options
    result = subprocess.run([str(MARTLET), command, a.ws, name, *rest], capture_output=True, text=True, timeout=10)
    assert result.returncode in (1, 64) and result.stderr.startswith("Error: "), result


@pytest.mark.parametrize("options", [
    ("fanout", "--players", "9223372036854775807", "--streams", "2"), ("fanout", "--seconds", "1e300"),
    ("rooms", "--rooms", "4611686018427387904", "--participants", "4"), ("churn", "--stay", "inf"),
], ids=" ".join)
def test_measurements_beyond_all_measure_are_refused_in_words(options):
    result = subprocess.run([str(MARTLET), "bench", *options], capture_output=True, text=True, timeout=10)
    assert result.returncode in (1, 64) and result.stderr.startswith("Error: "), result


def test_over_wss_with_and_without_trust(a, name):
    with publishing(a, name, "--insecure", "--size", "320x240", "--fps", "10", url=a.wss):
        assert play(a, name, "--frames", "5", "--insecure", url=a.wss)["frames_decoded"] >= 5
    result = subprocess.run([str(MARTLET), "publish", a.wss, name], capture_output=True, text=True, timeout=20)
    assert result.returncode != 0 and "certificate" in result.stderr.lower(), result


def test_the_demo_checks_itself(tmp_path):
    result = subprocess.run([str(MARTLET), "demo", "--check", "--folder", str(tmp_path)], capture_output=True, text=True, timeout=90)
    assert result.returncode == 0, result.stdout + result.stderr
    figures = json.loads(result.stdout.strip().splitlines()[-1])
    assert figures["push_status"] == 200 and figures["push_ms"] > 0, figures
    assert figures["frames_decoded_b"] >= 100 and figures["audio_rms_b"] > 0, figures
    assert figures["first_frame_ms_b"] > 0 and "hop_latency_ms_p50" in figures, figures
