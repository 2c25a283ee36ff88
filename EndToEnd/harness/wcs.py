# SPDX-License-Identifier: Apache-2.0
"""A WCS client that shares no code with the server: the signalling by hand, the media by aiortc.

`Client` is the socket with its frames. `aiortc_publisher` and `aiortc_player` put media to it.
"""
import contextlib
import json
import secrets
import threading
import time
import uuid

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from .waiting import wait_until

ENDS = ("FAILED", "UNPUBLISHED", "STOPPED")


class Client:
    """One session. Everything the server sends is kept in `frames` as (message, data, time)."""

    def __init__(self, url, handshake=True, pong=True, ssl=None, **connection):
        self.frames = []
        self.close_code = None
        self.close_reason = None
        self.closed_at = None
        self._pong = pong
        self._opened = contextlib.ExitStack()
        self.socket = self._opened.enter_context(connect(
            url, max_size=None, ping_interval=None, compression=None, ssl=ssl, open_timeout=10))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if handshake:
            self.introduce(**connection)

    def _read(self):
        try:
            while True:
                text = self.socket.recv()
                frame = json.loads(text)
                if frame["message"] == "ping" and self._pong:
                    self.send("pong", None)
                self.frames.append((frame["message"], frame["data"], time.monotonic()))
        except (ConnectionClosed, OSError):
            pass
        self.close_code = self.socket.close_code
        self.close_reason = self.socket.close_reason
        self.closed_at = time.monotonic()

    @property
    def is_closed(self):
        return self.closed_at is not None

    def close(self):
        self._opened.close()
        self._reader.join(5)

    def vanish(self):
        """The network goes away under the socket: no closing handshake."""
        self.socket.socket.shutdown(2)
        self._reader.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Frames.

    def send(self, message, argument=None):
        self.send_text(json.dumps({"message": message, "data": [argument]}))

    def send_text(self, text):
        self.socket.send(text)

    def of(self, message, **fields):
        """First arguments of the frames of that name whose fields are as given."""
        found = [data[0] if data else None for name, data, _ in self.frames if name == message]
        return [value for value in found if all(isinstance(value, dict) and value.get(key) == wanted for key, wanted in fields.items())]

    def wait_for(self, message, timeout=10, **fields):
        def look():
            found = self.of(message, **fields)
            return [found[0]] if found else None
        return wait_until(look, timeout, lambda: f"{message} {fields}; came: {self.story()}")[0]

    def story(self):
        """The frames in short, for messages of failed tests."""
        lines = []
        for name, data, _ in self.frames:
            first = data[0] if data else None
            if isinstance(first, dict):
                first = {key: first[key] for key in ("mediaSessionId", "status", "info", "type", "id") if key in first}
            lines.append(f"{name} {first}")
        return lines + ([f"closed {self.close_code} {self.close_reason}"] if self.is_closed else [])

    # Session.

    def introduce(self, **fields):
        self.send("connection", {"appKey": "defaultApp", "mediaProviders": ["WebRTC"], "clientVersion": "2.0", **fields})
        self.user_data = self.wait_for("getUserData")
        return self.user_data

    # Streams.

    def publish(self, name, sdp, media_session=None, **fields):
        media_session = str(uuid.uuid4()) if media_session is None else media_session
        self.send("publishStream", {
            "mediaSessionId": media_session, "name": name, "published": True, "hasVideo": True, "hasAudio": True, "status": "PENDING",
            "record": False, "mediaProvider": "WebRTC", "sdp": sdp, "bitrate": 0, "minBitrate": 0, "maxBitrate": 0, **fields})
        return media_session

    def play(self, name, sdp, media_session=None, **fields):
        media_session = str(uuid.uuid4()) if media_session is None else media_session
        self.send("playStream", {
            "mediaSessionId": media_session, "name": name, "published": False, "hasVideo": True, "hasAudio": True, "status": "PENDING",
            "record": False, "mediaProvider": "WebRTC", "sdp": sdp, "width": 0, "height": 0, "bitrate": 0, "minBitrate": 0,
            "maxBitrate": 0, "quality": 0, **fields})
        return media_session

    def stop(self, media_session, name="", published=False):
        self.send("unPublishStream" if published else "stopStream", {
            "mediaSessionId": media_session, "name": name, "published": published, "hasVideo": True, "hasAudio": True,
            "status": "PUBLISHING" if published else "PLAYING", "record": False})

    def statuses(self, media_session):
        return self.of("notifyStreamStatusEvent", mediaSessionId=media_session)

    def status(self, media_session, *names, timeout=10):
        """The first status frame of that stream whose status is one of `names` (any when none is given)."""
        def look():
            return next((frame for frame in self.statuses(media_session) if not names or frame["status"] in names), None)
        return wait_until(look, timeout, lambda: f"status {names} of {media_session}; came: {self.story()}")

    def answer(self, media_session, timeout=10):
        def look():
            return next((data for name, data, _ in self.frames if name == "setRemoteSDP" and data[0] == media_session), None)
        return wait_until(look, timeout, lambda: f"setRemoteSDP of {media_session}; came: {self.story()}")


def offer(direction="sendonly", kinds=("audio", "video"), video="VP8", audio="opus", bundle=True, line_end="\r\n"):
    """An offer nobody stands behind: what a browser writes, cut to what is needed. For tests of signalling."""
    fingerprint = ":".join(f"{byte:02X}" for byte in secrets.token_bytes(32))
    ufrag, password = secrets.token_hex(4), secrets.token_hex(12)
    rates = {"VP8": "90000", "H264": "90000", "VP9": "90000", "AV1": "90000", "H265": "90000", "opus": "48000/2", "PCMU": "8000", "iLBC": "8000"}
    lines = ["v=0", "o=- 4611731400430051336 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    if bundle:
        lines.append("a=group:BUNDLE " + " ".join(str(index) for index in range(len(kinds))))
    for index, kind in enumerate(kinds):
        name, payload = (audio, 111) if kind == "audio" else (video, 96)
        lines += [
            f"m={kind} 9 UDP/TLS/RTP/SAVPF {payload}", "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0", f"a=ice-ufrag:{ufrag}",
            f"a=ice-pwd:{password}", "a=ice-options:trickle", f"a=fingerprint:sha-256 {fingerprint}", "a=setup:actpass", f"a=mid:{index}",
            f"a={direction}", "a=rtcp-mux", f"a=rtpmap:{payload} {name}/{rates[name]}"]
        if name == "H264":
            lines.append(f"a=fmtp:{payload} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
        if direction == "sendonly":
            lines += ["a=msid:stream track" + str(index), f"a=ssrc:{1000 + index} cname:test"]
    return line_end.join(lines) + line_end
