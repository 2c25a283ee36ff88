# SPDX-License-Identifier: Apache-2.0
"""Encoded media in memory, to be sent in any order and with any mistake: H.264 access units and AAC frames made by ffmpeg."""
import functools
import subprocess

START = b"\x00\x00\x00\x01"
SLICE, IDR, SEI, SPS, PPS, AUD = 1, 5, 6, 7, 8, 9


def kind(nal):
    return nal[0] & 31


@functools.lru_cache
def access_units(seconds=8, fps=25, gop=25, size="320x240", profile="baseline", options="", hue=0):
    """Lists of NAL units, one list a frame, in decoding order, without delimiters. Key frames bring their parameter sets."""
    run = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=s={size}:r={fps},hue=h={hue}", "-t", str(seconds), "-c:v", "libx264",
         "-preset", "ultrafast", "-profile:v", profile, "-pix_fmt", "yuv420p", "-g", str(gop), "-keyint_min", str(gop), "-sc_threshold", "0",
         "-b:v", "500k", "-x264-params", ":".join(filter(None, ["aud=1", options])), "-f", "h264", "-"], capture_output=True, timeout=60)
    assert run.returncode == 0, run.stderr
    units = []
    for piece in run.stdout.split(b"\x00\x00\x01"):
        nal = piece.rstrip(b"\x00")
        if not nal:
            continue
        if kind(nal) == AUD:
            units.append([])
        else:
            units[-1].append(nal)
    return units


@functools.lru_cache
def vp8(seconds=8, fps=25, gop=25, size="320x240"):
    """Frames of VP8."""
    run = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=s={size}:r={fps}", "-t", str(seconds), "-c:v", "libvpx", "-deadline", "realtime",
         "-cpu-used", "8", "-auto-alt-ref", "0", "-g", str(gop), "-b:v", "500k", "-f", "ivf", "-"], capture_output=True, timeout=60)
    assert run.returncode == 0, run.stderr
    data, frames = run.stdout[32:], []
    while data:
        length = int.from_bytes(data[:4], "little")
        frames.append(data[12:12 + length])
        data = data[12 + length:]
    return frames


def open_groups():
    """An IDR at the very beginning only; then an SPS, a PPS and an I frame after each 17."""
    # x264 opens groups only where there are B-frames; those nobody refers to, so they can be left out.
    made = access_units(seconds=60, gop=50, fps=50, profile="main", options="open-gop=1:bframes=2:b-adapt=0:b-pyramid=0")
    return [unit for unit in made if is_referred_to(unit)]


@functools.lru_cache
def aac(seconds=8, rate=48000, channels=2):
    """(AudioSpecificConfig, frames of 1024 samples)."""
    run = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"sine=f=440:r={rate}", "-t", str(seconds), "-ac", str(channels), "-c:a", "aac", "-b:a", "96k",
         "-f", "adts", "-"], capture_output=True, timeout=60)
    assert run.returncode == 0, run.stderr
    data, frames, config = run.stdout, [], b""
    while len(data) >= 7:
        head = int.from_bytes(data[:7], "big")
        object_type, frequency, layout, length = (head >> 38 & 3) + 1, head >> 34 & 15, head >> 30 & 7, head >> 13 & 0x1FFF
        config = (object_type << 11 | frequency << 7 | layout << 3).to_bytes(2, "big")
        frames.append(data[7:length])
        data = data[length:]
    return config, frames


def adts(config, frame):
    """A frame with its ADTS head."""
    value = int.from_bytes(config, "big")
    object_type, frequency, layout, length = value >> 11, value >> 7 & 15, value >> 3 & 15, len(frame) + 7
    head = 0xFFF1 << 40 | (object_type - 1) << 38 | frequency << 34 | layout << 30 | length << 13 | 0x7FF << 2
    return head.to_bytes(7, "big") + frame


REORDERED = "bframes=2:b-adapt=0:b-pyramid=0:open-gop=0"


def shown(number, gop=25):
    """Of units made with `REORDERED`: the place in which the frame that is decoded as `number` is shown. Groups are of 3n + 1 frames."""
    group, place = divmod(number, gop)
    return group * gop + (place and (place - 1) // 3 * 3 + (3, 1, 2)[(place - 1) % 3])


def is_referred_to(unit):
    return bool(unit[-1][0] & 0x60)


def without_vui(sps):
    """An SPS of baseline or main profile that says nothing of its use, such as how many frames are reordered."""
    bits, at = "".join(f"{byte:08b}" for byte in sps.replace(b"\0\0\3", b"\0\0")), 32

    def number():
        nonlocal at
        zeros = bits.index("1", at) - at
        at += 2 * zeros + 1
        return int(bits[at - zeros - 1:at], 2) - 1
    number(), number()
    assert number() == 0, "another way of numbering frames"
    number(), number()
    at += 1
    number(), number()
    assert bits[at] == "1", "interlaced"
    at += 2
    cropped = bits[at] == "1"
    at += 1
    for _ in range(4 if cropped else 0):
        number()
    kept = bits[:at] + "01"
    kept += "0" * (-len(kept) % 8)
    cut = bytes(int(kept[start:start + 8], 2) for start in range(0, len(kept), 8))
    assert b"\0\0" not in cut
    return cut


def is_key(unit):
    return any(kind(nal) == IDR for nal in unit)


def without(unit, *kinds):
    return [nal for nal in unit if kind(nal) not in kinds]


def sets(units):
    """SPS and PPS of the first frame."""
    return [next(nal for nal in units[0] if kind(nal) == wanted) for wanted in (SPS, PPS)]


# FLV: what RTMP carries.

def avc_configuration(sps, pps):
    record = b"\x01" + sps[1:4] + b"\xff\xe1" + len(sps).to_bytes(2, "big") + sps + b"\x01" + len(pps).to_bytes(2, "big") + pps
    return b"\x17\x00\x00\x00\x00" + record


def avc_frame(unit, is_key_frame, composition=0):
    body = b"".join(len(nal).to_bytes(4, "big") + nal for nal in unit)
    return bytes([0x17 if is_key_frame else 0x27, 1]) + composition.to_bytes(3, "big", signed=True) + body


def aac_configuration(config):
    return b"\xaf\x00" + config


def aac_frame(frame):
    return b"\xaf\x01" + frame
