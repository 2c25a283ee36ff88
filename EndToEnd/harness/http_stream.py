# SPDX-License-Identifier: Apache-2.0
"""WHIP and WHEP as a client that shares no code with the server: requests for HTTP, aiortc for media."""
from urllib.parse import quote, urljoin

import requests
from aiortc import RTCRtpSender, RTCSessionDescription

from .media import AiortcPlayer, AiortcPublisher, PatternTrack


class _HttpStream:
    """Begins with an offer by POST and ends by DELETE; what it sends or counts is its other base class's."""

    kind = ""

    def begin(self, background, node, name):
        self.make(background)
        self.ask(node, name)

    def make(self, background):
        self.background, self.tasks, self.cut = background, [], []
        self.offer = background.run(self._make_offer())

    def ask(self, node, name):
        self.name = name
        self.endpoint = f"{node.http}/{self.kind}/{quote(name, safe='')}"
        self.response = requests.post(self.endpoint, data=self.offer, headers={"Content-Type": "application/sdp"}, timeout=15)
        assert self.response.status_code == 201, (self.response.status_code, self.response.text)
        assert self.response.headers["Content-Type"] == "application/sdp"
        self.session = urljoin(self.endpoint, self.response.headers["Location"])
        self.tag = self.response.headers["ETag"]
        self.background.run(self.peer.setRemoteDescription(RTCSessionDescription(sdp=self.response.text, type="answer")))

    def delete(self):
        return requests.delete(self.session, timeout=15).status_code

    def patch(self, fragment, match=None, content_type="application/trickle-ice-sdpfrag"):
        headers = {"Content-Type": content_type, **({"If-Match": match} if match else {})}
        return requests.patch(self.session, data=fragment, headers=headers, timeout=15)


class WhipPublisher(_HttpStream, AiortcPublisher):
    kind = "whip"

    def __init__(self, background, node, name, codec="VP8", **pattern):
        self.codec, self.video = codec, PatternTrack(**pattern)
        self.begin(background, node, name)


class StubbornPublisher(WhipPublisher):
    """Offers H.264 and VP8 and sends VP8 whatever the answer names first: clients that are given frames by their program have only one codec."""

    def _prepare(self):
        super()._prepare()
        self.video_transceiver = next(one for one in self.peer.getTransceivers() if one.kind == "video")
        capabilities = RTCRtpSender.getCapabilities("video").codecs
        self.video_transceiver.setCodecPreferences([one for kind in ("h264", "vp8", "rtx") for one in capabilities if one.mimeType.lower() == f"video/{kind}"])
        send = self.video_transceiver.sender.send

        async def send_its_own(parameters):
            parameters.codecs.sort(key=lambda codec: codec.mimeType.lower() != "video/vp8")
            await send(parameters)
        self.video_transceiver.sender.send = send_its_own


class WhepPlayer(_HttpStream, AiortcPlayer):
    kind = "whep"

    def __init__(self, background, node, name, codec="VP8"):
        self._reset(codec)
        self.begin(background, node, name)

    @classmethod
    def prepare(cls, background, codec="VP8"):
        """One that has made its offer; `ask` sends it."""
        player = cls.__new__(cls)
        player._reset(codec)
        player.make(background)
        return player

    def _reset(self, codec):
        self.codec, self.frames, self.clocks, self.audio_frames, self.audio_energy = codec, 0, [], 0, 0.0
