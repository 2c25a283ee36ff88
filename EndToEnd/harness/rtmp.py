# SPDX-License-Identifier: Apache-2.0
"""RTMP from outside: a small client of its own (handshake, chunks, AMF0), ffmpeg as an encoder, nginx as a far server."""
import collections
import os
import shutil
import socket
import struct
import subprocess
import threading
import time

from .ports import free_tcp_port
from .waiting import wait_until


# AMF0.

def encode(value):
    if value is None:
        return b"\x05"
    if isinstance(value, bool):
        return b"\x01" + bytes([value])
    if isinstance(value, (int, float)):
        return b"\x00" + struct.pack(">d", value)
    if isinstance(value, str):
        raw = value.encode()
        return b"\x02" + struct.pack(">H", len(raw)) + raw
    if isinstance(value, list):
        return b"\x0a" + struct.pack(">I", len(value)) + b"".join(map(encode, value))
    members = b"".join(struct.pack(">H", len(key.encode())) + key.encode() + encode(item) for key, item in value.items())
    return b"\x03" + members + b"\x00\x00\x09"


def decode(data):
    """All values of a message."""
    values, offset = [], 0
    while offset < len(data):
        value, offset = _decode(data, offset)
        values.append(value)
    return values


def _decode(data, offset):
    kind = data[offset]
    offset += 1
    if kind == 0:
        return struct.unpack_from(">d", data, offset)[0], offset + 8
    if kind == 1:
        return bool(data[offset]), offset + 1
    if kind == 2:
        length = struct.unpack_from(">H", data, offset)[0]
        return data[offset + 2:offset + 2 + length].decode(), offset + 2 + length
    if kind in (5, 6):
        return None, offset
    if kind == 10:
        count = struct.unpack_from(">I", data, offset)[0]
        offset, items = offset + 4, []
        for _ in range(count):
            item, offset = _decode(data, offset)
            items.append(item)
        return items, offset
    assert kind in (3, 8), kind
    offset += 4 if kind == 8 else 0
    members = {}
    while True:
        length = struct.unpack_from(">H", data, offset)[0]
        offset += 2
        if length == 0 and data[offset] == 9:
            return members, offset + 1
        key = data[offset:offset + length].decode()
        members[key], offset = _decode(data, offset + length)


