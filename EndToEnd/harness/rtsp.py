# SPDX-License-Identifier: Apache-2.0
"""RTSP from the other side: what ffmpeg gets over RTSP, and cameras made of GStreamer's RTSP server."""
import collections
import re
import signal
import socket
import struct
import subprocess
import textwrap
import threading

from .ports import free_tcp_port

CAMERA = textwrap.dedent("""
    import sys
    import gi
    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

    port, login, *mounts = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    if login:
        scheme, name, password = login.split(":")
        auth = GstRtspServer.RTSPAuth()
        if scheme == "digest":
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        if scheme == "digest":
            auth.add_digest(name, password, token)
        else:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), token)
        server.set_auth(auth)
    for mount in mounts:
        path, pipeline = mount.split("=", 1)
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch("( " + pipeline + " )")
        factory.set_shared(True)
        if login:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role("user", "media.factory.access", True)
            permissions.add_permission_for_role("user", "media.factory.construct", True)
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory(path, factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()
""")

# A flash of the picture and a beep each second would need more than a pipeline; a picture that moves and a tone do for most.
VIDEO = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=20/1"
AUDIO = "audiotestsrc is-live=true freq=440 volume=0.3"
PIPELINES = {
    "/h264-aac": f"{VIDEO} ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=20 ! rtph264pay name=pay0 pt=96 "
                 f"{AUDIO} ! audio/x-raw,rate=44100,channels=2 ! audioconvert ! avenc_aac ! rtpmp4gpay name=pay1 pt=97",
    "/h264-alaw": f"{VIDEO} ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=20 ! rtph264pay name=pay0 pt=96 "
                  f"{AUDIO} ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1",
    "/h264-b": f"{VIDEO} ! x264enc bframes=2 b-adapt=false speed-preset=ultrafast key-int-max=20 rc-lookahead=4 sync-lookahead=0 ! video/x-h264,profile=main ! rtph264pay name=pay0 pt=96",
    "/vp8": f"{VIDEO} ! vp8enc deadline=1 keyframe-max-dist=20 ! rtpvp8pay name=pay0 pt=96",
    "/h265": f"{VIDEO} ! x265enc tune=zerolatency speed-preset=ultrafast key-int-max=20 ! h265parse ! rtph265pay name=pay0 pt=96",
    # A form of AAC in RTP that is not handled.
    "/latm": f"{AUDIO} ! audioconvert ! avenc_aac ! rtpmp4apay name=pay0 pt=96",
}


class Camera:
    """`with Camera(login="digest:user:secret") as camera`: serves `PIPELINES`, or others."""

    def __init__(self, login="", pipelines=PIPELINES):
        self.login, self.pipelines = login, pipelines
        self.port = free_tcp_port()
        self.process = None

    def start(self):
        mounts = [f"{path}={pipeline}" for path, pipeline in self.pipelines.items()]
        # The system's Python: GObject's bindings are Debian's.
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-c", CAMERA, str(self.port), self.login, *mounts], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout.readline().strip() == "ready"
        return self

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def url(self, path, login=""):
        return f"rtsp://{login}127.0.0.1:{self.port}{path}"

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()


def fetch(url, path, seconds, transport="tcp"):
    """Records what ffmpeg gets, as it is, for so many seconds of media; its complaints are returned."""
    done = subprocess.run(
        ["ffmpeg", "-hide_banner", "-loglevel", "warning", "-y", "-rtsp_transport", transport, "-i", url, "-t", str(seconds), "-c", "copy", str(path)],
        capture_output=True, text=True, timeout=seconds + 40)
    assert done.returncode == 0, done.stderr
    return done.stderr


class RtspClient:
    """Plays over TCP like any player: describes, sets all tracks up, plays. Counts RTP packets by track; `end` says why nothing (more) comes."""

    def __init__(self, node, name, timeout=10):
        self.packets, self.end, self.number, self.data = collections.Counter(), None, 0, b""
        self.socket = socket.create_connection(("127.0.0.1", node.settings["rtsp.port"]), timeout=timeout)
        self.url = f"{node.rtsp}/{name}"
        description = self._ask("DESCRIBE", self.url, "Accept: application/sdp\r\n")
        self.kinds = re.findall(r"^m=(\w+)", description, re.MULTILINE)
        controls = [piece.split("a=control:")[1].split()[0] for piece in re.split(r"^m=", description, flags=re.MULTILINE)[1:]] if not self.end else []
        for index, control in enumerate(controls):
            uri = control if "://" in control else f"{self.url}/{control}"
            self._ask("SETUP", uri, f"Transport: RTP/AVP/TCP;unicast;interleaved={2 * index}-{2 * index + 1}\r\n")
        self._ask("PLAY", self.url)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _ask(self, method, uri, headers=""):
        if self.end:
            return ""
        self.number += 1
        session = f"Session: {self.session}\r\n" if getattr(self, "session", None) else ""
        try:
            self.socket.sendall(f"{method} {uri} RTSP/1.0\r\nCSeq: {self.number}\r\n{session}{headers}\r\n".encode())
            head = self._until(b"\r\n\r\n").decode()
            fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            body = self._exactly(int(fields.get("content-length", 0))).decode()
        except OSError as error:
            self.end = f"{method}: {error}"
            return ""
        status = head.split("\r\n")[0]
        if " 200 " not in status:
            self.end = f"{method}: {status}"
        if "session" in fields:
            self.session = fields["session"].split(";")[0]
        return body

    def _more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("closed")
        self.data += piece

    def _until(self, mark):
        while mark not in self.data:
            self._more()
        head, _, self.data = self.data.partition(mark)
        return head

    def _exactly(self, count):
        while len(self.data) < count:
            self._more()
        piece, self.data = self.data[:count], self.data[count:]
        return piece

    def _read(self):
        try:
            while not self.end:
                mark, channel, length = struct.unpack(">cBH", self._exactly(4))
                self._exactly(length)
                if channel % 2 == 0:
                    self.packets[channel // 2] += 1
        except (OSError, struct.error) as error:
            self.end = self.end or f"{error}"

    def close(self):
        self.socket.close()
