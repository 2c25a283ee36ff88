# SPDX-License-Identifier: Apache-2.0
"""Publishers that jump, restart, change codecs and tracks at random while each second somebody joins by a random protocol and leaves:
everybody gets media at once, or is told why not.
`MARTLET_TEST_SECONDS` sets its length (20; 1800 is the long form), `MARTLET_TEST_SEED` its seed; `-s` prints what was seen."""
import concurrent.futures
import itertools
import json
import os
import random
import threading
import time

from harness import encoded, odd_inputs
from harness.http_stream import WhepPlayer
from harness.rtmp import RtmpClient
from harness.rtsp import RtspClient
from harness.waiting import wait_until

SECONDS = int(os.environ.get("MARTLET_TEST_SECONDS", "20"))
SEED = int(os.environ.get("MARTLET_TEST_SEED", "1"))
SIZES = ("320x240", "480x270", "640x360")
NAMES = ("unsteady-rtmp-1", "unsteady-rtmp-2", "unsteady-whip")
# Seconds from the request to the first frame, or to a word.
LONGEST = 2


def unsteady_rtmp(seed, tell):
    """Messages whose clock jumps and stands, whose tracks come and go and whose size and audio configuration change, some seconds apart."""
    def messages():
        chance = random.Random(seed)
        at, shift = 0.0, 0.0
        while True:
            length, size, rate, channels = chance.uniform(2000, 6000), chance.choice(SIZES), chance.choice((44100, 48000)), chance.choice((1, 2))
            has_video, has_audio = chance.choice(((True, True), (True, True), (True, False), (False, True)))
            jump = chance.choice((0, 0, 3_600_000, -at / 2, 15_000))
            shift += jump
            video = odd_inputs.video_messages(encoded.access_units(size=size), start=at) if has_video else iter(())
            audio = odd_inputs.audio_messages(*encoded.aac(rate=rate, channels=channels), start=at, step=1_024_000 / rate) if has_audio else iter(())
            tell(f"{size if has_video else '-'} {f'{rate}/{channels}' if has_audio else '-'}, the clock jumps by {jump / 1000:.1f} s to {(at + shift) / 1000:.1f} s")
            for kind, time_, payload in odd_inputs.merged(video, audio):
                if time_ >= at + length:
                    break
                # One that would lie before its zero stands there.
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
    """Keeps the streams published; each is ended and begun again now and then."""

    def __init__(self, node, background, seed):
        self.node, self.background, self.chance = node, background, random.Random(seed)
        self.sources, self.restarts, self.told = {}, 0, []
        for name in NAMES:
            self.begin(name)

    def tell(self, name, what):
        self.told.append((time.monotonic(), name, what))

    def begin(self, name):
        seed = self.chance.randrange(1 << 30)
        self.tell(name, "begins")
        source = unsteady_whip(self.background, seed) if "whip" in name else unsteady_rtmp(seed, lambda what: self.tell(name, what))

        def start():
            try:
                return source.start(self.node, name)
            except AssertionError:
                # The name is free again once the server has seen the last publisher go.
                return None
        self.sources[name] = wait_until(start, 15, f"{name} is published", pause=0.2)

    def restart_one(self):
        name = self.chance.choice(NAMES)
        self.tell(name, "ends")
        self.sources[name].stop()
        self.restarts += 1
        self.begin(name)

    def around(self, name, moment):
        """What a publisher did in the ten seconds before a moment and the three after it."""
        return "; ".join(f"{at - moment:+.2f} s {what}" for at, who, what in list(self.told) if who == name and -10 < at - moment < 3)

    def stop(self):
        for source in self.sources.values():
            source.stop()


class Pulse:
    """Measures how much of a time the machine had no turn for us: what wakes up late by that much says nothing about the server."""

    def __init__(self):
        self.lost, self.over = [], threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            before = time.monotonic()
            if self.over.wait(0.02):
                return
            late = time.monotonic() - before - 0.02
            if late > 0.01:
                self.lost.append((before, late))

    def between(self, begin, end):
        return sum(late for at, late in list(self.lost) if begin - late <= at <= end)