class RtmpClient:
    """One connection. `connect` is sent at once; what the server calls is in `calls`: (name, transaction, [values])."""

    def __init__(self, node, app="live", connect=True, receive_buffer=None, **parameters):
        self.socket = socket.socket()
        self.socket.settimeout(10)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", node.settings["rtmp.port"]))
        self.reads = threading.Event()
        self.reads.set()
        self.calls, self.media, self.transaction, self.chunk_size, self.is_closed = [], [], 0, 128, False
        # Media messages by (message stream, kind), and who may write now.
        self.received, self.writing = collections.Counter(), threading.Lock()
        self.socket.sendall(b"\x03" + bytes(8) + os.urandom(1528))
        answer = self._exactly(1 + 2 * 1536)
        assert answer[0] == 3
        self.socket.sendall(answer[1:1537])
        self.socket.settimeout(None)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        if connect:
            values = {"app": app, "flashVer": "test", "tcUrl": f"{node.rtmp}/{app}", "objectEncoding": 0, **parameters}
            self.connected = self.call("connect", values)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            self.reads.wait()
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise ConnectionError("closed")
            data += piece
        return data

    def _read(self):
        streams = {}
        try:
            while True:
                first = self._exactly(1)[0]
                kind, number = first >> 6, first & 63
                state = streams.setdefault(number, {"data": b""})
                if kind < 3:
                    time24 = int.from_bytes(self._exactly(3), "big")
                    if kind < 2:
                        state["length"], state["type"] = int.from_bytes(self._exactly(3), "big"), self._exactly(1)[0]
                    if kind == 0:
                        state["stream"] = int.from_bytes(self._exactly(4), "little")
                    state["extended"] = time24 == 0xFFFFFF
                if state["extended"]:
                    self._exactly(4)
                state["data"] += self._exactly(min(self.chunk_size, state["length"] - len(state["data"])))
                if len(state["data"]) == state["length"]:
                    data, state["data"] = state["data"], b""
                    self._take(state["type"], data, state["stream"])
        except (ConnectionError, OSError):
            self.is_closed = True

    def _take(self, kind, data, stream):
        if kind == 1:
            self.chunk_size = int.from_bytes(data, "big")
        elif kind == 4 and data[:2] == b"\x00\x06":
            self.send(4, b"\x00\x07" + data[2:6])
        elif kind == 20:
            name, transaction, *values = decode(data)
            self.calls.append((name, transaction, values))
        elif kind in (8, 9):
            self.media.append((kind, data))
            self.received[stream, kind] += 1

    def send(self, kind, payload, stream=0, timestamp=0):
        # What three bytes can't say stands behind the head of each chunk.
        short, extended = (timestamp, b"") if timestamp < 0xFFFFFF else (0xFFFFFF, timestamp.to_bytes(4, "big"))
        head = bytes([3]) + short.to_bytes(3, "big") + len(payload).to_bytes(3, "big") + bytes([kind]) + struct.pack("<I", stream) + extended
        pieces = [payload[at:at + 128] for at in range(0, len(payload), 128)] or [b""]
        with self.writing:
            self.socket.sendall(head + (b"\xc3" + extended).join(pieces))

    def call(self, name, *values, stream=0, wait=True):
        """Calls a method and waits for its answer: ("_result" or "_error", values)."""
        self.transaction += 1
        number = self.transaction
        head = [name, number] + ([] if name == "connect" else [None])
        self.send(20, b"".join(map(encode, head + list(values))), stream)
        if not wait:
            return None
        return wait_until(lambda: next(((answer, given) for answer, transaction, given in list(self.calls)
                                        if answer in ("_result", "_error") and transaction == number), None), 10, f"an answer to {name}")

    def stream(self):
        return int(self.call("createStream")[1][1])

    def status(self, code, timeout=10):
        """Waits for an onStatus of that code; returns its description."""
        def look():
            codes = [values[1] for name, _, values in list(self.calls) if name == "onStatus"]
            return next((one for one in codes if one["code"] == code), None)
        return wait_until(look, timeout, lambda: f"{code}: {self.calls}")["description"]

    def play(self, name):
        number = self.stream()
        self.call("play", name, stream=number, wait=False)
        return number

    def publish(self, name, messages):
        """Publishes (kind, milliseconds, payload) in a loop, at its pace, for as long as the connection lives."""
        stream = self.stream()
        self.call("publish", name, "live", stream=stream, wait=False)
        self.status("NetStream.Publish.Start")
        length = messages[-1][1] + 40

        def run():
            start, turn = time.monotonic(), 0
            try:
                while not self.is_closed:
                    for kind, milliseconds, payload in messages:
                        # What describes the codecs comes once.
                        if turn and payload[1] == 0 and (kind == 9 or payload[0] >> 4 == 10):
                            continue
                        time.sleep(max(0, start + (turn * length + milliseconds) / 1000 - time.monotonic()))
                        self.send(kind, payload, stream, turn * length + milliseconds)
                    turn += 1
            except OSError:
                pass
        threading.Thread(target=run, daemon=True).start()

    # Rooms.

    def command(self, command, options, operation="op"):
        operation = f"{operation}-{self.transaction}"
        self.call("sendData", {"operationId": operation, "payload": {"command": command, "options": options}}, wait=False)
        statuses = lambda: [values[1] for name, _, values in list(self.calls) if name == "DataStatusEvent"]
        return wait_until(lambda: next((one for one in statuses() if one["operationId"] == operation), None), 10, f"the status of {command}")

    def events(self, name=None):
        """Payloads of OnDataEvent."""
        payloads = [values[1]["payload"] for call, _, values in list(self.calls) if call == "OnDataEvent"]
        return [one for one in payloads if name is None or one["name"] == name]

    def event(self, name, condition=lambda info: True, timeout=10):
        return wait_until(lambda: next((one for one in self.events(name) if condition(one["info"])), None), timeout,
                          lambda: f"{name}: {self.events()}")

    def close(self):
        self.socket.close()


# ffmpeg.

FLASH = ("testsrc2=s={size}:r={fps},drawbox=x=0:y=ih*15/16:w=iw/4:h=ih/16:color=black:t=fill,"
         "drawbox=x=0:y=ih*15/16:w=iw/4:h=ih/16:color=white:t=fill:enable='lt(mod(t,1),0.1)'")
BEEP = "aevalsrc='0.6*sin(2*PI*1000*t)*lt(mod(t,1),0.05)':s={rate}:c={layout}"


