"""Publishers that jump, restart, change codecs and tracks at random while each second somebody joins by a random protocol and leaves.
Seeded; `MARTLET_TEST_SECONDS` sets its length (20; 1800 is the long form), `MARTLET_TEST_SEED` its seed. Run by hand,
`.venv/bin/python -m pytest EndToEnd/long_run.py -s`: about one join in a hundred still gets nothing for six seconds, neither media nor a word."""
import concurrent.futures
import itertools
import json
import os
import random
import subprocess
import threading
import time

from harness import encoded, odd_inputs
from harness.http_stream import WhepPlayer
from harness.odd_inputs import AUDIO, VIDEO
from harness.rtmp import RtmpClient
from harness.waiting import wait_until

SECONDS = int(os.environ.get("MARTLET_TEST_SECONDS", "20"))
SEED = int(os.environ.get("MARTLET_TEST_SEED", "1"))
SIZES = ("320x240", "480x270", "640x360")


def unsteady_rtmp(seed):
    """Messages whose clock jumps, whose tracks come and go and whose size and audio configuration change, some seconds apart."""
    def messages():
        chance = random.Random(seed)
        at, shift = 0.0, 0.0
        while True:
            length = chance.uniform(2000, 6000)
            units = encoded.access_units(size=chance.choice(SIZES))
            config, frames = encoded.aac(rate=chance.choice((44100, 48000)), channels=chance.choice((1, 2)))
            has_video, has_audio = chance.choice(((True, True), (True, True), (True, False), (False, True)))
            shift += chance.choice((0, 0, 3_600_000, -at / 2, 15_000))
            video = odd_inputs.video_messages(units, start=at) if has_video else iter(())
            audio = odd_inputs.audio_messages(config, frames, start=at) if has_audio else iter(())
            for kind, time_, payload in odd_inputs.merged(video, audio):
                if time_ >= at + length:
                    break
                yield kind, time_, payload, max(0, time_ + shift) % (1 << 24)
            at += length
    return odd_inputs.RtmpFeed(messages)


def unsteady_whip(background, seed):
    chance = random.Random(seed)
    jumps = [chance.randrange(0, 1 << 31) if chance.random() < 0.5 else 0 for _ in range(4096)]
    shifts = list(itertools.accumulate(jumps))
    units = encoded.access_units()
    return odd_inputs.WhipFeed(background, lambda: odd_inputs.EncodedTrack(
        units, clock=lambda number: number * 3600 + shifts[number // 100 % 4096],
        shape=lambda number, unit: unit if number == 0 or number % 100 else encoded.without(unit, encoded.SPS, encoded.PPS)))


class Publishers:
    """Keeps three streams published; each is ended and begun again now and then."""

    def __init__(self, node, background, seed):
        self.node, self.background, self.chance = node, background, random.Random(seed)
        self.sources, self.since, self.restarts = {}, {}, 0
        self.lock = threading.Lock()
        for name in ("unsteady-rtmp-1", "unsteady-rtmp-2", "unsteady-whip"):
            self.begin(name)

    def begin(self, name):
        seed = self.chance.randrange(1 << 30)
        source = unsteady_whip(self.background, seed) if "whip" in name else unsteady_rtmp(seed)
        deadline = time.monotonic() + 15
        while True:
            try:
                self.sources[name] = source.start(self.node, name)
                break
            except AssertionError:
                # The name is free again once the server has seen the last publisher go.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        with self.lock:
            self.since[name] = time.monotonic()

    def restart_one(self):
        name = self.chance.choice(sorted(self.sources))
        with self.lock:
            self.since.pop(name, None)
        self.sources[name].stop()
        self.restarts += 1
        self.begin(name)

    def settled(self):
        """Those that have been there for three seconds."""
        with self.lock:
            return sorted(name for name, since in self.since.items() if time.monotonic() - since > 3)

    def stop(self):
        for source in self.sources.values():
            source.stop()


def join(node, background, protocol, name):
    """Seconds to the first audio or video, or the server's words why not."""
    begun = time.monotonic()
    if protocol == "whep":
        try:
            player = WhepPlayer(background, node, name, codec="H264")
        except AssertionError as refusal:
            return f"refused: {refusal}"
        try:
            wait_until(lambda: player.frames or player.audio_frames, 6, "anything")
        finally:
            player.delete()
            player.close_media()
    elif protocol == "rtmp":
        client = RtmpClient(node)
        try:
            client.play(name)
            wait_until(lambda: client.media, 6, "anything")
        finally:
            client.close()
    else:
        run = subprocess.run(
            ["ffmpeg", "-v", "error", "-nostdin", "-rtsp_transport", "tcp", "-analyzeduration", "100000", "-probesize", "50000", "-i", f"{node.rtsp}/{name}",
             "-t", "0.1", "-c", "copy", "-f", "null", "-"], capture_output=True, text=True, timeout=10)
        if run.returncode:
            return f"refused: {run.stderr.strip()[-200:]}"
    return time.monotonic() - begun


def test_it_lives_through_unsteady_publishers(make_node, background, tmp_path):
    node = make_node("L")
    publishers = Publishers(node, background, SEED)
    chance, begun, results, memory = random.Random(SEED + 1), time.monotonic(), [], []
    try:
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            waiting = []
            for second in itertools.count():
                if time.monotonic() - begun > SECONDS:
                    break
                time.sleep(max(0, begun + second - time.monotonic()))
                if second % 7 == 6:
                    publishers.restart_one()
                names = publishers.settled()
                if names:
                    name, protocol = chance.choice(names), chance.choice(("whep", "rtmp", "rtsp"))
                    waiting.append((second, name, protocol, pool.submit(join, node, background, protocol, name)))
                if second % 10 == 0:
                    memory.append((second, node.resources()["memory"]))
                assert node.process.poll() is None, "the server has ended"
            for second, name, protocol, future in waiting:
                try:
                    results.append((second, name, protocol, future.result(30)))
                except Exception as error:
                    results.append((second, name, protocol, f"{type(error).__name__}: {error}"))
    finally:
        publishers.stop()
    times = sorted(seconds for *_, seconds in results if isinstance(seconds, float))
    words = [result for result in results if isinstance(result[3], str)]
    summary = {"joins": len(results), "restarts": publishers.restarts, "median_s": round(times[len(times) // 2], 3), "p95_s": round(times[int(len(times) * 0.95)], 3),
               "longest_s": round(times[-1], 3), "words": len(words), "memory": memory[:1] + memory[-1:]}
    print(json.dumps(summary), *words, sep="\n")
    assert node.process.poll() is None and node.rest("stream/find_all").status in (200, 404)
    # Whoever asked in the moment of a restart was told so; everybody else got media.
    unanswered = [result for result in words if not result[3].startswith("refused:")]
    assert not unanswered, unanswered
    assert len(words) <= len(results) // 5, words
