# SPDX-License-Identifier: Apache-2.0
"""Looks into recorded files: decodes them with PyAV, finds flashes and beeps of the test pattern, asks ffprobe and ffmpeg."""
import json
import subprocess
from dataclasses import dataclass, field

import av
import numpy

from . import burnin


@dataclass
class Contents:
    """What a file holds. Times in seconds."""
    frames: list = field(default_factory=list)      # (time, burnt-in clock or None, brightness of the flash's place)
    sizes: list = field(default_factory=list)       # of the frames, without repetitions
    video_codec: str = None
    audio_codec: str = None
    sound: numpy.ndarray = None                     # mono, 48 kHz, from `sound_start` on
    sound_start: float = 0.0
    duration: float = 0.0

    @property
    def beeps(self):
        """Where beeps of the pattern begin. Of one that is not whole (50 ms) the beginning may be missing: the record began in the middle
        of it, or a packet was lost."""
        loud = numpy.flatnonzero(numpy.abs(self.sound) > 0.25)
        if not len(loud):
            return []
        starts = [loud[0]] + [after for before, after in zip(loud, loud[1:]) if after - before > 24000]
        ends = [before for before, after in zip(loud, loud[1:]) if after - before > 24000] + [loud[-1]]
        return [self.sound_start + start / 48000 for start, end in zip(starts, ends)
                if end - start > 1920 or start > 2400 and end > len(self.sound) - 2400]

    @property
    def flashes(self):
        """Frames in which a flash begins, where the frame before is not missing."""
        times = [time for time, _, _ in self.frames]
        usual = numpy.median(numpy.diff(times))
        return [after[0] for before, after in zip(self.frames, self.frames[1:])
                if before[2] <= 128 < after[2] and after[0] - before[0] < 1.5 * usual]

    def offsets(self):
        """Milliseconds by which each flash comes after its beep."""
        flashes = self.flashes
        pairs = [(min(flashes, key=lambda flash: abs(flash - beep)), beep) for beep in self.beeps if flashes]
        return [(flash - beep) * 1000 for flash, beep in pairs if abs(flash - beep) < 0.4]

    def offsets_by_clock(self, beep_times):
        """Milliseconds by which pictures come after the sound, at each beep, by the burnt-in clock: how late a busy browser has drawn
        its flash makes no difference. `beep_times`: see page.js, `beepTimes`."""
        times, clocks = zip(*[(time, clock) for time, clock, _ in self.frames if clock is not None])
        found = []
        for beep_clock in beep_times:
            after = numpy.searchsorted(clocks, beep_clock)
            if not 0 < after < len(clocks) or clocks[after] - clocks[after - 1] > 300:
                continue
            seen = numpy.interp(beep_clock, clocks[after - 1:after + 1], times[after - 1:after + 1])
            beep = min(self.beeps, key=lambda beep: abs(beep - seen))
            if abs(seen - beep) < 0.4:
                found.append((seen - beep) * 1000)
        return found

    def silence(self, start, end):
        """Whether nothing is heard between two times."""
        return float(numpy.abs(self._piece(start, end)).max(initial=0)) < 0.01

    def loudness(self, start, end):
        piece = self._piece(start, end)
        return float(numpy.sqrt((piece ** 2).mean())) if len(piece) else 0.0

    def _piece(self, start, end):
        return self.sound[max(0, int((start - self.sound_start) * 48000)):max(0, int((end - self.sound_start) * 48000))]


def look(path):
    result = Contents()
    with av.open(str(path)) as file:
        result.duration = file.duration / 1e6 if file.duration else 0.0
        video = next(iter(file.streams.video), None)
        audio = next(iter(file.streams.audio), None)
        result.video_codec = video.codec_context.name if video else None
        result.audio_codec = audio.codec_context.name if audio else None
        if video:
            for frame in file.decode(video):
                gray = frame.to_ndarray(format="gray")
                height, width = gray.shape
                result.frames.append((frame.time, burnin.read(gray), gray[height * 15 // 16 + 1:, :max(1, width // 4 - 2)].mean()))
                if not result.sizes or result.sizes[-1] != (width, height):
                    result.sizes.append((width, height))
    if audio:
        with av.open(str(path)) as file:
            resampler, pieces, start = av.AudioResampler("flt", "mono", 48000), [], None
            for frame in file.decode(audio=0):
                start = frame.time if start is None else start
                pieces += [out.to_ndarray().ravel() for out in resampler.resample(frame)]
            result.sound, result.sound_start = (numpy.concatenate(pieces) if pieces else numpy.zeros(0)), start or 0.0
    return result


def probe(path):
    """ffprobe's view; asserts that it has nothing to complain of. Tracks of a room may begin later than it looks by default (5 s)."""
    result = subprocess.run(
        ["ffprobe", "-v", "warning", "-analyzeduration", "600M", "-probesize", "100M", "-show_format", "-show_streams", "-of", "json", str(path)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and not result.stderr.strip(), result.stderr
    return json.loads(result.stdout)


def decodes(path):
    """Asserts that ffmpeg decodes the whole file without an error."""
    result = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(path), "-fps_mode", "vfr", "-f", "null", "-"], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0 and not result.stderr.strip(), result.stderr


def is_fast_start(path):
    """An MP4 whose index lies in front of its media."""
    with open(path, "rb") as file:
        while header := file.read(8):
            size, kind = int.from_bytes(header[:4]), header[4:]
            if kind in (b"moov", b"mdat", b"moof"):
                return kind == b"moov"
            size = int.from_bytes(file.read(8)) - 8 if size == 1 else size
            file.seek(size - 8, 1)
    return False
