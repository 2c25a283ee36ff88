# SPDX-License-Identifier: Apache-2.0
"""Cameras that do what real ones have been seen to do and what clients stumble over, as publishers of `odd_inputs` are: `start(node, name)` fetches
one, `stop()` ends it."""
import re
import struct
import time

from . import encoded
from .encoded import SPS, PPS
from .scripted_camera import FPS, PCMU, ScriptedCamera

class Pulled:
    def __init__(self, camera):
        self.camera, self.node = camera, None

    def start(self, node, name):
        self.node = node
        reply = node.rest("rtsp/startup", {"uri": self.camera.url(), "toStream": name})
        assert reply.status == 200, reply.reason
        return self

    def stop(self):
        self.node.rest("rtsp/terminate", {"uri": self.camera.url()})
        self.camera.close()


def camera(units=None, **options):
    """One that sends these units over and over, and a tone."""
    units = units or encoded.access_units()
    made = ScriptedCamera(**{"audio": PCMU, "sounds": True, **options})
    made.sets = encoded.sets(units)
    made.picture = lambda link, number: units[number % len(units)]
    return made


def rewritten(made, change):
    """Its description is what `change` makes of the usual one."""
    usual = made.description
    made.description = lambda: change(usual())
    return Pulled(made)


def overridden(answer, **options):
    """`answer(link, method, uri, headers)`: see `ScriptedCamera.override`."""
    made = camera(**options)
    made.override = answer
    return Pulled(made)


def other_sets_described():
    """The sets of its description are of another size than what it sends, whose own come with the first picture only."""
    large = encoded.access_units(size="640x360")
    made = camera(large)
    made.sets = encoded.sets(encoded.access_units())
    made.picture = lambda link, number: large[number % len(large)] if number == 0 else encoded.without(large[number % len(large)], SPS, PPS)
    return Pulled(made)


def sets_in_the_description_only():
    units = [encoded.without(unit, SPS, PPS) for unit in encoded.access_units()]
    made = camera(units=encoded.access_units())
    made.picture = lambda link, number: units[number % len(units)]
    return Pulled(made)


def sets_described_with_start_codes():
    """Only its description says them, each with a start code, and all of them in quotes."""
    made = sets_in_the_description_only().camera
    made.sets = [encoded.START + nal for nal in made.sets]
    return rewritten(made, lambda text: re.sub(r"(sprop-parameter-sets=)(\S+)", r'\1"\2"', text))


def sets_in_band_only():
    made = camera()
    made.sets = []
    return Pulled(made)


def same_numbers_again():
    """Hangs up after three seconds; the next connection has the same source, numbers and times as the first."""
    made = camera()
    made.between = lambda link, picture, packet: link.close() if link.number == 0 and picture == 75 and packet == 0 else None
    return Pulled(made)


def comes_back_with_audio():
    made = camera(audio="")
    def between(link, picture, packet):
        if link.number == 0 and picture == 75 and packet == 0:
            made.audio = PCMU
            link.close()
    made.between = between
    return Pulled(made)


def comes_back_without_audio():
    made = camera()
    def between(link, picture, packet):
        if link.number == 0 and picture == 75 and packet == 0:
            made.audio = ""
            link.close()
    made.between = between
    return Pulled(made)


def stray_bytes():
    made = camera()
    made.between = lambda link, picture, packet: link.send(b"\1\2\3\xff\xfe\0garbage\xaa\xbb") if picture % 25 == 7 and packet == 0 else None
    return Pulled(made)


def refused_signs_of_life():
    return overridden(
        lambda link, method, uri, headers: ["RTSP/1.0 401 Unauthorized", 'WWW-Authenticate: Digest realm="x", nonce="y"']
        if method == "GET_PARAMETER" else None, timeout=2)


def only_get_parameter():
    """Ends sessions that live by other requests; its timeout is written as some do."""
    made = camera(timeout=" 3s")
    made.public = "DESCRIBE, OPTIONS, PAUSE, PLAY, SETUP, TEARDOWN"

    def between(link, picture, packet):
        signs = [at for method, _, at in made.requests if method in ("GET_PARAMETER", "PLAY")]
        if time.monotonic() - signs[-1] > 3.5:
            link.close()
    made.between = between
    return Pulled(made)


def a_line_of_a_space():
    return overridden(lambda link, method, uri, headers: (
        ["RTSP/1.0 200 OK", " ", "X-Strange line without colon", "Session: 4711"] if method == "PLAY" else None))


def slashes():
    return overridden(
        lambda link, method, uri, headers: ["RTSP/1.0 404 Not Found"] if method == "SETUP" and "//" in uri.partition("://")[2] else None,
        control="/media/1/video", content_base="rtsp://127.0.0.1/")


def spaces():
    return rewritten(camera(), lambda text: text.replace("a=rtpmap:96 H264/", "a=rtpmap:96\tH264 /").replace("a=control:", "a=control: "))


