# SPDX-License-Identifier: Apache-2.0
"""An RTSP camera of our own that does what a test tells it to: for the habits of cameras that no proper server has."""
import base64
import math
import re
import socket
import struct
import threading
import time
from functools import lru_cache

import av
import numpy

FPS = 25
HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
TONE_SAMPLES = 160
PCMU = "m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=control:audio\r\n"


@lru_cache
def pictures():
    """Two seconds of H.264, 320x240, a key frame with its parameter sets each second: units by picture."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = 320, 240, "yuv420p", FPS
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline",
                       "x264-params": f"keyint={FPS}:min-keyint={FPS}:scenecut=0:repeat-headers=1:threads=1:sliced-threads=0"}
    packets = []
    for number in range(2 * FPS):
        image = numpy.full((360, 320), 128, dtype=numpy.uint8)
        image[:240] = (numpy.arange(320) + 8 * number) % 160 + 40
        packets += encoder.encode(av.VideoFrame.from_ndarray(image, format="yuv420p"))
    packets += encoder.encode(None)
    return [[unit.rstrip(b"\0") for unit in bytes(packet).split(b"\0\0\1") if unit.rstrip(b"\0")] for packet in packets]


def mu_law(value):
    """G.711 of a sample of 16 bits."""
    sign, value = (0x80, -value) if value < 0 else (0, value)
    value = min(value, 32635) + 132
    exponent = value.bit_length() - 8
    return ~(sign | exponent << 4 | value >> (exponent + 3) & 15) & 0xff


@lru_cache
def tone():
    """20 ms of 400 Hz, which end where they begin."""
    return bytes(mu_law(round(12000 * math.sin(2 * math.pi * 400 * sample / 8000))) for sample in range(TONE_SAMPLES))


def payloads(unit, size=1200):
    """One unit as RTP payloads (RFC 6184 §5.6, §5.8)."""
    if len(unit) <= size:
        return [unit]
    parts = [unit[start:start + size - 2] for start in range(1, len(unit), size - 2)]
    return [bytes([unit[0] & 0xe0 | 28, unit[0] & 31 | (0x80 if index == 0 else 0) | (0x40 if index == len(parts) - 1 else 0)]) + part
            for index, part in enumerate(parts)]


class Link:
    """One connection to the camera."""

    def __init__(self, camera, connection, number):
        self.camera, self.connection, self.number = camera, connection, number
        self.lock = threading.Lock()
        # Of each track: a channel, or where its datagrams go.
        self.channels = {}
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind((camera.sender, 0))

    def send(self, data):
        with self.lock:
            self.connection.sendall(data)

    def packet(self, channel, data):
        if isinstance(channel, tuple):
            self.datagrams.sendto(data, channel)
        else:
            self.send(struct.pack(">cBH", b"$", channel, len(data)) + data)

    def close(self):
        self.connection.shutdown(socket.SHUT_RDWR)

    def serve(self):
        try:
            file = self.connection.makefile("rb")
            while line := file.readline():
                if line.strip() == b"":
                    continue
                method, uri = line.decode().split()[:2]
                headers = {}
                while (field := file.readline().decode().strip()):
                    key, _, value = field.partition(":")
                    headers[key.lower()] = value.strip()
                self.camera.requests.append((method, uri, time.monotonic()))
                answer = self.camera.answer(self, method, uri, headers)
                if answer is not None:
                    self.send(answer.encode())
                if method == "PLAY":
                    threading.Thread(target=self.play, daemon=True).start()
        except (OSError, ValueError):
            pass
        finally:
            self.connection.close()
            self.datagrams.close()

    def play(self):
        """Always with the same source, numbers and times, as cameras with little memory do."""
        start, sequence, heard = time.monotonic() - self.camera.past, 1000, 0
        channel, sound = self.channels.get("video", 0), self.channels.get("audio")
        try:
            for number in range(100_000):
                parts = [part for unit in self.camera.picture(self, number) for part in payloads(unit, self.camera.largest)]
                for index, part in enumerate(parts):
                    marker = self.camera.marks(part, index == len(parts) - 1)
                    self.packet(channel, struct.pack(
                        ">BBHII", 0x80, (0x80 if marker else 0) | self.camera.payload_type, sequence & 0xffff,
                        90000 + self.camera.shown(number) * 90000 // FPS + index * self.camera.tick, 0x1111) + part)
                    sequence += 1
                    self.camera.between(self, number, index)
                if self.camera.sounds and sound is not None:
                    for payload_type, timestamp, payload in self.camera.sound(number):
                        self.packet(sound, struct.pack(">BBHII", 0x80, payload_type, heard & 0xffff, timestamp & 0xffffffff, 0x2222) + payload)
                        heard += 1
                time.sleep(max(0, start + (number + 1) / FPS - time.monotonic()))
        except OSError:
            pass


class ScriptedCamera:
    """`with ScriptedCamera(timeout=2) as camera`. Tests set `override(link, method, uri, headers)`, which returns an answer's lines or `None`
    for the usual one, `picture(link, number)`, which returns the units of a picture, `shown(number)`, its place in time, and `between(link, picture, packet)`, called after each
    packet. With `sounds` it sends `sound(number)` behind each picture: payload type (with marker), timestamp and payload of each packet; a tone in PCMU
    unless that is set."""

    def __init__(self, audio="", described=96, sent=None, timeout=60, content_base=None, control="video", sounds=False):
        self.audio, self.payload_type, self.timeout, self.content_base = audio, sent or described, timeout, content_base
        self.described, self.control, self.sounds = described, control, sounds
        # Bytes of a payload at most.
        self.largest = 1200
        self.public = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
        self.sets = [unit for unit in pictures()[0] if unit[0] & 31 in (7, 8)]
        self.video = "m=video 0 RTP/AVP"
        self.picture = lambda link, number: pictures()[number % len(pictures())]
        self.shown = lambda number: number
        # Whether a payload, the picture's last or not, has the marker; and what the timestamp grows by from packet to packet of a picture.
        self.marks = lambda payload, last: last
        self.tick = 0
        # Where its datagrams come from, and where it says that they do.
        self.sender, self.source = "127.0.0.1", None
        # Seconds that have been kept and come first, at once.
        self.past = 0
        self.sound = lambda number: [(0, packet * TONE_SAMPLES, tone()) for packet in (2 * number, 2 * number + 1)]
        self.requests, self.links = [], []
        self.override = lambda link, method, uri, headers: None
        self.between = lambda link, picture, packet: None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.links.append(Link(self, connection, len(self.links)))
            threading.Thread(target=self.links[-1].serve, daemon=True).start()

    def url(self, path="/live"):
        return f"rtsp://127.0.0.1:{self.port}{path}"

    def count(self, method):
        return sum(one[0] == method for one in self.requests)

    def description(self):
        sets = ",".join(base64.b64encode(unit).decode() for unit in self.sets)
        return (f"{HEAD}{self.video} {self.described}\r\na=rtpmap:{self.described} H264/90000\r\n"
                f"a=fmtp:{self.described} packetization-mode=1{';sprop-parameter-sets=' if sets else ''}{sets}\r\na=control:{self.control}\r\n{self.audio}")

    def answer(self, link, method, uri, headers):
        lines = self.override(link, method, uri, headers)
        body = ""
        if lines is None:
            lines = ["RTSP/1.0 200 OK"]
            if method == "OPTIONS":
                lines.append(f"Public: {self.public}")
            elif method == "DESCRIBE":
                body = self.description()
                lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
                lines += [f"Content-Base: {self.content_base}"] if self.content_base else []
            elif method == "SETUP":
                track, asked = "audio" if uri.endswith("audio") else "video", headers["transport"]
                if "client_port" in asked:
                    own = link.datagrams.getsockname()[1]
                    link.channels[track] = ("127.0.0.1", int(re.search(r"client_port=(\d+)", asked)[1]))
                    lines.append(f"Transport: {asked};server_port={own}-{own + 1}{';source=' + self.source if self.source else ''}")
                else:
                    link.channels[track] = int(re.search(r"interleaved=(\d+)", asked)[1])
                    lines.append(f"Transport: {asked}")
                lines.append(f"Session: 4711;timeout={self.timeout}")
        return "\r\n".join([lines[0], f"CSeq: {headers.get('cseq', 0)}", *lines[1:]]) + "\r\n\r\n" + body

    def close(self):
        self.listener.close()
        for link in self.links:
            try:
                link.close()
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
