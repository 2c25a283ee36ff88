# SPDX-License-Identifier: Apache-2.0
"""Signalling through which a client that is no browser finds a node's media at a relay: candidates are rewritten on the way."""
import json
import re
import threading

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import serve

CANDIDATE = re.compile(r"^(a=candidate:\S+ \d udp \d+ )(\S+) (\d+)( typ host.*)$")


def rerouted(sdp, ports):
    """`sdp` with the ports of the relay; candidates that don't lead there are left out."""
    lines = []
    for line in sdp.split("\r\n"):
        found = CANDIDATE.match(line)
        if found:
            if found[3] in ports and ":" not in found[2]:
                lines.append(f"{found[1]}{found[2]} {ports[found[3]]}{found[4]}")
        elif not line.startswith("a=candidate:"):
            lines.append(line)
    return "\r\n".join(lines)


class Detour:
    """A WebSocket server in front of `node`; `url` is for clients whose media is to take `relay`."""

    def __init__(self, node, relay):
        self._node = node.ws
        self._ports = relay.ports
        self._server = serve(self._carry, "127.0.0.1", 0, compression=None, max_size=None)
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _carry(self, client):
        with connect(self._node, compression=None, max_size=None) as server:
            back = threading.Thread(target=self._pass, args=(server, client, self._changed), daemon=True)
            back.start()
            self._pass(client, server, lambda text: text)
        back.join(5)

    @staticmethod
    def _pass(source, target, change):
        try:
            for text in source:
                target.send(change(text))
        except ConnectionClosed:
            pass
        finally:
            target.close()

    def _changed(self, text):
        frame = json.loads(text)
        if frame.get("message") != "setRemoteSDP":
            return text
        frame["data"] = [rerouted(value, self._ports) if isinstance(value, str) and value.startswith("v=0") else value for value in frame["data"]]
        return json.dumps(frame)

    def close(self):
        self._server.shutdown()
