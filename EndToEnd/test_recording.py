# SPDX-License-Identifier: Apache-2.0
"""Recordings of single streams: what is in the files, their names, what happens when something dies or the disk is full."""
import contextlib
import os
import pathlib
import signal
import stat
import subprocess
import time

import numpy
import pytest
import requests
from playwright.sync_api import expect

from harness import odd_inputs, records
from harness.chromium import ONLY
from harness.detour import Detour
from harness.paths import MARTLET, OUT
from harness.waiting import wait_until
from harness.wcs import offer
from test_pages import visit  # noqa: F401 (a fixture)
from test_tools import publishing


# How long the streams of the in-step tests last; by hand: 60.
SECONDS = int(os.environ.get("MARTLET_TEST_SECONDS", 6))
LOSS = "delay=20,loss=3"


def folder(node):
    return pathlib.Path(node.settings["state_dir"]) / "records"


def only_record(node, timeout=20):
    """Of a node that has made one."""
    return wait_until(lambda: node.rest("record/find_all").status == 200 and node.rest("record/find_all").body[0], timeout, "a record", pause=0.1)


def files(node):
    return sorted(path for path in folder(node).iterdir() if path.is_file())


def unfinished(node):
    spool = folder(node) / ".recording"
    return sorted(path for path in spool.iterdir() if path.suffix in (".mp4", ".webm", ".mkv")) if spool.exists() else []


def wait_for_media(node, more_than=30_000, timeout=15):
    """Waits until an unfinished file has something in it."""
    wait_until(lambda: any(path.stat().st_size > more_than for path in unfinished(node)), timeout, lambda: f"a growing file in {unfinished(node)}")


def session_of(node, name):
    return next(record["mediaSessionId"] for record in node.streams(name=name, published=True))


