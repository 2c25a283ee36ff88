# SPDX-License-Identifier: Apache-2.0
"""A WHEP player that puts what it decodes on the sender's clock: how far flashes and beeps of the test pattern are apart, apart from what a
browser makes of it."""
import numpy
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtcpSrPacket

from .http_stream import WhepPlayer

RATES = {"audio": 48000, "video": 90000}


class SyncPlayer(WhepPlayer):
    """Timestamps are those of RTP; sender reports say what they are worth on the sender's wall clock (RFC 3550 §6.4.1)."""

    def __init__(self, background, node, name):
        self.flashes, self.beeps, self.reports, self.receivers = [], [], {}, {}
        super().__init__(background, node, name, codec="H264")

    def _prepare(self):
        super()._prepare()
        for transceiver in self.peer.getTransceivers():
            self._take_reports(transceiver.receiver, transceiver.kind)

    def _take_reports(self, receiver, kind):
        self.receivers[kind], plain = receiver, receiver._handle_rtcp_packet

        async def handle(packet):
            if isinstance(packet, RtcpSrPacket):
                self.reports[kind] = (packet.sender_info.ntp_timestamp, packet.sender_info.rtp_timestamp)
            await plain(packet)
        receiver._handle_rtcp_packet = handle

    def _timestamp(self, kind, pts):
        # aiortc counts from the first packet.
        return pts + self.receivers[kind]._RTCRtpReceiver__timestamp_mapper._origin

    def _seconds(self, kind, timestamp):
        ntp, reported = self.reports[kind]
        return ntp / 2 ** 32 + ((timestamp - reported + 2 ** 31) % 2 ** 32 - 2 ** 31) / RATES[kind]

    async def _watch(self, track):
        was_bright = None
        try:
            while True:
                frame = await track.recv()
                self.frames += 1
                gray = frame.to_ndarray(format="gray")[:frame.height, :frame.width]
                is_bright = bool(gray[frame.height * 15 // 16 + 1:, :frame.width // 4 - 2].mean() > 128)
                if is_bright and was_bright is False:
                    self.flashes.append(self._timestamp("video", frame.pts))
                was_bright = is_bright
        except MediaStreamError:
            pass

    async def _listen(self, track):
        silence = 0
        try:
            while True:
                frame = await track.recv()
                self.audio_frames += 1
                # Interleaved.
                samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0].astype(numpy.float64) / 32768
                loud = numpy.flatnonzero(numpy.abs(samples) > 0.25)
                if len(loud) and silence >= RATES["audio"] // 2:
                    self.beeps.append(self._timestamp("audio", frame.pts) + int(loud[0]))
                silence = len(samples) - int(loud[-1]) if len(loud) else silence + len(samples)
        except MediaStreamError:
            pass

    def offsets(self):
        """Milliseconds by which flashes come after their beeps. The newest frames before a join come with timestamps that are squeezed together, so
        a flash among those says nothing: the first second is left out."""
        flashes = [self._seconds("video", one) for one in list(self.flashes)]
        beeps = [self._seconds("audio", one) for one in list(self.beeps)]
        pairs = [(min(flashes, key=lambda flash: abs(flash - beep)), beep) for beep in beeps[1:] if flashes]
        return [(flash - beep) * 1000 for flash, beep in pairs if abs(flash - beep) < 0.4]
