"""Publishers that do what real ones have been seen to do and what servers stumble over: each a class with `start(node, name)` and `stop()`."""
import asyncio
import contextlib
import fractions
import itertools
import socket
import subprocess
import threading
import time

import av
from aiortc import MediaStreamTrack

from . import encoded, rtmp
from .encoded import SEI, SPS, PPS
from .http_stream import WhipPublisher

VIDEO, AUDIO, DATA = 9, 8, 18
AAC_MS = 1024 / 48


class RtmpFeed:
    """Sends messages (kind, milliseconds, payload) of a generator at their pace, on one connection."""

    def __init__(self, messages):
        self.messages, self.client, self.failure = messages, None, None

    def start(self, node, name):
        self.client = rtmp.RtmpClient(node)
        stream = self.client.stream()
        self.client.call("publish", name, "live", stream=stream, wait=False)
        self.client.status("NetStream.Publish.Start")

        def run():
            begun = time.monotonic()
            try:
                for kind, at, payload, *stamp in self.messages():
                    time.sleep(max(0, begun + at / 1000 - time.monotonic()))
                    self.client.send(kind, payload, stream, int(stamp[0] if stamp else at))
            except OSError as error:
                self.failure = error
        threading.Thread(target=run, daemon=True).start()
        return self

    def stop(self):
        # Closing alone would wait for the thread that reads.
        with contextlib.suppress(OSError):
            self.client.socket.shutdown(socket.SHUT_RDWR)
        self.client.close()


def video_messages(units, fps=25, start=0, configure=True, frame=encoded.avc_frame):
    """Endless: the units over and over."""
    if configure:
        yield VIDEO, start, encoded.avc_configuration(*encoded.sets(units))
    for number in itertools.count():
        unit = units[number % len(units)]
        yield VIDEO, start + number * 1000 / fps, frame(encoded.without(unit, SPS, PPS), encoded.is_key(unit))


def audio_messages(config, frames, start=0, step=AAC_MS, configure=True, end=None):
    if configure:
        yield AUDIO, start, encoded.aac_configuration(config)
    for number in itertools.count():
        at = start + number * step
        if end is not None and at >= end:
            return
        yield AUDIO, at, encoded.aac_frame(frames[number % len(frames)])


def merged(*tracks):
    """Messages of several generators in the order of their times."""
    waiting = [[next(track, None), track] for track in tracks]
    while any(message for message, _ in waiting):
        first = min((entry for entry in waiting if entry[0]), key=lambda entry: entry[0][1])
        yield first[0]
        first[0] = next(first[1], None)


def metadata(**values):
    return DATA, 0, rtmp.encode("onMetaData") + rtmp.encode(values)


# RTMP.

def empty_audio_configuration():
    """As libavformat writes it for `-c copy` of AAC with ADTS heads: nothing at first, then the configuration."""
    def messages():
        units, (config, frames) = encoded.access_units(), encoded.aac()
        yield AUDIO, 0, b"\xaf\x00"
        yield from merged(video_messages(units), audio_messages(config, frames, start=5))
    return RtmpFeed(messages)


def audio_configuration_changes():
    def messages():
        units, first, second = encoded.access_units(), encoded.aac(rate=44100), encoded.aac(rate=48000, channels=1)
        audio = itertools.chain(audio_messages(*first, step=1024 / 44.1, end=3000), audio_messages(*second, start=3000))
        yield from merged(video_messages(units), audio)
    return RtmpFeed(messages)


def late_video():
    def messages():
        yield metadata(videocodecid=7.0, audiocodecid=10.0, width=320.0, height=240.0)
        yield from merged(audio_messages(*encoded.aac()), video_messages(encoded.access_units(), start=5000))
    return RtmpFeed(messages)


def metadata_grows():
    def messages():
        yield metadata(videocodecid=7.0, width=320.0, height=240.0)
        second = iter([(DATA, 300, metadata(videocodecid=7.0, audiocodecid=10.0)[2])])
        yield from merged(video_messages(encoded.access_units()), second, audio_messages(*encoded.aac(), start=350))
    return RtmpFeed(messages)


def multitrack_audio():
    """Enhanced RTMP v2: a second track of sound beside the usual one."""
    def messages():
        config, frames = encoded.aac()
        def second():
            yield AUDIO, 10, b"\x95\x00mp4a\x01" + config
            for number in itertools.count():
                yield AUDIO, 10 + number * AAC_MS, b"\x95\x01mp4a\x01" + frames[number % len(frames)]
        yield from merged(video_messages(encoded.access_units()), audio_messages(config, frames), second())
    return RtmpFeed(messages)


def adts_without_configuration():
    def messages():
        config, frames = encoded.aac()
        audio = audio_messages(config, [encoded.adts(config, frame) for frame in frames], configure=False)
        yield from merged(video_messages(encoded.access_units()), audio)
    return RtmpFeed(messages)


