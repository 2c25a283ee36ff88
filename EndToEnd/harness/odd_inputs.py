# SPDX-License-Identifier: Apache-2.0
"""Publishers that do what real ones have been seen to do and what servers stumble over: each a class with `start(node, name)` and `stop()`."""
import asyncio
import contextlib
import fractions
import itertools
import re
import socket
import struct
import subprocess
import threading
import time

import av
from aiortc import MediaStreamTrack

from . import encoded, rtmp
from .encoded import SEI, SPS, PPS, START
from .http_stream import WhipPublisher
from .media import ToneTrack
from .scripted_camera import payloads
from .waiting import wait_until

VIDEO, AUDIO, DATA = 9, 8, 18
AAC_MS = 1024 / 48


class RtmpFeed:
    """Sends messages (kind, milliseconds, payload) of a generator at their pace, on one connection."""

    def __init__(self, messages):
        self.messages, self.client, self.failure = messages, None, None

    def publish(self, node, name):
        """Returns the message stream."""
        self.client = rtmp.RtmpClient(node)
        stream = self.client.stream()
        self.client.call("publish", name, "live", stream=stream, wait=False)
        self.client.status("NetStream.Publish.Start")
        return stream

    def start(self, node, name):
        stream = self.publish(node, name)

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


def multitrack_video():
    """The same with a second track of video."""
    def messages():
        large = encoded.access_units(size="640x360")
        def second():
            yield VIDEO, 10, b"\x96\x00avc1\x01" + encoded.avc_configuration(*encoded.sets(large))[5:]
            for _, at, payload in video_messages(large, start=10, configure=False):
                yield VIDEO, at, bytes([0x86 | payload[0] & 0x70, 1]) + b"avc1\x01" + payload[2:]
        yield from merged(video_messages(encoded.access_units()), audio_messages(*encoded.aac()), second())
    return RtmpFeed(messages)


def aac_without_configuration():
    """Frames alone; what they are is said by the metadata only."""
    def messages():
        yield metadata(videocodecid=7.0, audiocodecid=10.0, audiosamplerate=48000.0, stereo=True)
        yield from merged(video_messages(encoded.access_units()), audio_messages(*encoded.aac(), configure=False))
    return RtmpFeed(messages)


def metadata_without_codecs():
    """As nginx-rtmp writes them for what it knows nothing of."""
    def messages():
        yield metadata(videocodecid=0.0, audiocodecid=0.0, width=0.0, height=0.0)
        yield from merged(video_messages(encoded.access_units()), audio_messages(*encoded.aac()))
    return RtmpFeed(messages)


def audio_that_never_comes():
    """Announced and configured."""
    def messages():
        yield metadata(videocodecid=7.0, audiocodecid=10.0)
        yield AUDIO, 0, encoded.aac_configuration(encoded.aac()[0])
        yield from video_messages(encoded.access_units())
    return RtmpFeed(messages)


def framed(frame):
    """Video whose messages are written by `frame(unit, is_key_frame)`."""
    return RtmpFeed(lambda: merged(video_messages(encoded.access_units(), frame=frame), audio_messages(*encoded.aac())))


def start_codes():
    """Annex B where lengths belong."""
    return framed(lambda unit, is_key: bytes([0x17 if is_key else 0x27, 1, 0, 0, 0]) + b"".join(START + nal for nal in unit))


def flagged_inter():
    """No frame says that it is a key frame."""
    return framed(lambda unit, is_key: encoded.avc_frame(unit, False))


def shown_later(milliseconds):
    """The same composition time for all frames, though none is reordered."""
    return framed(lambda unit, is_key: encoded.avc_frame(unit, is_key, milliseconds))


def b_frames_later():
    """B-frames that nothing announces, after three seconds without any."""
    def messages():
        units = encoded.access_units(profile="main", options=encoded.REORDERED)
        sps, pps = encoded.sets(units)
        def video():
            yield VIDEO, 0, encoded.avc_configuration(encoded.without_vui(sps), pps)
            for number in itertools.count():
                unit = units[number % len(units)]
                if number < 75 and not encoded.is_referred_to(unit):
                    continue
                later = (encoded.shown(number) - number + 2) * 40
                yield VIDEO, number * 40, encoded.avc_frame(encoded.without(unit, SPS, PPS), encoded.is_key(unit), later)
        yield from merged(video(), audio_messages(*encoded.aac()))
    return RtmpFeed(messages)


class InOneGo(RtmpFeed):
    """Says connect, createStream and publish without waiting for an answer."""

    def publish(self, node, name):
        self.client = rtmp.RtmpClient(node, connect=False)
        self.client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        self.client.call("connect", {"app": "live", "tcUrl": f"{node.rtmp}/live"}, wait=False)
        self.client.call("createStream", wait=False)
        self.client.call("publish", name, "live", stream=1, wait=False)
        self.client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        self.client.status("NetStream.Publish.Start")
        return 1


def in_one_go():
    return InOneGo(lambda: merged(video_messages(encoded.access_units()), audio_messages(*encoded.aac())))


