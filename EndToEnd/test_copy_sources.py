# SPDX-License-Identifier: Apache-2.0
"""Sources that nobody encodes for us: files that ffmpeg copies, a camera with long groups of pictures, GStreamer's encoders. Whoever joins has a
picture within one group, and sound and picture in step: by their timestamps, which a player takes apart that decodes both; what Chromium makes of
those depends on how busy its machine is, and is only told. `MARTLET_TEST_TABLE=file` writes what was measured as a table."""
import statistics
import subprocess
import time
import uuid

import pytest

from harness import rtmp
from harness.odd_inputs import Copied
from harness.rtsp import Camera
from harness.sync import SyncPlayer
from harness.table import write_row
from harness.waiting import wait_until

FPS = 25
# Longest distance between sound and picture, ms.
IN_STEP = 60

PUBLISH = """
import sys
import gi
gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst
Gst.init(None)
pipeline = Gst.parse_launch(sys.argv[1])
pipeline.set_state(Gst.State.PLAYING)
message = pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, Gst.MessageType.ERROR | Gst.MessageType.EOS)
pipeline.set_state(Gst.State.NULL)
sys.exit(str(message.parse_error()) if message.type == Gst.MessageType.ERROR else None)
"""


class GStreamerFlv:
    """What `gst-launch-1.0 … flvmux streamable=true ! rtmp2sink` does, encoding as it goes."""

    def __init__(self, path):
        self.path, self.process = path, None

    def start(self, node, name):
        pipeline = (
            f"filesrc location={self.path} ! matroskademux name=file "
            "file.video_0 ! queue ! h264parse ! avdec_h264 ! clocksync ! videoconvert ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=50 "
            "! video/x-h264,profile=main ! h264parse ! queue ! mux. "
            "file.audio_0 ! queue ! audioconvert ! clocksync ! avenc_aac ! aacparse ! queue ! mux. "
            f"flvmux name=mux streamable=true ! rtmp2sink location={node.rtmp}/live/{name}")
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", PUBLISH, pipeline], stdin=subprocess.DEVNULL)
        return self

    def stop(self):
        self.process.kill()
        self.process.wait()


class LongCamera:
    """A file sent by GStreamer's RTSP server at its pace, as a camera with ten seconds between key frames."""

    def __init__(self, path):
        self.camera = Camera(pipelines={
            "/long": f"filesrc location={path} ! qtdemux name=file file.video_0 ! queue ! h264parse ! rtph264pay name=pay0 pt=96 "
                     "file.audio_0 ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97"})

    def start(self, node, name):
        self.camera.start()
        self.node = node
        reply = node.rest("rtsp/startup", {"uri": self.camera.url("/long"), "toStream": name})
        assert reply.status == 200, reply.reason
        return self

    def stop(self):
        self.node.rest("rtsp/terminate", {"uri": self.camera.url("/long")})
        self.camera.kill()


def recorded(folder, ending, gop=2 * FPS, **options):
    return rtmp.record(folder / f"source.{ending}", seconds=40, fps=FPS, gop=gop, **options)


def lossless(folder):
    path = folder / "source.mkv"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", rtmp.FLASH.format(size="320x240", fps=FPS), "-f", "lavfi", "-i", rtmp.BEEP.format(rate=48000, layout="stereo"),
         "-c:v", "libx264", "-preset", "ultrafast", "-g", "1", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le", "-t", "40", str(path)], check=True)
    return path


# name: (source, seconds between its key frames)
SOURCES = {
    "mp4": (lambda folder: Copied(recorded(folder, "mp4", profile="high")), 2),
    "ts": (lambda folder: Copied(recorded(folder, "ts", rate=48000, channels=1)), 2),
    "camera": (lambda folder: LongCamera(recorded(folder, "mp4", gop=10 * FPS)), 10),
    "main": (lambda folder: Copied(recorded(folder, "mp4")), 2),
    "bframes": (lambda folder: Copied(recorded(folder, "mp4", profile="high", bframes=2)), 2),
    "gstreamer": (lambda folder: GStreamerFlv(lossless(folder)), 2),
}

# ms by which pictures come after sound in what a source sends: GStreamer gives the samples that its AAC encoder begins with a time of their own.
SENT = {"gstreamer": -1024 / 48}


def spread(offsets):
    return f"{statistics.median(offsets):.0f} ({min(offsets):.0f} to {max(offsets):.0f})" if offsets else "none"


@pytest.mark.parametrize("kind", SOURCES)
def test_who_joins_has_a_picture_within_a_group_and_sound_in_step(kind, a, background, tab, tmp_path):
    make, group = SOURCES[kind]
    name = f"copy-{uuid.uuid4().hex[:8]}"
    source = make(tmp_path).start(a, name)
    begun = time.monotonic()
    exact = None
    try:
        a.wait_for_stream(name)
        page = tab(a)
        # The first group's middle: a player that waited for a key frame would wait for half of it.
        wait_until(lambda: time.monotonic() - begun > group / 2, group, "the group's middle")
        played = page.play(a.ws, name)
        joined = played.first_frame_ms()
        exact = SyncPlayer(background, a, name)
        shown = played.offsets(6)
        wait_until(lambda: len(exact.beeps) >= 5 and len(exact.flashes) >= 4, 10, lambda: f"flashes and beeps: {exact.flashes}, {exact.beeps}")
        offsets = exact.offsets()
        figures = f"{joined:.0f}", spread(offsets), spread(shown)
        write_row(kind, *figures)
        print(kind, *figures)
        assert joined < group * 1000, f"{joined:.0f} ms to the first picture"
        assert len(offsets) >= 3 and max(abs(offset - SENT.get(kind, 0)) for offset in offsets) <= IN_STEP, offsets
        assert len(shown) >= 3, shown
    finally:
        if exact is not None:
            exact.delete()
            exact.close_media()
        source.stop()
    a.wait_for_no_stream(name)
