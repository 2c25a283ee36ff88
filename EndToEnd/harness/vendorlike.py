# SPDX-License-Identifier: Apache-2.0
"""A far server that answers like the vendor's: one port per m-line, RTP/SAVPF, LF line ends, two components, tcp candidates, no
group line, no setup, no msid; PUBLISHING and PLAYING by media of aiortc. A WebSocket server for one agent at a time."""
import asyncio
import json
import re

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from websockets.asyncio.server import serve

from .media import AiortcPlayer, PatternTrack, ToneTrack


class VendorLikeServer:
    def __init__(self, background, streams=(), speaks_first_status="PUBLISHING"):
        self.background = background
        self.streams = set(streams)      # names that can be played
        self.requests = []               # (message, argument) as they came
        self.paths = []
        self.peers = {}
        self.received = AiortcPlayer.__new__(AiortcPlayer)
        self.received.frames, self.received.clocks, self.received.audio_frames, self.received.audio_energy = 0, [], 0, 0.0
        self.tasks = []
        self.server = background.run(self._open())
        self.port = self.server.sockets[0].getsockname()[1]

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}"

    async def _open(self):
        return await serve(self._session, "127.0.0.1", 0, ping_interval=None, compression=None, max_size=None)

    def close(self):
        async def close():
            for task in self.tasks:
                task.cancel()
            for peer in self.peers.values():
                await peer.close()
            self.server.close()
            await self.server.wait_closed()
        self.background.run(close())

    async def _session(self, socket):
        self.paths.append(socket.request.path)

        async def tell(message, *data):
            await socket.send(json.dumps({"message": message, "data": list(data)}))

        async def ping():
            while True:
                await tell("ping")
                await asyncio.sleep(1)
        pinging = asyncio.ensure_future(ping())
        try:
            async for text in socket:
                frame = json.loads(text)
                message, argument = frame["message"], (frame.get("data") or [None])[0]
                self.requests.append((message, argument))
                if message == "connection":
                    await tell("getUserData", {**argument, "authToken": "/127.0.0.1:1/127.0.0.1:2", "status": "ESTABLISHED"})
                    await tell("getVersion", "5.2.1")
                    await tell("somethingNew", {"of": "a later version"})
                elif message in ("publishStream", "playStream"):
                    # Not awaited: the socket has to be read meanwhile.
                    self.tasks.append(asyncio.ensure_future(self._begin(tell, argument, message == "publishStream")))
                elif message in ("unPublishStream", "stopStream"):
                    peer = self.peers.pop(argument["mediaSessionId"], None)
                    if peer:
                        await peer.close()
                    status = "UNPUBLISHED" if message == "unPublishStream" else "STOPPED"
                    await tell("notifyStreamStatusEvent", {**argument, "status": status, "info": None})
                elif message == "availableStream":
                    there = argument["name"] in self.streams
                    await tell("availableStream", {"id": argument["mediaSessionId"], "status": str(there).lower(), "info": ""})
        finally:
            pinging.cancel()

    async def _begin(self, tell, request, publishes):
        record = {key: value for key, value in request.items() if key != "sdp"}
        if not publishes and request["name"] not in self.streams:
            return await tell("notifyStreamStatusEvent", {**record, "status": "FAILED", "info": "Session does not exist"})
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.peers[request["mediaSessionId"]] = peer

        @peer.on("track")
        def on_track(track):
            watch = AiortcPlayer._watch if track.kind == "video" else AiortcPlayer._listen
            self.tasks.append(asyncio.ensure_future(watch(self.received, track)))

        await peer.setRemoteDescription(RTCSessionDescription(sdp=unbundled(request["sdp"]), type="offer"))
        if not publishes:
            peer.addTrack(ToneTrack())
            peer.addTrack(PatternTrack())
        await peer.setLocalDescription(await peer.createAnswer())
        await tell("setRemoteSDP", request["mediaSessionId"], vendor_answer(peer.localDescription.sdp), True)
        while peer.connectionState in ("new", "connecting"):
            await asyncio.sleep(0.01)
        state = peer.connectionState
        status = ("PUBLISHING" if publishes else "PLAYING") if state == "connected" else "FAILED"
        await tell("notifyStreamStatusEvent", {**record, "status": status, "info": "" if state == "connected" else "Failed by ICE error"})


def unbundled(sdp):
    """The offer without its group, and with a candidate that leads nowhere where it has none: aiortc gives up at once when there
    is nothing to check, instead of waiting for the offerer's checks."""
    lines = [line for line in sdp.splitlines() if not line.startswith("a=group:")]
    result = []
    sections = "\n".join(lines).split("\nm=")
    for index, section in enumerate(sections):
        if index > 0 and "a=candidate:" not in section:
            section += "\na=candidate:1 1 udp 1 127.0.0.1 9 typ host"
        result.append(section)
    return "\r\n".join("\nm=".join(result).split("\n")) + "\r\n"


def vendor_answer(sdp):
    """aiortc's answer as the vendor would have written it. (aiortc is the active side here, which a missing setup means.)"""
    lines = []
    for line in sdp.splitlines():
        if line.startswith(("a=group:", "a=setup:", "a=msid", "a=end-of-candidates")):
            continue
        if line.startswith("m="):
            line = line.replace("UDP/TLS/RTP/SAVPF", "RTP/SAVPF")
        lines.append(line)
        candidate = re.match(r"a=candidate:(\S+) 1 udp (\d+) (\S+) (\d+) typ host", line)
        if candidate:
            foundation, priority, address, port = candidate.groups()
            lines.append(f"a=candidate:{foundation} 2 udp {int(priority) - 1} {address} {port} typ host")
            lines.append(f"a=candidate:{foundation}0 1 tcp {int(priority) - 2} {address} {port} typ host tcptype passive")
    return "\n".join(lines) + "\n"
