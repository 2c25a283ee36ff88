# SPDX-License-Identifier: Apache-2.0
"""What odd publishers send, watched by every kind of output at once: each must show it, at its beginning and for who joins late.
`MARTLET_TEST_TABLE=file` writes what each output saw as a table."""
import concurrent.futures
import io
import re
import subprocess
import time
import uuid
from typing import NamedTuple

import pytest
import requests
from PIL import Image

from harness import odd_cameras, odd_inputs, records
from harness.http_stream import WhepPlayer
from harness.table import write_row
from harness.waiting import wait_until

OUTPUTS = ("chromium", "aiortc", "rtsp", "rtmp", "record", "snapshot", "push")


class Input(NamedTuple):
    """What is sent and what is to be seen of it."""
    make: object
    # Seconds until everything that it does has happened.
    settles: float = 1
    sends: str = "va"
    # Of its frames at last.
    size: str = "320x240"
    # How much of it ffmpeg plays: where it begins with what has been, audio that is converted comes with what is.
    seconds: int = 3


def copied(name, **options):
    return Input(lambda tools: odd_inputs.Copied(odd_inputs.make_file(tools.folder / name, **options)))


def whip(make, settles):
    return Input(lambda tools: make(tools.background), settles)


INPUTS = {
    "empty-audio-configuration": Input(lambda tools: odd_inputs.empty_audio_configuration()),
    "audio-configuration-changes": Input(lambda tools: odd_inputs.audio_configuration_changes(), 5),
    "late-video": Input(lambda tools: odd_inputs.late_video(), 7),
    "metadata-grows": Input(lambda tools: odd_inputs.metadata_grows(), 2),
    "metadata-without-codecs": Input(lambda tools: odd_inputs.metadata_without_codecs()),
    "multitrack-audio": Input(lambda tools: odd_inputs.multitrack_audio()),
    "multitrack-video": Input(lambda tools: odd_inputs.multitrack_video()),
    "adts-without-configuration": Input(lambda tools: odd_inputs.adts_without_configuration()),
    "aac-without-configuration": Input(lambda tools: odd_inputs.aac_without_configuration(), 2),
    "aac-program-config": Input(lambda tools: odd_inputs.surround(odd_inputs.make_surround_file(tools.folder / "surround.flv"))),
    "audio-that-never-comes": Input(lambda tools: odd_inputs.audio_that_never_comes(), sends="v"),
    "sei-messages": Input(lambda tools: odd_inputs.sei_messages()),
    "start-codes": Input(lambda tools: odd_inputs.start_codes()),
    "flagged-inter": Input(lambda tools: odd_inputs.flagged_inter()),
    "shown-later": Input(lambda tools: odd_inputs.shown_later(80)),
    "shown-earlier": Input(lambda tools: odd_inputs.shown_later(-80)),
    "b-frames-later": Input(lambda tools: odd_inputs.b_frames_later(), 6),
    "in-one-go": Input(lambda tools: odd_inputs.in_one_go()),
    "on-stream-zero": Input(lambda tools: odd_inputs.on_stream_zero()),
    "damaged-commands": Input(lambda tools: odd_inputs.damaged_commands()),
    "odd-control": Input(lambda tools: odd_inputs.odd_control()),
    "comes-again": Input(lambda tools: odd_inputs.comes_again()),
    "rtmp-clock-jumps": Input(lambda tools: odd_inputs.rtmp_clock_jumps(), 7),
    "rtmp-clock-set-back": Input(lambda tools: odd_inputs.rtmp_clock_set_back(), 4),
    "rtmp-clock-backwards": Input(lambda tools: odd_inputs.rtmp_clock_backwards(), 6),
    "long-audio-frames": Input(lambda tools: odd_inputs.long_audio_frames()),
    "stereo-g711": Input(lambda tools: odd_inputs.stereo_g711()),
    "video-without-configuration": Input(lambda tools: odd_inputs.video_without_configuration(), 6),
    "resolution-changes": Input(lambda tools: odd_inputs.resolution_changes(), 4, size="640x360"),
    "video-goes-and-comes": Input(lambda tools: odd_inputs.video_codec_goes_and_comes(), 7),
    "copied-mp4-main": copied("main.mp4"),
    "copied-mp4-high": copied("high.mp4", profile="high"),
    "copied-mp4-444": copied("444.mp4", profile="high444", pixels="yuv444p"),
    "copied-mp4-bframes": copied("b.mp4", bframes=2),
    "copied-ts": copied("x.ts"),
    "sets-only-once": whip(odd_inputs.sets_only_once, 4),
    "open-groups": whip(odd_inputs.open_groups, 4),
    "rtp-clock-jumps": whip(odd_inputs.rtp_clock_jumps, 5),
    "both-clocks-jump": whip(odd_inputs.both_clocks_jump, 5),
    "layers-unasked": whip(odd_inputs.layers_unasked, 1),
    "camera-other-sets-described": Input(lambda tools: odd_cameras.other_sets_described(), 3, size="640x360"),
    "camera-sets-described-only": Input(lambda tools: odd_cameras.sets_in_the_description_only()),
    "camera-sets-start-codes": Input(lambda tools: odd_cameras.sets_described_with_start_codes()),
    "camera-sets-in-band-only": Input(lambda tools: odd_cameras.sets_in_band_only()),
    "camera-same-numbers": Input(lambda tools: odd_cameras.same_numbers_again(), 5),
    "camera-back-with-audio": Input(lambda tools: odd_cameras.comes_back_with_audio(), 6),
    "camera-back-without-audio": Input(lambda tools: odd_cameras.comes_back_without_audio(), 6, sends="v"),
    "camera-stray-bytes": Input(lambda tools: odd_cameras.stray_bytes()),
    "camera-refuses-keepalive": Input(lambda tools: odd_cameras.refused_signs_of_life(), 2),
    "camera-only-get-parameter": Input(lambda tools: odd_cameras.only_get_parameter(), 5),
    "camera-line-of-a-space": Input(lambda tools: odd_cameras.a_line_of_a_space()),
    "camera-slashes": Input(lambda tools: odd_cameras.slashes()),
    "camera-spaces": Input(lambda tools: odd_cameras.spaces()),
    "camera-two-numbers": Input(lambda tools: odd_cameras.two_numbers()),
    "camera-negative-port": Input(lambda tools: odd_cameras.negative_port()),
    "camera-section-without-port": Input(lambda tools: odd_cameras.section_without_a_port()),
    "camera-loudspeaker-first": Input(lambda tools: odd_cameras.loudspeaker_first()),
    "camera-other-payload-type": Input(lambda tools: odd_cameras.other_payload_type()),
    "camera-begins-with-the-past": Input(lambda tools: odd_cameras.begins_with_the_past(1.5)),
    "camera-clock-set-back": Input(lambda tools: odd_cameras.clock_set_back(), 4),
    "camera-payload-type-changes": Input(lambda tools: odd_cameras.payload_type_changes(), 6),
    "camera-aac-clock-described": Input(lambda tools: odd_cameras.aac_by_the_clock_described(), 2),
    "camera-aac-wide-headers": Input(lambda tools: odd_cameras.aac_with_wide_headers(), 2),
    "camera-aac-quoted": Input(lambda tools: odd_cameras.aac_with_quotes(), 2),
    "camera-aac-no-configuration": Input(lambda tools: odd_cameras.aac_without_a_configuration(), sends="v"),
    "camera-stereo-g711": Input(lambda tools: odd_cameras.stereo_g711(), sends="v"),
    "camera-no-markers": Input(lambda tools: odd_cameras.no_markers(), size="640x360"),
    "camera-marks-slices": Input(lambda tools: odd_cameras.marker_on_each_slice(), size="640x360"),
    "camera-ticks-apart": Input(lambda tools: odd_cameras.ticks_apart(), size="640x360"),
    "camera-standing-clock": Input(lambda tools: odd_cameras.standing_clock(), 5),
    "camera-jumbo": Input(lambda tools: odd_cameras.large_packets(65_000), size="640x360"),
    "camera-jumbo-fragments": Input(lambda tools: odd_cameras.large_packets(6_000), size="640x360"),
    "camera-above-a-path": Input(lambda tools: odd_cameras.large_packets(1_500), size="640x360"),
    "camera-audio-never-comes": Input(lambda tools: odd_cameras.audio_that_never_comes(), sends="v"),
    "camera-rare-key-frames": Input(lambda tools: odd_cameras.rare_key_frames(), 2, seconds=8),
    "camera-open-groups": Input(lambda tools: odd_cameras.open_groups(), 4),
    "camera-b-frames": Input(lambda tools: odd_cameras.b_frames()),
    "camera-b-frames-unsaid": Input(lambda tools: odd_cameras.unsaid_b_frames(), 2),
    "camera-refuses-tcp": Input(lambda tools: odd_cameras.refuses_tcp()),
}


