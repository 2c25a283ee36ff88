# SPDX-License-Identifier: Apache-2.0
"""Media of aiortc: a drawn picture with the burnt-in clock and a tone to publish, and a receiver that looks at what comes."""
import asyncio
import fractions
import time
import uuid

import av
import numpy
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from . import burnin
from .waiting import wait_until

SAMPLES = 960


class PatternTrack(MediaStreamTrack):
    kind = "video"

    def __init__(self, width=256, height=192, fps=15):
        super().__init__()
        self.width, self.height, self.fps = width, height, fps
        self.count = 0
        self.start = None

    async def recv(self):
        if self.start is None:
            self.start = time.monotonic()
        await asyncio.sleep(max(0, self.start + self.count / self.fps - time.monotonic()))
        picture = numpy.empty((self.height * 3 // 2, self.width), dtype=numpy.uint8)
        picture[:self.height] = (numpy.arange(self.width) + 4 * self.count) % 160 + 40
        picture[self.height:] = 128
        burnin.draw(picture[:self.height], burnin.now())
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = int(self.count * 90000 / self.fps)
        frame.time_base = fractions.Fraction(1, 90000)
        self.count += 1
        return frame


class ToneTrack(MediaStreamTrack):
    kind = "audio"

    def __init__(self):
        super().__init__()
        self.position = 0
        self.start = None

    async def recv(self):
        if self.start is None:
            self.start = time.monotonic()
        await asyncio.sleep(max(0, self.start + self.position / 48000 - time.monotonic()))
        phase = 2 * numpy.pi * 440 * (self.position + numpy.arange(SAMPLES)) / 48000
        mono = (numpy.sin(phase) * 8000).astype(numpy.int16)
        frame = av.AudioFrame.from_ndarray(mono.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 48000
        frame.pts = self.position
        frame.time_base = fractions.Fraction(1, 48000)
        self.position += SAMPLES
        return frame


class AiortcStream:
    """A published or played stream on a `Client`; its peer connection lives in the background loop."""

    def __init__(self, background, client, name, tunnel=None, **fields):
        self.background, self.client, self.name = background, client, name
        self.tunnel, self.fields = tunnel, fields
        self.id = str(uuid.uuid4())
        self.peer = None
        self.tasks = []
        self.cut = []

    def _negotiate(self, send, timeout=15):
        self.offer = self.background.run(self._make_offer(), timeout)
        send(self.name, self.offer, self.id, **self.fields)
        frame = wait_until(
            lambda: next((data for message, data, _ in self.client.frames if message == "setRemoteSDP" and data[0] == self.id), None)
            or next(iter(self.client.statuses(self.id)), None), timeout, lambda: f"an answer; came: {self.client.story()}")
        if isinstance(frame, dict):
            raise AssertionError(f"{self.name}: {frame['status']} {frame.get('info')}")
        self.answer = self.tunnel.rewrite(frame[1]) if self.tunnel else frame[1]
        self.background.run(self.peer.setRemoteDescription(RTCSessionDescription(sdp=self.answer, type="answer")), timeout)

    async def _make_offer(self):
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._prepare()
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    def _prefer(self, transceiver, codec):
        capabilities = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([one for one in capabilities if one.mimeType.lower() in (f"video/{codec.lower()}", "video/rtx")])

    def fall_silent(self):
        """The network behind the peer connection goes away: nothing is sent any more, not even a goodbye."""
        class Nowhere:
            def __getattr__(self, name):
                return lambda *arguments, **named: None

        async def cut():
            for sender in self.peer.getSenders():
                for protocol in sender.transport.transport._connection._protocols:
                    if not isinstance(protocol.transport, Nowhere):
                        self.cut.append((protocol, protocol.transport))
                        protocol.transport = Nowhere()
        self.background.run(cut())

    def close_media(self):
        async def close():
            for protocol, transport in self.cut:
                protocol.transport = transport
            for task in self.tasks:
                task.cancel()
            await self.peer.close()
        if self.peer is not None:
            self.background.run(close())


class AiortcPublisher(AiortcStream):
    def __init__(self, background, client, name, codec="VP8", start=True, tunnel=None, fields=None, **pattern):
        super().__init__(background, client, name, tunnel, **(fields or {}))
        self.codec = codec
        self.video = PatternTrack(**pattern)
        if start:
            self._negotiate(client.publish)
            self.status = client.status(self.id, "PUBLISHING", "FAILED", timeout=20)
            assert self.status["status"] == "PUBLISHING", self.status

    def _prepare(self):
        self.peer.addTrack(ToneTrack())
        sender = self.peer.addTrack(self.video)
        self._prefer(next(one for one in self.peer.getTransceivers() if one.sender is sender), self.codec)

    def jump(self, seconds):
        """From now on all timestamps are so many seconds later (or earlier) than they would have been, as of encoders that begin anew."""
        def shift(sender):
            rate, plain = {"audio": 48000, "video": 90000}[sender.kind], sender._next_encoded_frame

            async def shifted(codec):
                frame = await plain(codec)
                if frame is not None:
                    frame.timestamp = (frame.timestamp + seconds * rate) % 2 ** 32
                return frame
            sender._next_encoded_frame = shifted

        async def all_of_them():
            for sender in self.peer.getSenders():
                shift(sender)
        self.background.run(all_of_them())

    def stop(self):
        """unPublishStream as the SDK does it: the peer connection closes in the same moment."""
        self.client.stop(self.id, self.name, published=True)
        self.close_media()
        return self.client.status(self.id, "UNPUBLISHED", "FAILED")


class AiortcPlayer(AiortcStream):
    """Counts decoded frames, reads their clocks and sums up the sound."""

    def __init__(self, background, client, name, codec="VP8", tunnel=None, fields=None):
        super().__init__(background, client, name, tunnel, **(fields or {}))
        self.codec = codec
        self.frames = 0
        self.clocks = []
        self.audio_frames = 0
        self.audio_energy = 0.0
        self._negotiate(client.play)
        self.status = client.status(self.id, "PLAYING", "FAILED", timeout=20)
        assert self.status["status"] == "PLAYING", self.status

    def _prepare(self):
        self.peer.addTransceiver("audio", direction="recvonly")
        self._prefer(self.peer.addTransceiver("video", direction="recvonly"), self.codec)

        @self.peer.on("track")
        def on_track(track):
            self.tasks.append(asyncio.ensure_future(self._watch(track) if track.kind == "video" else self._listen(track)))

    async def _watch(self, track):
        try:
            while True:
                frame = await track.recv()
                self.frames += 1
                clock = burnin.read(frame.to_ndarray(format="gray"))
                if clock is not None:
                    self.clocks.append((clock, burnin.now()))
        except MediaStreamError:
            pass

    async def _listen(self, track):
        try:
            while True:
                frame = await track.recv()
                self.audio_frames += 1
                samples = frame.to_ndarray().astype(numpy.float64) / 32768
                self.audio_energy += float((samples ** 2).mean()) * frame.samples / frame.sample_rate
        except MediaStreamError:
            pass

    def wait_for_frames(self, count, timeout=15):
        wait_until(lambda: self.frames >= count, timeout, lambda: f"{count} frames of {self.name}; now {self.frames}")

    def stop(self):
        self.client.stop(self.id, self.name)
        self.close_media()
        return self.client.status(self.id, "STOPPED", "FAILED")