class OnStreamZero(RtmpFeed):
    """Publishes on the stream that it was given, and says of its messages that they are of the connection's."""

    def publish(self, node, name):
        super().publish(node, name)
        return 0


def on_stream_zero():
    return OnStreamZero(lambda: merged(video_messages(encoded.access_units()), audio_messages(*encoded.aac())))


class DamagedCommands(RtmpFeed):
    """The object of its connect isn't closed, and behind the arguments of its publish there are bytes that are no value."""

    def publish(self, node, name):
        self.client = rtmp.RtmpClient(node, connect=False)
        self.client.send(20, b"".join(map(rtmp.encode, ("connect", 1, {"app": "live", "tcUrl": f"{node.rtmp}/live"}))).removesuffix(b"\0\0\x09"))
        self.client.transaction = 1
        stream = self.client.stream()
        self.client.send(20, b"".join(map(rtmp.encode, ("publish", 3, None, name, "live"))) + bytes(2), stream)
        self.client.status("NetStream.Publish.Start")
        return stream


def damaged_commands():
    return DamagedCommands(lambda: merged(video_messages(encoded.access_units()), audio_messages(*encoded.aac())))


class OddControl(RtmpFeed):
    """Wants no acknowledgements, and sends control messages that are too short."""

    def publish(self, node, name):
        stream = super().publish(node, name)
        for kind, payload in (5, bytes(4)), (5, b""), (6, bytes(3)), (2, bytes(2)):
            self.client.send(kind, payload)
        return stream


def odd_control():
    return OddControl(lambda: merged(video_messages(encoded.access_units()), audio_messages(*encoded.aac())))


class ComesAgain(RtmpFeed):
    """An encoder whose network is gone, without a goodbye, and that comes again over another connection."""

    def publish(self, node, name):
        self.gone = RtmpFeed(lambda: itertools.takewhile(lambda message: message[1] < 1000, self.messages())).start(node, name)
        node.wait_for_stream(name)
        # It answers nothing either.
        self.gone.client.reads.clear()
        return wait_until(lambda: self.attempt(node, name), 15, "the encoder is let in again", pause=0.5)

    def attempt(self, node, name):
        self.client = rtmp.RtmpClient(node)
        stream = self.client.stream()
        self.client.call("publish", name, "live", stream=stream, wait=False)
        codes = wait_until(lambda: [values[1]["code"] for call, _, values in list(self.client.calls) if call == "onStatus"], 10, "an answer to publish")
        if "NetStream.Publish.Start" in codes:
            return stream
        self.client.close()

    def stop(self):
        super().stop()
        self.gone.stop()


def comes_again():
    return ComesAgain(lambda: merged(video_messages(encoded.access_units()), audio_messages(*encoded.aac())))


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


def rtmp_clock_set_back():
    """By 400 ms, again and again."""
    def messages():
        for kind, at, payload in merged(video_messages(encoded.access_units()), audio_messages(*encoded.aac())):
            yield kind, at, payload, at - at // 3000 * 400
    return RtmpFeed(messages)


def rtmp_clock_backwards():
    """After three seconds the encoder's clock runs backwards."""
    def messages():
        for kind, at, payload in merged(video_messages(encoded.access_units()), audio_messages(*encoded.aac())):
            yield kind, at, payload, at + 600_000 if at < 3000 else 606_000 - at
    return RtmpFeed(messages)


def long_audio_frames():
    """G.711 as `ffmpeg -c copy` of a WAV file sends it: messages of half a second."""
    def messages():
        tone = bytes(0xa0 if index % 18 < 9 else 0x20 for index in range(4000))
        audio = ((AUDIO, number * 500, bytes([0x82]) + tone) for number in itertools.count())
        yield from merged(video_messages(encoded.access_units()), audio)
    return RtmpFeed(messages)


def stereo_g711():
    """As GStreamer's `mulawenc ! flvmux` sends two channels: a byte of each by turns."""
    def messages():
        tone, silence = (bytes(0xa0 if index % 20 < 10 else 0x20 for index in range(160))), bytes([0xff]) * 160
        both = bytes(byte for pair in zip(tone, silence) for byte in pair)
        yield from merged(video_messages(encoded.access_units()), ((AUDIO, number * 20, b"\x83" + both) for number in itertools.count()))
    return RtmpFeed(messages)


def video_without_configuration():
    """H.264 for three seconds, then VP8, of which no configuration comes (Enhanced RTMP)."""
    def messages():
        def frames():
            yield from itertools.takewhile(lambda message: message[1] < 3000, video_messages(encoded.access_units()))
            units = encoded.vp8()
            for number in itertools.count():
                unit = units[number % len(units)]
                yield VIDEO, 3000 + number * 40, bytes([0xa1 if unit[0] & 1 else 0x91]) + b"vp08" + unit
        yield from merged(frames(), audio_messages(*encoded.aac()))
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