class Join:
    """One who joins. `first`: seconds from the request to the first frame, of audio or video; `word`: what the server said in its place."""

    def __init__(self, node, background, protocol, name):
        self.node, self.background, self.protocol, self.name = node, background, protocol, name
        self.begun, self.first, self.word, self.failure = time.monotonic(), None, None, None

    def run(self):
        try:
            getattr(self, self.protocol)()
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"

    def wait(self, media, word):
        """For whichever comes first."""
        def look():
            if media():
                self.first = time.monotonic() - self.begun
            else:
                self.word = word()
            return self.first or self.word
        wait_until(look, 3 * LONGEST, "a frame, or a word", pause=0.01)

    def whep(self):
        player = WhepPlayer.prepare(self.background, codec="H264")
        # The offer is the client's own work.
        self.begun = time.monotonic()
        try:
            try:
                player.ask(self.node, self.name)
            except AssertionError as refusal:
                self.word = f"refused: {refusal}"
                return
            try:
                self.wait(lambda: player.frames or player.audio_frames,
                          lambda: player.peer.connectionState in ("closed", "failed") and f"the connection is {player.peer.connectionState}")
            finally:
                player.delete()
        finally:
            player.close_media()

    def rtmp(self):
        client = RtmpClient(self.node)
        try:
            number = client.stream()
            self.begun = time.monotonic()
            client.call("play", self.name, stream=number, wait=False)

            def word():
                said = [values[1] for call, _, values in list(client.calls) if call == "onStatus"]
                ends = [one for one in said if one["level"] == "error" or one["code"] in ("NetStream.Play.UnpublishNotify", "NetStream.Play.Stop")]
                return ends and f"{ends[0]['code']}: {ends[0]['description']}"
            # Not a configuration.
            self.wait(lambda: any(data[1] == 1 for _, data in list(client.media)), word)
        finally:
            client.close()

    def rtsp(self):
        client = RtspClient(self.node, self.name)
        try:
            self.wait(lambda: client.packets, lambda: client.end)
        finally:
            client.close()


def slope(samples):
    """MiB an hour, of (second, KiB): the straight line through them."""
    if len(samples) < 2:
        return 0
    middle, mean = sum(at for at, _ in samples) / len(samples), sum(size for _, size in samples) / len(samples)
    return sum((at - middle) * (size - mean) for at, size in samples) / sum((at - middle) ** 2 for at, _ in samples) * 3600 / 1024


def figures(joins):
    times = sorted(one.first for one in joins if one.first)
    return {"joins": len(joins), "words": sum(1 for one in joins if one.word), "median_s": round(times[len(times) // 2], 3),
            "p95_s": round(times[int(len(times) * 0.95)], 3), "longest_s": round(times[-1], 3)} if times else {"joins": len(joins)}


def test_everybody_gets_media_or_a_word_from_unsteady_publishers(make_node, background):
    node = make_node("L")
    publishers, pulse = Publishers(node, background, SEED), Pulse()
    chance, begun, joins, memory = random.Random(SEED + 1), time.monotonic(), [], []
    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            restart = None
            for second in itertools.count():
                if second > SECONDS:
                    break
                time.sleep(max(0, begun + second - time.monotonic()))
                joins.append(Join(node, background, chance.choice(("whep", "rtmp", "rtsp")), chance.choice(NAMES)))
                pool.submit(joins[-1].run)
                if second % 7 == 6:
                    if restart:
                        restart.result()
                    restart = pool.submit(publishers.restart_one)
                if second % 10 == 0:
                    memory.append((second, node.resources()["memory"]))
                assert node.process.poll() is None, "the server has ended"
            if restart:
                restart.result()
    finally:
        pulse.over.set()
        publishers.stop()
    assert node.process.poll() is None and node.rest("stream/find_all").status in (200, 404)

    def told(one, what):
        return f"second {one.begun - begun:.0f}, {one.protocol} of {one.name}: {what} [{publishers.around(one.name, one.begun)}]"
    print(json.dumps({"restarts": publishers.restarts, **figures(joins), **{
        protocol: figures([one for one in joins if one.protocol == protocol]) for protocol in ("whep", "rtmp", "rtsp")},
        "memory_kib": [memory[0][1], memory[-1][1]], "mib_per_hour": round(slope(memory[len(memory) // 4:]), 1)}))
    slow = [one for one in joins if one.first and one.first > LONGEST / 2]
    print(*[told(one, one.word or f"{one.first:.2f} s") for one in joins if one.word or one in slow], sep="\n")
    nothing = [told(one, one.failure) for one in joins if one.failure]
    assert not nothing, nothing
    late = [told(one, f"{one.first:.2f} s") for one in slow if one.first - pulse.between(one.begun, one.begun + one.first) > LONGEST]
    assert not late, late
    # Whoever asked in the moment of a restart was told so; everybody else got media.
    assert sum(1 for one in joins if one.word) <= len(joins) // 5, [told(one, one.word) for one in joins if one.word]