class Tools:
    def __init__(self, folder, background):
        self.folder, self.background = folder, background


# What ffmpeg says of frames that lack something.
ERRORS = re.compile(r"error while decoding|concealing|non-existing|missing reference|no frame!|decode_slice_header error|Invalid data")


def decode(url, sends, seconds):
    """What ffmpeg decodes in so many seconds: frames as they come, and audio as kB of 48 kHz stereo."""
    options = ["-rtsp_transport", "tcp"] if url.startswith("rtsp") else []
    # For audio that is announced it would wait for up to 90 s.
    options += [] if "a" in sends else ["-analyzeduration", "3M"]
    tracks = [word for kind in sends for word in ("-map", f"0:{kind}")]
    run = subprocess.run(
        ["ffmpeg", "-hide_banner", "-loglevel", "info", "-nostdin", *options, "-i", url, "-t", str(seconds), *tracks, "-fps_mode", "passthrough",
         "-ar", "48000", "-ac", "2", "-f", "null", "-"], capture_output=True, text=True, timeout=seconds + 20)
    video = int((re.findall(r"frame=\s*(\d+)", run.stderr) or ["0"])[-1])
    audio = int((re.findall(r"audio:(\d+)kB", run.stderr) or ["0"])[-1])
    errors = len(ERRORS.findall(run.stderr))
    seen = f"{video} frames, {audio} kB" + (f", {errors} errors" if errors else "")
    # More would be several of one.
    assert ("v" not in sends or 20 < video < seconds * 50) and ("a" not in sends or audio > 100) and not errors, f"{seen} of audio; {run.stderr[-600:]}"
    return seen


