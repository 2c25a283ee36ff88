# SPDX-License-Identifier: Apache-2.0
"""A way to the media port by TCP for clients that know only UDP: takes their datagrams on a UDP port of its own and carries them
over one TCP connection, each behind its length (RFC 4571). Can stop reading, as a viewer on a dead line does."""
import asyncio
import re
import socket
import struct


class Tunnel:
    def __init__(self, background, host, port, room=None):
        self.background = background
        self.packets = 0
        self.peer = None
        self._reading = asyncio.Event()
        background.run(self._open(host, port, room))

    async def _open(self, host, port, room):
        self._reading.set()
        stream = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        if room:  # little, so that what isn't read soon piles up on the server
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        stream.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(stream, (host, port))
        self._stream = stream
        self._queue = asyncio.Queue()
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(("127.0.0.1", 0))
        self._datagrams.setblocking(False)
        self.port = self._datagrams.getsockname()[1]
        self._tasks = [asyncio.ensure_future(one) for one in (self._up(), self._down())]

    async def _up(self):
        loop = asyncio.get_running_loop()
        while True:
            packet, self.peer = await loop.sock_recvfrom(self._datagrams, 65_535)
            await loop.sock_sendall(self._stream, struct.pack("!H", len(packet)) + packet)

    async def _down(self):
        loop = asyncio.get_running_loop()
        waiting = b""
        while True:
            await self._reading.wait()
            piece = await loop.sock_recv(self._stream, 4096)
            if not piece:
                return
            waiting += piece
            while len(waiting) >= 2 and len(waiting) >= 2 + (length := struct.unpack("!H", waiting[:2])[0]):
                packet, waiting = waiting[2:2 + length], waiting[2 + length:]
                self.packets += 1
                if self.peer:
                    self._datagrams.sendto(packet, self.peer)

    def stop_reading(self):
        self.background.loop.call_soon_threadsafe(self._reading.clear)

    def go_on_reading(self):
        self.background.loop.call_soon_threadsafe(self._reading.set)

    def rewrite(self, answer):
        """The answer with the tunnel's end for its only candidate."""
        assert re.search(r"a=candidate:.* tcp .* tcptype passive", answer), answer
        first = True
        lines = []
        for line in answer.splitlines():
            if line.startswith("a=candidate:"):
                if first:
                    lines.append(f"a=candidate:1 1 udp 2130706431 127.0.0.1 {self.port} typ host")
                first = False
                continue
            if line.startswith("m="):
                first = True
            lines.append(line)
        return "\r\n".join(lines) + "\r\n"

    def close(self):
        async def close():
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._stream.close()
            self._datagrams.close()
        self.background.run(close())
