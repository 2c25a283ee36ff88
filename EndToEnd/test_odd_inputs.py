"""What odd publishers send, watched by every kind of output at once: each must show it, at its beginning and for who joins late.
`MARTLET_TEST_TABLE=file` writes what each output saw as a table."""
import concurrent.futures
import io
import os
import re
import subprocess
import time
import uuid

import pytest
import requests
from PIL import Image

from harness import odd_inputs, records
from harness.http_stream import WhepPlayer
from harness.waiting import wait_until

OUTPUTS = ("chromium", "aiortc", "rtsp", "rtmp", "record", "snapshot", "push")

# name: (input, seconds until everything that it sends is there, what it sends)
INPUTS = {
    "empty-audio-configuration": (lambda tools: odd_inputs.empty_audio_configuration(), 1, "va"),
    "audio-configuration-changes": (lambda tools: odd_inputs.audio_configuration_changes(), 5, "va"),
    "late-video": (lambda tools: odd_inputs.late_video(), 7, "va"),
    "metadata-grows": (lambda tools: odd_inputs.metadata_grows(), 2, "va"),
    "multitrack-audio": (lambda tools: odd_inputs.multitrack_audio(), 1, "va"),
    "adts-without-configuration": (lambda tools: odd_inputs.adts_without_configuration(), 1, "va"),
    "sei-messages": (lambda tools: odd_inputs.sei_messages(), 1, "va"),
    "rtmp-clock-jumps": (lambda tools: odd_inputs.rtmp_clock_jumps(), 7, "va"),
    "resolution-changes": (lambda tools: odd_inputs.resolution_changes(), 4, "va"),
    "video-goes-and-comes": (lambda tools: odd_inputs.video_codec_goes_and_comes(), 7, "va"),
    "copied-mp4-main": (lambda tools: odd_inputs.Copied(odd_inputs.make_file(tools.folder / "main.mp4")), 1, "va"),
    "copied-mp4-bframes": (lambda tools: odd_inputs.Copied(odd_inputs.make_file(tools.folder / "b.mp4", bframes=2)), 1, "va"),
    "copied-ts": (lambda tools: odd_inputs.Copied(odd_inputs.make_file(tools.folder / "x.ts")), 1, "va"),
    "sets-only-once": (lambda tools: odd_inputs.sets_only_once(tools.background), 4, "v"),
    "open-groups": (lambda tools: odd_inputs.open_groups(tools.background), 4, "v"),
    "rtp-clock-jumps": (lambda tools: odd_inputs.rtp_clock_jumps(tools.background), 5, "v"),
}


class Tools:
    def __init__(self, folder, background):
        self.folder, self.background = folder, background


def decode(url, seconds=3):
    """(video frames, pieces of audio) that ffmpeg decodes in so many seconds."""
    transport = ["-rtsp_transport", "tcp"] if url.startswith("rtsp") else []
    run = subprocess.run(
        ["ffmpeg", "-hide_banner", "-loglevel", "info", "-nostdin", *transport, "-i", url, "-t", str(seconds), "-map", "0:v?", "-map", "0:a?", "-f", "null", "-"],
        capture_output=True, text=True, timeout=seconds + 20)
    video = re.findall(r"frame=\s*(\d+)", run.stderr)
    audio = re.findall(r"audio:(\d+)kB", run.stderr)
    return int(video[-1]) if video else 0, int(audio[-1]) if audio else 0


def snapshot(node, name):
    reply = requests.get(f"{node.http}/rest-api/stream/snapshot/{name}.png", timeout=15)
    assert reply.status_code == 200, reply.text
    image = Image.open(io.BytesIO(reply.content)).convert("RGB")
    assert len(image.getcolors(1 << 24)) > 50, "one colour"
    return "{}x{}".format(*image.size)


def watch(output, node, far, tools, name, sends):
    """What an output saw; an assertion that fails says why it saw nothing."""
    if output in ("rtsp", "rtmp"):
        video, audio = decode(f"{node.rtsp}/{name}" if output == "rtsp" else f"{node.rtmp}/live/{name}")
        assert ("v" not in sends or video > 20) and ("a" not in sends or audio > 100), f"{video} frames, {audio} kB of sound"
        return f"{video} frames, {audio} kB"
    if output == "snapshot":
        return snapshot(node, name)
    if output == "push":
        reply = node.rest("push/startup", {"streamName": name, "rtmpUrl": f"{far.rtmp}/live"})
        assert reply.status == 200, reply.reason
        try:
            far.wait_for_stream(f"rtmp_{name}")
            video, audio = decode(f"{far.rtmp}/live/rtmp_{name}")
            assert ("v" not in sends or video > 20) and ("a" not in sends or audio > 100), f"{video} frames, {audio} kB of sound"
            return f"{video} frames, {audio} kB"
        finally:
            node.rest("push/terminate", {"mediaSessionId": reply.body["mediaSessionId"]})
    player = WhepPlayer(tools.background, node, name, codec="H264")
    try:
        player.wait_for_frames(30, 10)
        if "a" in sends:
            wait_until(lambda: player.audio_energy > 0.001, 5, lambda: f"sound; {player.audio_frames} pieces")
        return f"{player.frames} frames, {player.audio_frames} pieces"
    finally:
        player.delete()
        player.close_media()


def record(node, session, name, seconds, sends):
    """Records so many seconds; the file is as long as that and shows and sounds what was sent."""
    reply = node.rest("recorder/startup", {"mediaSessionId": session, "config": {"fileTemplate": name}})
    assert reply.status == 200, reply.reason
    begun = time.monotonic()
    yield
    time.sleep(max(0, begun + seconds - time.monotonic()))
    length = time.monotonic() - begun
    assert node.rest("recorder/terminate", {"mediaSessionId": session}, timeout=60).status in (200, 404)
    files = sorted((node.folder / "state" / "records").glob(f"{name}*"))
    assert files, "no file"
    total = frames = 0
    for path in files:
        found = records.look(path)
        total, frames = total + found.duration, frames + len(found.frames)
    # Where tracks changed, the next file begins up to two seconds before the last one ends, so that nothing is missing between them.
    assert total < length + 2 * len(files), f"{total:.1f} s of {length:.1f} s"
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


def write_table(rows):
    path = os.environ.get("MARTLET_TEST_TABLE")
    if path:
        with open(path, "a") as file:
            for name, seen in rows.items():
                file.write(f"| {name} | " + " | ".join(seen.get(output, "") for output in OUTPUTS) + " |\n")


@pytest.mark.parametrize("kind", INPUTS)
def test_an_odd_input_is_seen_by_every_output(kind, a, b, background, tab, tmp_path):
    make, settles, sends = INPUTS[kind]
    name = f"odd-{uuid.uuid4().hex[:8]}"
    tools, seen, wrong = Tools(tmp_path, background), {}, {}
    source = make(tools).start(a, name)
    try:
        a.wait_for_stream(name)
        session = a.streams(name=name, published=True)[0]["mediaSessionId"]
        # One of each kind is there from the beginning, and one of each comes once everything has happened.
        recording = record(a, session, name, settles + 8, sends)
        next(recording)
        begun = time.monotonic()
        early = follow(lambda: tab(a).play(a.ws, name), settles + 8)
        time.sleep(max(0, begun + settles - time.monotonic()))
        before = early.decoded()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            futures = {output: pool.submit(watch, output, a, b, tools, name, sends) for output in OUTPUTS if output not in ("chromium", "record")}
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
    write_table({kind: {**seen, **{output: f"WRONG {text[:80]}" for output, text in wrong.items()}}})
    assert not wrong, wrong
    a.wait_for_no_stream(name)