def snapshot(node, name, size):
    reply = requests.get(f"{node.http}/rest-api/stream/snapshot/{name}.png", timeout=15)
    assert reply.status_code == 200, reply.text
    image = Image.open(io.BytesIO(reply.content)).convert("RGB")
    assert len(image.getcolors(1 << 24)) > 50, "one colour"
    assert "{}x{}".format(*image.size) == size, image.size
    return size


def watch(output, node, far, tools, name, kind):
    """What an output saw; an assertion that fails says why it saw nothing."""
    if output in ("rtsp", "rtmp"):
        return decode(f"{node.rtsp}/{name}" if output == "rtsp" else f"{node.rtmp}/live/{name}", kind.sends, kind.seconds)
    if output == "snapshot":
        return snapshot(node, name, kind.size)
    if output == "push":
        reply = node.rest("push/startup", {"streamName": name, "rtmpUrl": f"{far.rtmp}/live"})
        assert reply.status == 200, reply.reason
        try:
            far.wait_for_stream(f"rtmp_{name}")
            return decode(f"{far.rtmp}/live/rtmp_{name}", kind.sends, kind.seconds)
        finally:
            node.rest("push/terminate", {"mediaSessionId": reply.body["mediaSessionId"]})
    player = WhepPlayer(tools.background, node, name, codec="H264")
    try:
        player.wait_for_frames(30, 10)
        if "a" in kind.sends:
            wait_until(lambda: player.audio_energy > 0.001, 5, lambda: f"sound; {player.audio_frames} pieces")
        return f"{player.frames} frames, {player.audio_frames} pieces"
    finally:
        player.delete()
        player.close_media()