class Encoder:
    """ffmpeg that publishes flashes and beeps at a URL."""

    def __init__(self, url, log, size="640x360", fps=25, bframes=0, rate=48000, channels=2, video=True, audio=True, seconds=None, codec=None):
        command = ["ffmpeg", "-v", "error", "-nostdin"]
        if video:
            command += ["-re", "-f", "lavfi", "-i", FLASH.format(size=size, fps=fps)]
        if audio:
            command += ["-re", "-f", "lavfi", "-i", BEEP.format(rate=rate, layout="mono" if channels == 1 else "stereo")]
        if video:
            command += ["-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "high" if bframes else "main", "-bf", str(bframes), "-g", str(fps),
                        "-b:v", "800k", "-pix_fmt", "yuv420p"] + ([] if bframes else ["-tune", "zerolatency"])
        if audio:
            command += ["-c:a", codec or "aac"] + (["-b:a", "96k"] if not codec else [])
        command += (["-t", str(seconds)] if seconds else []) + ["-f", "flv", url]
        self.log_path = log
        with open(log, "wb") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    @classmethod
    def copying(cls, path, url, log):
        """Publishes a file again and again, as it is (-c copy)."""
        encoder = cls.__new__(cls)
        encoder.log_path = log
        with open(log, "wb") as file:
            encoder.process = subprocess.Popen(
                ["ffmpeg", "-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", str(path), "-c", "copy", "-f", "flv", url],
                stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        return encoder

    @property
    def output(self):
        return open(self.log_path, errors="replace").read()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def record(path, seconds=6, fps=25, bframes=0, profile="main", video=True, rate=44100, channels=2, gop=None):
    """A file of flashes and beeps, H.264 and AAC, in the container that its name says; `gop` frames between key frames, a second of them unless said."""
    command = ["ffmpeg", "-v", "error", "-nostdin"]
    if video:
        command += ["-f", "lavfi", "-i", FLASH.format(size="320x240", fps=fps)]
    command += ["-f", "lavfi", "-i", BEEP.format(rate=rate, layout="mono" if channels == 1 else "stereo")]
    if video:
        command += ["-c:v", "libx264", "-preset", "veryfast", "-profile:v", profile, "-bf", str(bframes), "-g", str(gop or fps), "-sc_threshold", "0",
                    "-b:v", "500k", "-pix_fmt", "yuv420p"]
    subprocess.run(command + ["-c:a", "aac", "-b:a", "96k", "-t", str(seconds), "-y", str(path)], check=True)
    return path


def messages(path):
    """The messages in an FLV file: (kind, milliseconds, payload)."""
    with open(path, "rb") as file:
        data = file.read()
    offset, found = 13, []
    while offset + 11 <= len(data):
        kind, size = data[offset], int.from_bytes(data[offset + 1:offset + 4], "big")
        time_ = int.from_bytes(data[offset + 4:offset + 7], "big") | data[offset + 7] << 24
        if kind in (8, 9):
            found.append((kind, time_, data[offset + 11:offset + 11 + size]))
        offset += 15 + size
    return found


def fetch(url, path, seconds, timeout=30):
    """Plays a stream into a file, as it comes. Returns the seconds until the file had content."""
    start = time.monotonic()
    process = subprocess.Popen(["ffmpeg", "-v", "warning", "-nostdin", "-i", url, "-t", str(seconds), "-c", "copy", "-y", str(path)],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"ffmpeg did not end: {process.communicate()[0]}")
    assert process.returncode == 0, output
    return time.monotonic() - start


# nginx.

class Nginx:
    """nginx with its RTMP module, which records what is published."""
    MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so"

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_tcp_port(), None
        # As of a node: `RtmpClient` plays from here as well.
        self.settings, self.rtmp = {"rtmp.port": self.port}, f"rtmp://127.0.0.1:{self.port}"
        self.records = folder / "records"
        self.records.mkdir(parents=True)
        (folder / "nginx.conf").write_text(f"""
load_module {self.MODULE};
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log info;
events {{ worker_connections 64; }}
rtmp {{ server {{ listen 127.0.0.1:{self.port}; chunk_size 4096; application live {{ live on; record all; record_path {self.records}; record_unique on; }} }} }}
""")

    @property
    def url(self):
        return f"{self.rtmp}/live"

    def start(self):
        self.process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        def is_up():
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return True
            except OSError:
                return False
        wait_until(is_up, 10, "nginx listens")
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)

    def files(self):
        return sorted(self.records.glob("*.flv"), key=lambda path: path.stat().st_mtime)