def make_file(path, bframes=0, profile="main", gop=50, seconds=20, pixels="yuv420p"):
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25", "-f", "lavfi", "-i", "sine=f=440:r=48000", "-t", str(seconds),
         "-c:v", "libx264", "-preset", "veryfast", "-coder", "1", "-profile:v", profile, "-bf", str(bframes), "-g", str(gop), "-pix_fmt", pixels, "-c:a", "aac", str(path)],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return path


def make_surround_file(path):
    """AAC of 5.1(side), for which there is no number: a program config element says which channels there are."""
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "sine=f=440:r=48000", "-t", "8", "-af", "volume=4,aformat=channel_layouts=5.1(side)",
         "-c:a", "aac", "-f", "flv", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return path


def surround(path):
    """The audio of an FLV file over and over."""
    def messages():
        (_, _, configuration), *frames = rtmp.messages(path)
        assert int.from_bytes(configuration[2:4], "big") >> 3 & 15 == 0, "its channels have a number"
        audio = audio_messages(configuration[2:], [payload[2:] for _, _, payload in frames if payload[1] == 1])
        yield from merged(video_messages(encoded.access_units()), audio)
    return RtmpFeed(messages)


def make_large_file(path):
    """Frames of 200 kB each, all of them key frames of two slices, that take 100 MB when they are decoded."""
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "color=black:s=8192x8192:r=5", "-frames:v", "10", "-c:v", "libx264", "-preset", "ultrafast",
         "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "1", "-x264-params", "slices=2", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return path


def halved(path, fps=25):
    """The frames of an FLV file over and over, without the last slice of any: none can be decoded as it was."""
    def half(payload):
        ends, at = [], 5
        while at < len(payload):
            ends.append(at)
            at += 4 + int.from_bytes(payload[at:at + 4], "big")
        return payload[:ends[-1]]

    def messages():
        (_, _, configuration), *frames = [message for message in rtmp.messages(path) if message[0] == VIDEO and message[2][1] < 2]
        halves = [half(payload) for _, _, payload in frames]
        yield VIDEO, 0, configuration
        for number in itertools.count():
            yield VIDEO, number * 1000 / fps, halves[number % len(halves)]
    return RtmpFeed(messages)


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
    return WhipFeed(background, lambda: EncodedTrack(encoded.open_groups(), fps=50 / 3))


def rtp_clock_jumps(background):
    def clock(number):
        return number * 3600 + (0 if number < 75 else 1_500_000_000)
    return WhipFeed(background, lambda: EncodedTrack(encoded.access_units(), clock=clock))


def both_clocks_jump(background):
    """After three seconds all timestamps are an hour later: encoders that begin anew, as phones do after a call."""
    return JumpingFeed(background, lambda: EncodedTrack(encoded.access_units()))


class JumpingFeed(WhipFeed):
    def start(self, node, name):
        super().start(node, name)
        self.timer = threading.Timer(3, self.publisher.jump, [3600])
        self.timer.start()
        return self

    def stop(self):
        self.timer.cancel()
        super().stop()


class LayeredPublisher(WhipPublisher):
    """Three layers in one section, by SDP munging, whatever the answer says."""

    SOURCES = (4096, 4097, 4098)

    def __init__(self, background, node, name):
        self.codec = "H264"
        self.layers = [encoded.access_units(size=size) for size in ("320x240", "160x120", "640x360")]
        self.begin(background, node, name)
        background.run(self._begin_sending())

    def _prepare(self):
        self.peer.addTrack(ToneTrack())
        self.video = self.peer.addTransceiver("video", direction="sendonly")
        self._prefer(self.video, "H264")

    async def _make_offer(self):
        head, section, rest = re.split(r"(?s)(m=video.*?(?=m=|\Z))", await super()._make_offer())
        section = re.sub(r"a=ssrc.*\r\n", "", section) + f"a=ssrc-group:SIM {' '.join(map(str, self.SOURCES))}\r\n"
        section += "".join(f"a=ssrc:{source} cname:layers\r\na=ssrc:{source} msid:stream track\r\n" for source in self.SOURCES)
        return head + section + rest

    async def _begin_sending(self):
        self.tasks.append(asyncio.ensure_future(self._send()))

    async def _send(self):
        while self.peer.connectionState != "connected":
            await asyncio.sleep(0.02)
        payload_type = int(re.search(r"m=video \d+ \S+ (\d+)", self.response.text)[1])
        transport, begun, sequences = self.video.sender.transport, time.monotonic(), [100, 200, 300]
        for number in itertools.count():
            for layer, units in enumerate(self.layers):
                parts = [part for nal in units[number % len(units)] for part in payloads(nal)]
                for index, part in enumerate(parts):
                    marker = 0x80 if index == len(parts) - 1 else 0
                    head = struct.pack(">BBHII", 0x80, marker | payload_type, sequences[layer], number * 3600, self.SOURCES[layer])
                    await transport._send_rtp(head + part)
                    sequences[layer] += 1
            await asyncio.sleep(max(0, begun + (number + 1) / 25 - time.monotonic()))


class LayeredFeed(WhipFeed):
    def start(self, node, name):
        self.publisher = LayeredPublisher(self.background, node, name)
        return self


def layers_unasked(background):
    return LayeredFeed(background, None)
