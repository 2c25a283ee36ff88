# SPDX-License-Identifier: Apache-2.0
"""GStreamer's webrtcbin as a WHIP publisher or a WHEP player, for the system's Python (it has the bindings):
gstreamer_http.py publish|play URL h264|vp8. Says "connected", then {"video": frames, "audio": buffers, "size": [w, h]} whenever asked by
a line on its input; at the end of its input it deletes the session and goes."""
import json
import sys
import threading
import urllib.request

import gi

for name in ("Gst", "GstWebRTC", "GstSdp"):
    gi.require_version(name, "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

ENCODERS = {
    "vp8": "vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay pt=96",
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 bitrate=500 ! video/x-h264,profile=constrained-baseline"
            " ! rtph264pay pt=96 config-interval=-1 aggregate-mode=zero-latency",
}
PUBLISHER = ("webrtcbin name=peer bundle-policy=max-bundle"
             " videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1 ! videoconvert ! queue ! %s ! queue ! peer."
             " audiotestsrc is-live=true ! audioconvert ! audioresample ! queue ! opusenc ! rtpopuspay pt=97 ! queue ! peer.")
OFFERED = {
    "vp8": "application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000,rtcp-fb-nack-pli=true",
    "h264": "application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000,rtcp-fb-nack-pli=true,"
            "profile-level-id=(string)42e01f,packetization-mode=(string)1",
    "opus": "application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000,encoding-params=(string)2",
}


class Peer:
    def __init__(self, direction, url, codec):
        self.url, self.location, self.posted = url, None, False
        self.counts = {"video": 0, "audio": 0, "size": None}
        if direction == "publish":
            self.pipeline = Gst.parse_launch(PUBLISHER % ENCODERS[codec])
            self.webrtc = self.pipeline.get_by_name("peer")
        else:
            self.pipeline = Gst.Pipeline.new()
            self.webrtc = Gst.ElementFactory.make("webrtcbin")
            self.webrtc.set_property("bundle-policy", "max-bundle")
            self.pipeline.add(self.webrtc)
            for caps in ("opus", codec):
                self.webrtc.emit("add-transceiver", GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY, Gst.Caps.from_string(OFFERED[caps]))
            self.webrtc.connect("pad-added", self.decode)
        self.webrtc.connect("on-negotiation-needed", lambda _: threading.Thread(target=self.offer).start())
        self.webrtc.connect("notify::ice-gathering-state", lambda *_: self.post())
        self.webrtc.connect("notify::connection-state", lambda *_: self.state_changed())
        self.pipeline.set_state(Gst.State.PLAYING)

    def offer(self):
        promise = Gst.Promise.new()
        self.webrtc.emit("create-offer", None, promise)
        promise.wait()
        # The reply owns the offer; both have to stay while it is set.
        self.reply = promise.get_reply()
        self.webrtc.emit("set-local-description", self.reply.get_value("offer"), Gst.Promise.new())

    def post(self):
        done = self.webrtc.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if done and not self.posted:
            self.posted = True
            threading.Thread(target=self.exchange, args=(self.webrtc.get_property("local-description").sdp.as_text(),)).start()

    def exchange(self, offer):
        request = urllib.request.Request(self.url, data=offer.encode(), headers={"Content-Type": "application/sdp"}, method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.location = answer.headers["Location"]
            _, message = GstSdp.SDPMessage.new_from_text(answer.read().decode())
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self.webrtc.emit("set-remote-description", description, Gst.Promise.new())

    def state_changed(self):
        say(self.webrtc.get_property("connection-state").value_nick)

    def decode(self, _, pad):
        if pad.direction == Gst.PadDirection.SRC:
            decoder = Gst.ElementFactory.make("decodebin")
            decoder.connect("pad-added", self.count)
            self.pipeline.add(decoder)
            decoder.sync_state_with_parent()
            pad.link(decoder.get_static_pad("sink"))

    def count(self, _, pad):
        kind = pad.get_current_caps().get_structure(0).get_name().split("/")[0]
        sink = Gst.ElementFactory.make("fakesink")
        sink.set_property("sync", False)
        sink.set_property("signal-handoffs", True)
        sink.connect("handoff", self.took, kind)
        self.pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    def took(self, _, buffer, pad, kind):
        self.counts[kind] += 1
        if kind == "video" and self.counts["size"] is None:
            caps = pad.get_current_caps().get_structure(0)
            self.counts["size"] = [caps.get_int("width")[1], caps.get_int("height")[1]]

    def stop(self):
        if self.location:
            path = urllib.request.Request(self.url.split("/wh")[0] + self.location, method="DELETE")
            say(f"deleted {urllib.request.urlopen(path, timeout=5).status}")
        self.pipeline.set_state(Gst.State.NULL)


def say(line):
    print(line, flush=True)


Gst.init(None)
loop = GLib.MainLoop()
threading.Thread(target=loop.run, daemon=True).start()
peer = Peer(*sys.argv[1:4])
for _ in sys.stdin:
    say(json.dumps(peer.counts))
peer.stop()