def record(node, session, name, seconds):
    """Records so many seconds; the file is as long as that and shows and sounds what was sent."""
    reply = node.rest("recorder/startup", {"mediaSessionId": session, "config": {"fileTemplate": name}})
    assert reply.status == 200, reply.reason
    begun = time.monotonic()
    yield
    time.sleep(max(0, begun + seconds - time.monotonic()))
    length = time.monotonic() - begun
    assert node.rest("recorder/terminate", {"mediaSessionId": session}, timeout=60).status in (200, 404)
    # It ended at some time during the request.
    longest = time.monotonic() - begun
    files = sorted((node.folder / "state" / "records").glob(f"{name}*"))
    assert files, "no file"
    total = frames = 0
    for path in files:
        found = records.look(path)
        records.decodes(path)
        total, frames = total + found.duration, frames + len(found.frames)
    # Where tracks changed, the next file begins up to two seconds before the last one ends, so that nothing is missing between them.
    assert total < longest + 2 * len(files), f"{total:.1f} s of {longest:.1f} s"
    assert total > length - 4, f"{total:.1f} s of {length:.1f} s"
    assert frames > 20, f"{frames} frames"
    yield f"{total:.1f} of {length:.1f} s, {frames} frames, {len(files)} files"


def follow(play, timeout):
    """A player that shows frames. One that began with sound alone is told when video comes, and plays again as the SDK's pages do."""
    player = [play()]

    def has_frames():
        if any(one["status"] in ("FAILED", "STOPPED") for one in player[0].statuses()):
            player[0] = play()
        return player[0].decoded()
    wait_until(has_frames, timeout, lambda: f"frames; {player[0].statuses()}", pause=0.05)
    return player[0]


@pytest.mark.parametrize("which", INPUTS)
def test_an_odd_input_is_seen_by_every_output(which, a, b, background, tab, tmp_path):
    kind = INPUTS[which]
    settles, sends = kind.settles, kind.sends
    name = f"odd-{uuid.uuid4().hex[:8]}"
    tools, seen, wrong = Tools(tmp_path, background), {}, {}
    source = kind.make(tools).start(a, name)
    try:
        a.wait_for_stream(name)
        session = a.streams(name=name, published=True)[0]["mediaSessionId"]
        # One of each kind is there from the beginning, and one of each comes once everything has happened.
        recording = record(a, session, name, settles + 8)
        next(recording)
        begun = time.monotonic()
        early = follow(lambda: tab(a).play(a.ws, name), settles + 8)
        time.sleep(max(0, begun + settles - time.monotonic()))
        before = early.decoded()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            futures = {output: pool.submit(watch, output, a, b, tools, name, kind) for output in OUTPUTS if output not in ("chromium", "record")}
            late = tab(a).play(a.ws, name)
            try:
                late.wait_for_frames(30, 12)
                early.wait_for_frames(before + 30, 12)
                if "a" in sends:
                    wait_until(lambda: late.audio_energy() > 0.001 and early.audio_energy() > 0.001, 8,
                               lambda: f"sound: early {early.audio_energy()}, late {late.audio_energy()}")
                seen["chromium"] = f"early {early.decoded()}, late {late.decoded()} frames"
            except AssertionError as error:
                wrong["chromium"] = str(error)
            for output, future in futures.items():
                try:
                    seen[output] = future.result()
                except Exception as error:
                    wrong[output] = f"{type(error).__name__}: {error}"
        try:
            seen["record"] = next(recording)
        except AssertionError as error:
            wrong["record"] = str(error)
    finally:
        source.stop()
    write_row(which, *(f"WRONG {wrong[output][:80]}" if output in wrong else seen.get(output, "") for output in OUTPUTS))
    assert not wrong, wrong
    a.wait_for_no_stream(name)