def two_numbers():
    """Its m-line says another payload type than the lines behind it, which are right, and none says a clock."""
    return rewritten(camera(sent=97), lambda text: text.replace("a=rtpmap:96 H264/90000", "a=rtpmap:97 H264").replace("a=fmtp:96", "a=fmtp:97"))


def negative_port():
    made = camera()
    made.video = "m=video -1353744643 RTP/AVP"
    return Pulled(made)


def section_without_a_port():
    return Pulled(camera(audio="m=application RTP/AVP 107\r\na=control:x\r\n" + PCMU))


def loudspeaker_first():
    return Pulled(camera(audio="m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=control:back\r\na=sendonly\r\n" + PCMU + "a=recvonly\r\n"))


def other_payload_type():
    return Pulled(camera(described=96, sent=97))


def stereo_g711():
    """G.711 of two channels, which is left out."""
    return Pulled(camera(audio="m=audio 0 RTP/AVP 97\r\na=rtpmap:97 PCMU/8000/2\r\na=control:audio\r\n"))


def aac(rate, ticks, widths, header, written=lambda config: config):
    """AAC of 48 kHz, a frame a packet, as an `a=fmtp` line with these widths of the fields says that its headers are. `written` is how its
    configuration stands there."""
    config, frames = encoded.aac()
    size, index, delta = widths
    made = camera(audio=f"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/{rate}/2\r\na=fmtp:97 streamtype=5;profile-level-id=1;mode=AAC-hbr;"
                        f"sizelength={size};indexlength={index};indexdeltalength={delta};config={written(config.hex())}\r\na=control:audio\r\n")

    def sound(number):
        first, end = (-(-one * 48000 // (1024 * FPS)) for one in (number, number + 1))
        return [(0x80 | 97, at * ticks, header(len(frame)) + frame) for at in range(first, end) for frame in [frames[at % len(frames)]]]
    made.sound = sound
    return Pulled(made)


def aac_by_the_clock_described():
    """It counts by the clock of 90000 that its description names; most who write that count samples."""
    return aac(90000, 1920, (13, 3, 3), lambda length: struct.pack(">HH", 16, length << 3))


def aac_with_wide_headers():
    return aac(48000, 1024, (16, 8, 8), lambda length: struct.pack(">HHB", 24, length, 0))


def aac_with_quotes():
    return aac(48000, 1024, (13, 3, 3), lambda length: struct.pack(">HH", 16, length << 3), lambda config: f'"{config}"')


def aac_without_a_configuration():
    return aac(48000, 1024, (13, 3, 3), lambda length: struct.pack(">HH", 16, length << 3), lambda config: "")


def sliced(marks, tick=0):
    """Pictures of several slices in several packets, whose markers are as `marks(payload, last)` says."""
    made = camera(encoded.access_units(size="640x360", options="slices=3"))
    made.marks, made.tick, made.largest = marks, tick, 600
    return Pulled(made)


def no_markers():
    return sliced(lambda payload, last: False)


def marker_on_each_slice():
    return sliced(lambda payload, last: payload[0] & 31 in (1, 5) or payload[0] & 31 == 28 and payload[1] & 0x40)


def ticks_apart():
    return sliced(lambda payload, last: last, tick=1)


def standing_clock():
    """After three seconds its pictures have one timestamp; after ten more its clock runs again, from there."""
    made = camera()
    made.shown = lambda number: number if number < 75 else 75 if number < 325 else number - 250
    return Pulled(made)


def begins_with_the_past(seconds):
    made = camera()
    made.past = seconds
    return Pulled(made)


def clock_set_back():
    """By 400 ms, again and again."""
    made = camera()
    made.shown = lambda number: number - number // (3 * FPS) * (2 * FPS // 5)
    return Pulled(made)


def payload_type_changes():
    """From the one that its description says to another, after three seconds."""
    made = camera()
    def between(link, picture, packet):
        made.payload_type = 96 if picture < 75 else 98
    made.between = between
    return Pulled(made)


def large_packets(largest):
    """As long as a channel of the connection allows, or just too long for a player's path."""
    made = camera(encoded.access_units(size="640x360"))
    made.largest = largest
    return Pulled(made)


def audio_that_never_comes():
    return Pulled(camera(sounds=False))


def rare_key_frames():
    return Pulled(camera(encoded.access_units(seconds=20, gop=250)))


def open_groups():
    return Pulled(camera(encoded.open_groups()))


def b_frames():
    made = camera(encoded.access_units(profile="main", options=encoded.REORDERED))
    made.shown = encoded.shown
    return Pulled(made)


def unsaid_b_frames():
    """Its sets say nothing of frames that are shown in another order."""
    units = [[encoded.without_vui(nal) if encoded.kind(nal) == SPS else nal for nal in unit]
             for unit in encoded.access_units(profile="main", options=encoded.REORDERED)]
    made = camera(units)
    made.shown = encoded.shown
    return Pulled(made)


def refuses_tcp():
    return overridden(lambda link, method, uri, headers: (
        ["RTSP/1.0 461 Unsupported Transport"] if method == "SETUP" and "TCP" in headers["transport"] else None))