def sei_messages():
    """Each frame in two messages of one time: the supplemental information by itself, then the frame."""
    def messages():
        def pairs():
            for kind, at, payload in video_messages(encoded.access_units()):
                if payload[1] == 1:
                    yield kind, at, encoded.avc_frame([bytes([SEI, 5, 17]) + bytes(range(17)) + b"\x80"], payload[0] == 0x17)
                yield kind, at, payload
        yield from merged(pairs(), audio_messages(*encoded.aac()))
    return RtmpFeed(messages)


def rtmp_clock_jumps():
    """After three seconds the encoder's clock jumps an hour ahead, after six back to zero."""
    def messages():
        def stamp(at):
            return at + 3_600_000 if 3000 <= at < 6000 else at if at < 3000 else at - 6000
        for kind, at, payload in merged(video_messages(encoded.access_units()), audio_messages(*encoded.aac())):
            yield kind, at, payload, stamp(at)
    return RtmpFeed(messages)


def resolution_changes():
    def messages():
        def video():
            small, large = encoded.access_units(), encoded.access_units(size="640x360")
            yield from itertools.takewhile(lambda message: message[1] < 3000, video_messages(small))
            yield from video_messages(large, start=3000)
        yield from merged(video(), audio_messages(*encoded.aac()))
    return RtmpFeed(messages)


def video_codec_goes_and_comes():
    """Video for three seconds, sound alone for three, then video again."""
    def messages():
        video = itertools.chain(
            itertools.takewhile(lambda message: message[1] < 3000, video_messages(encoded.access_units())),
            video_messages(encoded.access_units(), start=6000))
        yield from merged(video, audio_messages(*encoded.aac()))
    return RtmpFeed(messages)


# ffmpeg.

class Copied:
    """`ffmpeg -re -c copy` of a file."""

    def __init__(self, path, *options):
        self.path, self.options, self.process = path, options, None

    def start(self, node, name):
        self.process = subprocess.Popen(
            ["ffmpeg", "-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", str(self.path), "-c", "copy", *self.options, "-f", "flv", f"{node.rtmp}/live/{name}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        return self

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)


def make_file(path, bframes=0, profile="main", gop=50, seconds=20):
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25", "-f", "lavfi", "-i", "sine=f=440:r=48000", "-t", str(seconds),
         "-c:v", "libx264", "-preset", "veryfast", "-coder", "1", "-profile:v", profile, "-bf", str(bframes), "-g", str(gop), "-pix_fmt", "yuv420p", "-c:a", "aac", str(path)],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return path


# WHIP.

class EncodedTrack(MediaStreamTrack):
    """Sends access units as they are: `shape(number, unit)` says what becomes of each, `clock(number)` its 90 kHz timestamp."""

    kind = "video"

    def __init__(self, units, fps=25, shape=lambda number, unit: unit, clock=None):
        super().__init__()
        self.units, self.fps, self.shape = units, fps, shape
        self.clock = clock or (lambda number: int(number * 90_000 / fps))
        self.number, self.begun = 0, None

    async def recv(self):
        self.begun = self.begun or time.monotonic()
        await asyncio.sleep(max(0, self.begun + self.number / self.fps - time.monotonic()))
        unit = self.shape(self.number, self.units[self.number % len(self.units)])
        packet = av.Packet(b"".join(encoded.START + nal for nal in unit))
        packet.pts, packet.time_base = self.clock(self.number), fractions.Fraction(1, 90_000)
        self.number += 1
        return packet


class WhipFeed:
    def __init__(self, background, make_track):
        self.background, self.make_track, self.publisher = background, make_track, None

    def start(self, node, name):
        self.publisher = WhipPublisher.__new__(WhipPublisher)
        self.publisher.codec, self.publisher.video = "H264", self.make_track()
        self.publisher.begin(self.background, node, name)
        return self

    def stop(self):
        self.publisher.delete()
        self.publisher.close_media()


def sets_only_once(background):
    return WhipFeed(background, lambda: EncodedTrack(
        encoded.access_units(), shape=lambda number, unit: unit if number == 0 else encoded.without(unit, SPS, PPS)))


def open_groups(background):
    """An IDR at the very beginning only; then an SPS, a PPS and an I frame each second."""
    # x264 opens groups only where there are B-frames; those nobody refers to, so they can be left out.
    made = encoded.access_units(seconds=60, gop=50, fps=50, profile="main", options="open-gop=1:bframes=2:b-adapt=0:b-pyramid=0")
    units = [unit for unit in made if unit[-1][0] & 0x60]
    return WhipFeed(background, lambda: EncodedTrack(units, fps=50 / 3))


def rtp_clock_jumps(background):
    def clock(number):
        return number * 3600 + (0 if number < 75 else 1_500_000_000)
    return WhipFeed(background, lambda: EncodedTrack(encoded.access_units(), clock=clock))