@contextlib.contextmanager
def recorded_at_once(*publishes):
    """Recorded runs of `martlet publish`, each `(node, name, *options)` or `(node, name, *options, {"url": …})`. Gives a list that holds the
    records' paths once the block is left."""
    processes, result = [], []
    try:
        for node, name, *options in publishes:
            url = options.pop()["url"] if options and isinstance(options[-1], dict) else node.ws
            processes.append(subprocess.Popen(
                [str(MARTLET), "publish", url, name, "--record", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        for node, name, *_ in publishes:
            node.wait_for_stream(name, timeout=20)
        yield result
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process, (node, *_) in zip(processes, publishes):
            output, _ = process.communicate(timeout=60)
            named = [line.removeprefix("RECORD ") for line in output.splitlines() if line.startswith("RECORD ")]
            assert named, output
            result.append(folder(node) / named[0])
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.communicate()


def recorded(node, name, *options):
    """The same with one."""
    return recorded_at_once((node, name, *options))


def run_for(seconds):
    """Media needs its time; nothing is waited for by this."""
    time.sleep(seconds)


def in_step(contents, spread=40):
    offsets = contents.offsets()
    assert len(offsets) >= 3, (contents.beeps, contents.flashes)
    assert numpy.percentile(numpy.abs(offsets), 95) <= spread, offsets


# What is in a file.

PAIRS = [("h264", ".mp4", "aac"), ("vp8", ".webm", "opus"), ("vp9", ".webm", "opus"), ("av1", ".webm", "opus")]
# By hand all of them; each has its turn without loss in any case.
LOSSY_PAIRS = PAIRS if "MARTLET_TEST_SECONDS" in os.environ else PAIRS[:2]
# The test machines' two cores encode, decode and record at once.
PATTERN = {"width": 320, "height": 240, "fps": 20, "flash": True}


def is_whole(path, codec, ending, audio, least, most, share=0.8):
    """Asserts what every record of picture and sound has to be; gives its contents. `least`, `most`: seconds that the stream lasted."""
    assert path.suffix == ending
    streams = {stream["codec_type"]: stream["codec_name"] for stream in records.probe(path)["streams"]}
    assert streams == {"video": codec, "audio": audio}
    records.decodes(path)
    contents = records.look(path)
    print({
        "codec": codec, "seconds": round(contents.duration, 2), "frames": len(contents.frames), "pairs": len(contents.offsets()),
        "offset_median_ms": round(float(numpy.median(contents.offsets())), 1),
        "offset_p95_ms": round(float(numpy.percentile(numpy.abs(contents.offsets()), 95)), 1)})
    assert least - 0.2 <= contents.duration <= most + 0.2
    # No frame is missing but what a busy machine has not drawn, or what was lost for good.
    span = contents.frames[-1][0] - contents.frames[0][0]
    assert len(contents.frames) >= span * PATTERN["fps"] * share, (len(contents.frames), span)
    # The last pictures may be lost, or a busy browser has not drawn them: the one before is shown up to the end of the sound.
    assert abs(contents.frames[-1][0] + 1 / PATTERN["fps"] - contents.duration) < 0.4
    assert abs(len(contents.sound) / 48000 + contents.sound_start - contents.duration) < 0.15
    if ending == ".mp4":
        assert records.is_fast_start(path)
    return contents


def plays_and_seeks(page, path, duration):
    """Asserts that Chromium plays a record from the server, and goes to any place in it."""
    seen = page.evaluate("""async ([url, places]) => {
      const video = document.createElement("video");
      document.body.append(video);
      video.muted = true;
      video.src = url;
      await video.play();
      const seen = [];
      for (const place of places) {
        const done = new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
        video.currentTime = place;
        await done;
        seen.push([place, video.currentTime, video.videoWidth]);
      }
      const before = video.currentTime;
      await video.play();
      await new Promise((resolve) => video.addEventListener("timeupdate", resolve, { once: true }));
      return { seen, duration: video.duration, moved: video.currentTime >= before, error: video.error?.message ?? null };
    }""", [f"/client/records/{path.name}", [duration * 0.7, 0.5, duration * 0.4]])
    assert seen["error"] is None and seen["moved"] and abs(seen["duration"] - duration) < 0.2, seen
    assert all(abs(at - place) < 0.2 and width > 0 for place, at, width in seen["seen"]), seen


def publish_pairs(name, places):
    """Records `(node, url, pair)` at once; gives their contents with paths."""
    before = time.monotonic()
    with recorded_at_once(*[
            (node, f"{name}-{index}", "--video", codec, "--size", "320x240", "--fps", "20", {"url": url})
            for index, (node, url, (codec, _, _)) in enumerate(places)]) as paths:
        start = time.monotonic()
        wait_until(lambda: sum(path.stat().st_size > 20_000 for path in unfinished(places[0][0])) >= len(places), 20, "growing files")
        run_for(SECONDS)
        least = time.monotonic() - start
    most = time.monotonic() - before
    for path, (_, _, (codec, ending, audio)) in zip(paths, places):
        contents = is_whole(path, codec, ending, audio, least, most)
        in_step(contents)
        assert contents.sizes == [(320, 240)]
        yield path, contents


@pytest.mark.parametrize("pairs", [PAIRS[:2], PAIRS[2:]], ids=["h264 and vp8", "vp9 and av1"])
def test_sound_and_picture_are_in_step_in_every_pair_of_codecs(a, visit, name, pairs):
    for path, contents in publish_pairs(name, [(a, a.ws, pair) for pair in pairs]):
        plays_and_seeks(visit(a.http + "/records.html"), path, contents.duration)


def test_loss_on_the_way_to_the_server_leaves_sound_and_picture_in_step(a, relay, name):
    detour = Detour(a, relay(a, both=LOSS))
    try:
        assert len(list(publish_pairs(name, [(a, detour.url, pair) for pair in LOSSY_PAIRS]))) >= 2
    finally:
        detour.close()


def test_sound_alone_is_mp4_with_aac_and_pictures_alone_are_recorded(a, name):
    with recorded_at_once((a, name + "-s", "--no-video"), (a, name + "-p", "--no-audio", "--size", "320x240", "--fps", "20")) as paths:
        run_for(5)
    sound, pictures = paths
    assert sound.suffix == ".mp4"
    assert [stream["codec_name"] for stream in records.probe(sound)["streams"]] == ["aac"]
    contents = records.look(sound)
    assert len(contents.beeps) >= 3
    assert all(abs(interval - 1) < 0.01 for interval in numpy.diff(contents.beeps)), contents.beeps
    assert [stream["codec_name"] for stream in records.probe(pictures)["streams"]] == ["h264"]
    assert len(records.look(pictures).frames) >= 40


def test_other_containers_can_be_chosen(make_node, name):
    matroska, webm = make_node("mkv", record_formats="h264-mkv,vp8-mkv"), make_node("webm", record_formats="h264-webm")
    wanted = [(matroska, "h264", ".mkv"), (matroska, "vp8", ".mkv"), (webm, "h264", ".webm")]
    with recorded_at_once(*[
            (node, f"{name}-{index}", "--video", codec, "--size", "320x240", "--fps", "20") for index, (node, codec, _) in enumerate(wanted)]) as paths:
        run_for(5)
    for path, (_, codec, ending) in zip(paths, wanted):
        assert path.suffix == ending
        assert {stream["codec_name"] for stream in records.probe(path)["streams"]} == {codec, "opus"}
        records.decodes(path)
        in_step(records.look(path))


def chromium_records(node, name, pages, seconds):
    """Publishes the pattern, recorded, from a tab each: `pages` is a list of `(tab, codec)`. Gives for each the record's path, how long it
    was on air at least and at most, and when its beeps left the page."""
    published, began = [], []
    for index, (page, codec) in enumerate(pages):
        began.append(time.monotonic())
        published.append(page.publish(node.ws, f"{name}-{index}", record=True, pattern=PATTERN, stripCodecs=ONLY[codec.upper()]))
    start = time.monotonic()
    run_for(seconds)
    least = time.monotonic() - start
    beeps = []
    for (page, _), one in zip(pages, published):
        beeps.append(page.run("beepTimes", one.key))
        one.act("stop")
    found = []
    for (page, _), one, before, times in zip(pages, published, began, beeps):
        most = time.monotonic() - before
        one.ended(timeout=30)
        path = folder(node) / page.page.evaluate("(key) => lab.streams.get(key).stream.getRecordInfo()", one.key)
        found.append((path, least, most, times))
    return found


def in_browsers_step(contents, beeps):
    offsets = contents.offsets_by_clock(beeps)
    assert len(offsets) >= SECONDS - 2, (contents.beeps, beeps)
    print({"by_clock_median_ms": round(float(numpy.median(offsets)), 1), "p95_ms": round(float(numpy.percentile(numpy.abs(offsets), 95)), 1)})
    assert numpy.percentile(numpy.abs(offsets), 95) <= 40, offsets


def browsers_are_in_step(node, name, pages, pairs):
    # The first second has no beep, and the browser takes its time to begin.
    for (path, least, most, beeps), (codec, ending, audio) in zip(chromium_records(node, name, pages, SECONDS + 2), pairs):
        in_browsers_step(is_whole(path, codec, ending, audio, least, most), beeps)


@pytest.mark.parametrize("pairs", [PAIRS[:2], PAIRS[2:]], ids=["h264 and vp8", "vp9 and av1"])
def test_chromium_is_recorded_in_step(a, tab, name, pairs):
    browsers_are_in_step(a, name, [(tab(a), codec) for codec, _, _ in pairs], pairs)


@pytest.mark.parametrize("pairs", [LOSSY_PAIRS[start:start + 2] for start in range(0, len(LOSSY_PAIRS), 2)], ids=lambda pairs: f"{pairs[0][0]} and {pairs[1][0]}")
def test_chromium_is_recorded_in_step_in_spite_of_loss(a, tab, relay, name, pairs):
    through = relay(a, both=LOSS)
    browsers_are_in_step(a, name, [(tab(a, through=through), codec) for codec, _, _ in pairs], pairs)


# Muting and silence.

KEEP_PEERS = """() => {
  lab.peers = [];
  const Original = RTCPeerConnection;
  window.RTCPeerConnection = class extends Original {
    constructor(...values) {
      super(...values);
      lab.peers.push(this);
    }
  };
}"""


def test_a_muted_microphone_leaves_silence_not_a_hole(a, tab, name):
    page = tab(a)
    page.page.evaluate(KEEP_PEERS)
    published = page.publish(a.ws, name, record=True, pattern={"width": 320, "height": 240, "fps": 20, "flash": True}, stripCodecs=ONLY["H264"])
    run_for(3)
    senders = """async (key) => {
      const peer = lab.peers.at(-1);
      const sender = peer.getSenders().find((one) => one.track?.kind === "audio");
      window.muted = [sender, sender.track];
      await sender.replaceTrack(null);
    }"""
    page.page.evaluate(senders, published.key)
    run_for(3.5)
    page.page.evaluate("async () => { await muted[0].replaceTrack(muted[1]); }")
    run_for(4)
    published.act("stop")
    published.ended(timeout=30)
    path = folder(a) / page.page.evaluate("(key) => lab.streams.get(key).stream.getRecordInfo()", published.key)
    contents = records.look(path)
    records.decodes(path)
    gap = max(numpy.diff(contents.beeps))
    assert 3 <= gap <= 6.5, contents.beeps
    assert abs(len(contents.sound) / 48000 - contents.duration) < 0.15
    # And in step afterwards as before.
    offsets = numpy.array(contents.offsets())
    assert numpy.percentile(numpy.abs(offsets - numpy.median(offsets)), 90) <= 40, offsets


# On demand.

def test_a_stream_is_recorded_on_demand_by_new_and_older_methods(a, name):
    with publishing(a, name, "--size", "320x240", "--fps", "20"):
        session = session_of(a, name)
        assert a.rest("recorder/terminate", {"mediaSessionId": session}).status == 404
        assert a.rest("recorder/startup", {"mediaSessionId": session, "config": {"fileTemplate": "{streamName}-{startTime}-{endTime}"}}).status == 200
        active = a.rest("recorder/find_all").body
        mine = next(entry for entry in active if entry["mediaSessionId"] == session)
        assert mine["fileName"].startswith(name) and "{endTime}" in mine["fileName"]
        wait_for_media(a)
        run_for(3)
        assert a.rest("recorder/terminate", {"mediaSessionId": session}, timeout=60).status == 200
        # The stream goes on.
        assert a.has_stream(name)
        found = [entry for entry in a.rest("record/find_all").body if entry["streamName"] == name]
        assert len(found) == 1 and found[0]["fileName"].startswith(name + "-2") and "{" not in found[0]["fileName"], found
        path = folder(a) / found[0]["fileName"]
        contents = records.look(path)
        in_step(contents)
        assert abs(contents.duration * 1000 - found[0]["duration"]) < 60
        thumbnail = requests.get(f"{a.http}/rest-api/record/thumbnail/{found[0]['fileName']}", timeout=5)
        assert thumbnail.status_code == 200 and thumbnail.content[:2] == b"\xff\xd8"
        # The older methods do the same, and a second start begins a second file.
        assert a.rest("stream/startRecording", {"mediaSessionId": session}).status == 200
        run_for(2)
        assert a.rest("stream/startRecording", {"mediaSessionId": session, "config": {"fileTemplate": "second-{streamName}"}}).status == 200
        run_for(2)
        assert a.rest("stream/stopRecording", {"mediaSessionId": session}, timeout=60).status == 200
        wait_until(lambda: len([path for path in files(a) if session in path.name or name in path.name]) == 3, 15, lambda: f"three files: {files(a)}")


@pytest.mark.parametrize("body, word", [
    ({}, "mediaSessionId"), ({"mediaSessionId": "x", "config": {"fileTemplate": "{nothing}"}}, "fileTemplate"),
    ({"mediaSessionId": "x", "config": {"rotation": "often"}}, "rotation")])
def test_malformed_requests_are_named(a, body, word):
    reply = a.rest("recorder/startup", body)
    assert reply.status == 400 and word in reply.reason, reply


def test_unknown_sessions_are_404(a):
    for method in ("recorder/startup", "recorder/terminate", "stream/startRecording", "stream/stopRecording"):
        assert a.rest(method, {"mediaSessionId": "nobody"}).status == 404


# Names.

def test_names_that_only_look_alike_are_two_streams_and_two_rooms(make_node):
    node = make_node("alike")
    # One letter, and a letter with a combining accent: the same to Unicode, not to a browser.
    composed, combined = "caf\u00e9", "cafe\u0301"
    with publishing(node, composed), publishing(node, combined):
        for name in (composed, combined):
            assert [record["name"] for record in node.streams(name=name, published=True)] == [name]
        for name in (composed, combined):
            assert node.rest("multipleRecorder/startup", {"uri": f"multi-recorder://{name}"}).status == 200
        groups = node.rest("multipleRecorder/find_all").body
        assert sorted(group["uri"] for group in groups) == sorted(f"multi-recorder://{name}" for name in (composed, combined))
        for name in (composed, combined):
            assert node.rest("multipleRecorder/terminate", {"uri": f"multi-recorder://{name}"}).status == 200
    node.stop()


def test_no_name_leads_out_of_the_folder(make_node):
    node = make_node("names", stream_record_policy_template="../{streamName}/../x")
    names = ["../../etc/passwd", "a/b\\c", "x" * 900, "Имя потока", ".hidden"]
    with recorded_at_once(*[(node, stream_name, "--no-video") for stream_name in names]) as paths:
        run_for(2)
    assert [path.parent for path in files(node)] == [folder(node)] * len(names)
    for path in paths:
        assert path.exists() and not path.name.startswith(".") and len(path.name.encode()) <= 255


def test_names_of_four_kilobytes(make_node, client, name):
    node = make_node("long", stream_record_policy_template="{login}-{streamName}")
    refused = client(node.ws)
    assert refused.status(refused.publish("x" * 4096, offer()))["status"] == "FAILED"
    with recorded(node, name, "--no-video"):
        session = session_of(node, name)
        reply = node.rest("recorder/startup", {"mediaSessionId": session, "config": {"fileTemplate": "f" * 4096}})
        assert reply.status == 400 and "fileTemplate" in reply.reason, reply
        run_for(2)
    assert len(files(node)) == 1 and files(node)[0].parent == folder(node)


def test_a_name_that_is_taken_gets_a_number(make_node):
    node = make_node("taken", stream_record_policy_template="same")
    with recorded_at_once((node, "one", "--no-video"), (node, "two", "--no-video")):
        run_for(2)
    assert [path.name for path in files(node)] == ["same.mp4", "same_2.mp4"]


def test_files_are_rotated_by_time(make_node, name):
    node = make_node("rotation", record_rotation="3s")
    with recorded(node, name, "--size", "320x240", "--fps", "20", "--key-interval", "1"):
        run_for(10)
    wait_until(lambda: len(files(node)) >= 3 and not unfinished(node), 15, lambda: f"three files: {files(node)}")
    lengths = []
    for path in files(node):
        records.decodes(path)
        contents = records.look(path)
        assert all(abs(offset) <= 40 for offset in contents.offsets()), contents.offsets()
        lengths.append(contents.duration)
    assert sum(lengths) >= 8 and sorted(lengths)[-2] <= 6, lengths


def test_frames_that_take_long_to_decode_are_recorded(make_node, large_file, name):
    node = make_node("large", record_flash_published_streams=True)
    source = odd_inputs.Copied(large_file).start(node, name)
    try:
        wait_for_media(node, more_than=1_000_000)
        run_for(2)
    finally:
        source.stop()
    entry = only_record(node)
    assert (entry["streamName"], entry["videoCodec"], entry["width"], entry["height"]) == (name, "h264", 8192, 8192), entry
    found = records.probe(folder(node) / entry["fileName"])
    assert 2 < float(found["format"]["duration"]) < 10 and abs(float(found["format"]["duration"]) * 1000 - entry["duration"]) < 100, (found, entry)
    assert requests.get(f"{node.http}/rest-api/record/thumbnail/{entry['fileName']}", timeout=10).content[:2] == b"\xff\xd8"


def test_a_record_is_complete_soon_though_no_frame_of_it_makes_a_thumbnail(make_node, large_file, name):
    """There are 150 key frames, each of which takes a good part of a second to decode: that all are tried would take more than a minute."""
    node = make_node("halves", record_flash_published_streams=True)
    source = odd_inputs.halved(large_file).start(node, name)
    try:
        wait_for_media(node, more_than=1_000_000)
        run_for(3)
    finally:
        source.stop()
    node.wait_for_no_stream(name)
    entry = only_record(node)
    assert (entry["width"], entry["height"]) == (8192, 8192) and entry["duration"] > 2000, entry
    assert requests.get(f"{node.http}/rest-api/record/thumbnail/{entry['fileName']}", timeout=10).status_code == 404


# Hooks.

def script(tmp_path, text):
    path = tmp_path / "hook.sh"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_hook_is_told_stream_and_file_and_its_words_are_logged(make_node, tmp_path, name):
    node = make_node("hook", on_record_hook_script=script(tmp_path, f'echo "done with $1"; echo "$1|$2" > {tmp_path}/said\n'))
    with recorded(node, name, "--no-video") as result:
        run_for(2)
    wait_until((tmp_path / "said").exists, 10, "the hook's file")
    wait_until(lambda: (tmp_path / "said").read_text() == f"{name}|{result[0]}\n", 5, lambda: (tmp_path / "said").read_text())
    wait_until(lambda: f"done with {name}" in node.log(), 5, "the hook's words in the log")


def test_a_hook_that_goes_wrong_harms_nothing(make_node, tmp_path, name):
    wanted = [("fails", "exit 3\n", "exit code 3"), ("hangs", "sleep 600\n", "its time was over"), ("missing", None, "not started")]
    nodes = []
    for kind, text, _ in wanted:
        (tmp_path / kind).mkdir()
        path = script(tmp_path / kind, text) if text else tmp_path / kind / "nothing.sh"
        nodes.append(make_node(f"badhook-{kind}", on_record_hook_script=path, record_hook_timeout=1000))
    with recorded_at_once(*[(node, name, "--no-video") for node in nodes]) as paths:
        run_for(2)
    for node, path, (_, _, words) in zip(nodes, paths, wanted):
        records.decodes(path)
        wait_until(lambda: words in node.log(), 10, f"{words} in the log")


# Crashes.

def workers(node):
    pids = []
    for task in pathlib.Path(f"/proc/{node.process.pid}/task").iterdir():
        pids += [int(pid) for pid in (task / "children").read_text().split()]
    return pids


def test_after_a_killed_server_files_are_repaired_at_the_next_start(make_node, name):
    node = make_node("crash")
    with publishing(node, name + "-h264", "--size", "320x240", "--fps", "20"), publishing(node, name + "-vp8", "--size", "320x240", "--fps", "20", "--video", "vp8"):
        for codec in ("h264", "vp8"):
            assert node.rest("recorder/startup", {"mediaSessionId": session_of(node, f"{name}-{codec}")}).status == 200
        wait_until(lambda: sum(path.stat().st_size > 30_000 for path in unfinished(node)) == 2, 15, lambda: f"growing files in {unfinished(node)}")
        start = time.monotonic()
        run_for(5)
        length = time.monotonic() - start
        node.kill()
    assert len(unfinished(node)) == 2 and not files(node)
    node.start()
    wait_until(lambda: len(files(node)) == 2 and not unfinished(node), 20, lambda: f"repaired files; {unfinished(node)}")
    for path in files(node):
        records.probe(path)
        records.decodes(path)
        contents = records.look(path)
        in_step(contents)
        assert contents.duration >= length - 2, (contents.duration, length)


def test_after_a_killed_worker_the_recording_goes_on_in_a_new_file(make_node, name):
    node = make_node("workercrash")
    with recorded(node, name, "--size", "320x240", "--fps", "20"):
        wait_for_media(node)
        run_for(3)
        first = {path.name for path in unfinished(node)}
        killed = time.monotonic()
        for pid in workers(node):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: {path.name for path in unfinished(node)} - first, 5, "another file", pause=0.02)
        again = time.monotonic() - killed
        assert node.has_stream(name)
        run_for(4)
    wait_until(lambda: len(files(node)) == 2 and not unfinished(node), 20, lambda: f"two files: {files(node)}")
    for path in files(node):
        records.decodes(path)
        in_step(records.look(path), spread=40)
    assert again < 1.5, again


def test_a_worker_that_stands_still_is_ended_and_the_recording_goes_on(make_node, name):
    node = make_node("still")
    with publishing(node, name, "--size", "320x240", "--fps", "20"):
        assert node.rest("recorder/startup", {"mediaSessionId": session_of(node, name)}).status == 200
        wait_for_media(node)
        run_for(3)
        first = {path.name for path in unfinished(node)}
        stopped = time.monotonic()
        for pid in workers(node):
            os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: {path.name for path in unfinished(node)} - first, 30, "another file", pause=0.02)
        again = time.monotonic() - stopped
        assert node.has_stream(name)
        run_for(4)
        # The next one stands still when it is to end its file: that is waited for no longer than that.
        for pid in workers(node):
            os.kill(pid, signal.SIGSTOP)
        asked = time.monotonic()
        assert node.rest("recorder/terminate", {"mediaSessionId": session_of(node, name)}, timeout=60).status == 200
        answered = time.monotonic() - asked
    wait_until(lambda: len(files(node)) == 2 and not unfinished(node), 30, lambda: f"two files: {files(node)}")
    for path in files(node):
        records.decodes(path)
    assert again < 10 and answered < 15, (again, answered)


# The disk.

@pytest.fixture
def small_disk(tmp_path):
    """`small_disk("3m")`: the path of a tmpfs of that size, of which 600 kB are taken."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    disks = []

    def make(size):
        disk = tmp_path / f"disk-{len(disks)}"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], capture_output=True).returncode:
            pytest.skip("this machine lets nobody mount")
        disks.append(disk)
        (disk / "taken").write_bytes(bytes(600_000))
        return disk
    yield make
    for disk in disks:
        subprocess.run(["umount", "-l", str(disk)])


def test_a_full_disk_ends_the_recording_and_nothing_else(small_disk, make_node, name):
    # With a floor, and to the last byte.
    nodes = [make_node(f"disk-{size}", record_folder=small_disk(size) / "records", record_min_free_space=floor) for size, floor in (("3m", 2), ("1m", 0))]
    with contextlib.ExitStack() as stack:
        for node in nodes:
            stack.enter_context(publishing(node, name, "--size", "1280x720", "--fps", "20", "--bitrate", "500", "--noise", "--key-interval", "1"))
            assert node.rest("recorder/startup", {"mediaSessionId": session_of(node, name)}).status == 200
        for node in nodes:
            wait_until(lambda: "the disk is full" in node.log(), 40, "the end of the recording")
        run_for(2)
        for node in nodes:
            assert node.has_stream(name)
            assert node.statistics()["record_stats"]["record_disk_full"] == 1
            # What has ended is none any more.
            wait_until(lambda: node.rest("recorder/find_all").status == 404, 20, "the recording to be gone")
            assert node.rest("recorder/terminate", {"mediaSessionId": session_of(node, name)}, timeout=60).status == 404
            assert only_record(node)["duration"] > 1000
    for node in nodes:
        found = [path for path in node.settings["record_folder"].iterdir() if path.is_file()]
        assert found, list((node.settings["record_folder"] / ".recording").iterdir())
        contents = records.look(found[0])
        assert contents.duration > 1 or contents.frames[-1][0] > 1
        node.stop()


def test_publishers_of_one_address_are_recorded_up_to_its_quota(make_node, client, aiortc, name):
    node = make_node("quota", record_quota_per_address=1)
    with recorded_at_once((node, name, "--size", "640x360", "--fps", "20", "--bitrate", "4000", "--noise")) as made:
        wait_until(lambda: "has recorded as much as it may" in node.log(), 30, "the end of the recording")
        wait_until(lambda: node.rest("recorder/find_all").status == 404, 20, "the recording to be gone")
        assert node.has_stream(name), "the stream goes on"
        # What it has had stays used up.
        session = client(node.ws)
        second = aiortc.publish(node, name + "-2", session=session, fields={"record": True})
        wait_until(lambda: "record_quota_per_address" in node.log().split("the stream is not recorded")[-1] if "the stream is not recorded" in node.log() else False,
                   15, "the second stream is not recorded, and why is said")
        assert node.has_stream(name + "-2")
        assert node.statistics()["record_stats"]["record_over_quota"] == 2
        # Whom the operator records by REST is no matter of quotas.
        assert node.rest("recorder/startup", {"mediaSessionId": session_of(node, name + "-2")}).status == 200
        second.stop()
    assert made and records.look(made[0]).frames
    assert 500_000 < made[0].stat().st_size < 4_000_000


def test_the_page_says_that_the_disk_is_full_and_goes_on(small_disk, make_node, visit):
    node = make_node("full", record_folder=small_disk("2m") / "records", record_min_free_space=1)
    page = visit(node.http + "/stream_recording.html")
    page.locator("#publishBtn").click()
    expect(page.locator("#infoText")).to_contain_text("The server's disk is full", timeout=40000)
    expect(page.locator("#status")).to_have_text("PUBLISHING")
    page.locator("#publishBtn").click()
    expect(page.locator("#status")).to_have_text("UNPUBLISHED", timeout=30000)
    expect(page.locator("#infoText")).to_contain_text("ended early")
    # What there is of it is offered, and plays.
    page.wait_for_function("document.getElementById('recVideo').duration > 0.5", timeout=10000)
    node.stop()


# Serving and pages.

def test_the_recording_pages_record_play_and_offer_the_file(a, visit):
    pages = [visit(a.http + path) for path in ("/stream_recording.html", "/client2/examples/demo/streaming/stream_recording/recording.html")]
    for page in pages:
        page.locator("#publishBtn").click()
    for page in pages:
        expect(page.locator("#status")).to_have_text("PUBLISHING", timeout=15000)
    run_for(4)
    for page in pages:
        page.locator("#publishBtn").click()
    for page in pages:
        expect(page.locator("#status")).to_have_text("UNPUBLISHED", timeout=30000)
        page.wait_for_function("document.getElementById('recVideo').duration > 2", timeout=10000)
        name = page.locator("#link").get_attribute("download")
        assert (folder(a) / name).exists()
        # It plays, and can be sought in.
        seen = page.evaluate("""async () => {
          const video = document.getElementById("recVideo");
          video.muted = true;
          await video.play();
          video.currentTime = 1.5;
          await new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
          return [video.currentTime, video.videoWidth, video.duration];
        }""")
        assert seen[0] >= 1.4 and seen[1] > 0, seen
    OUT.joinpath("pages").mkdir(parents=True, exist_ok=True)
    pages[0].screenshot(path=str(OUT / "pages" / "stream_recording.png"))


def test_records_are_served_with_ranges_listed_and_played_by_their_page(a, visit, name):
    with recorded(a, name, "--size", "320x240", "--fps", "20") as result:
        run_for(4)
    url = f"{a.http}/client/records/{result[0].name}"
    whole = requests.get(url, timeout=5)
    assert whole.status_code == 200 and whole.headers["content-type"] == "video/mp4" and whole.content == result[0].read_bytes()
    part = requests.get(url, headers={"Range": "bytes=100-199"}, timeout=5)
    assert part.status_code == 206 and part.content == whole.content[100:200]
    for path in ("..%2fcertificates", ".about", "%2e%2e/x", "nothing.mp4"):
        assert requests.get(f"{a.http}/client/records/{path}", timeout=5).status_code in (400, 404)
    page = visit(a.http + "/records.html")
    row = page.locator("#records li", has_text=result[0].name)
    expect(row).to_be_visible(timeout=10000)
    expect(row.locator("img")).to_be_visible(timeout=10000)
    expect(row.locator(".facts")).to_contain_text("h264 + aac")
    row.locator("button.play").click()
    page.wait_for_function("document.getElementById('video').currentTime > 0.5", timeout=10000)
    page.screenshot(path=str(OUT / "pages" / "records.png"))
