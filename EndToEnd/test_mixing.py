# SPDX-License-Identifier: Apache-2.0
"""Records of rooms mixed into one picture: by the hook when the room ends, and by hand with `martlet mix`."""
import http.server
import json
import os
import pty
import secrets
import subprocess
import threading

import av
import numpy
import pytest

from harness import burnin, records
from harness.paths import MARTLET, OUT, REPOSITORY
from harness.waiting import wait_until
from test_pages import visit  # noqa: F401 (a fixture)
from test_recording import files, folder, run_for
from test_rooms import Person

TOOL = REPOSITORY / "tools" / "offline_mixer_tool.sh"
# A room that people come to and leave in four stretches of this many seconds; by hand: 15.
STRETCH = float(os.environ.get("MARTLET_TEST_STRETCH", 2.5))
TONES = {"Алиса": 440, "Bob {b}%": 880, "張偉": 1760}


@pytest.fixture
def room():
    return "room-" + secrets.token_hex(3)


def places(count, width=1280, height=720, aspect=4 / 3):
    """Where the pictures of `count` people are in the grid: (x, y, width, height)."""
    columns = max(range(1, count + 1), key=lambda columns: min(width / columns, height / -(-count // columns) * aspect))
    rows = -(-count // columns)
    found = []
    for index in range(count):
        row, column = divmod(index, columns)
        in_row = count - row * columns if row == rows - 1 else columns
        cell = width // columns, height // rows
        left, top = (width - in_row * cell[0]) // 2 + column * cell[0], (height - rows * cell[1]) // 2 + row * cell[1]
        scale = min((cell[0] - 4) / aspect, cell[1] - 4)
        shown = scale * aspect, scale
        found.append((round(left + (cell[0] - shown[0]) / 2), round(top + (cell[1] - shown[1]) / 2), round(shown[0]), round(shown[1])))
    return found


def pictures(gray):
    """The clocks of the pictures in a frame of the result; as many as there are."""
    for count in (3, 2, 1):
        clocks = [burnin.read(numpy.ascontiguousarray(gray[y:y + height, x:x + width])) for x, y, width, height in places(count)]
        if all(clock is not None for clock in clocks):
            return clocks
    return []


def strength(sound, hertz, start, end, rate=48000):
    piece = sound[int(start * rate):int(end * rate)]
    wave = numpy.exp(-2j * numpy.pi * hertz * numpy.arange(len(piece)) / rate)
    return 2 * abs((piece * wave).mean())


def decoded(path):
    """[(time, gray frame)], mono sound."""
    frames, sound = [], []
    with av.open(str(path)) as file:
        resampler = av.AudioResampler("flt", "mono", 48000)
        for frame in file.decode():
            if isinstance(frame, av.VideoFrame):
                frames.append((frame.time, frame.to_ndarray(format="gray")))
            else:
                sound += [out.to_ndarray().ravel() for out in resampler.resample(frame)]
    return frames, numpy.concatenate(sound) if sound else numpy.zeros(0)


def test_a_recorded_room_is_mixed_when_it_ends(make_node, tab, visit, room):
    node = make_node("mixing")
    people = []
    for login in TONES:
        people.append(Person(tab(node), node, login))
    alice, bob, zhang = people
    assert alice.join(room, False, True).startswith("STATE")
    look = lambda login: {"width": 320, "height": 240, "fps": 15, "tone": TONES[login]}
    assert alice.publish(room, {}, 0.3, look(alice.login))[0] == "PUBLISHING"
    run_for(STRETCH)
    bob.join(room, False)
    assert bob.publish(room, {}, 0.3, look(bob.login))[0] == "PUBLISHING"
    run_for(STRETCH)
    zhang.join(room, False)
    assert zhang.publish(room, {}, 0.3, look(zhang.login))[0] == "PUBLISHING"
    run_for(STRETCH)
    alice.leave(room)
    run_for(STRETCH)
    bob.leave(room)
    zhang.leave(room)
    source, path = folder(node) / f"multi-recorder___{room}.mkv", folder(node) / f"multi-recorder___{room}-mixed.mp4"
    wait_until(source.exists, 30, "the room's record")
    wait_until(path.exists, 60 + 8 * STRETCH, lambda: f"the mixed file; {files(node)} {node.log_tail()[-2000:]}")
    records.probe(path)
    records.decodes(path)
    assert records.is_fast_start(path)

    # When each came and went, as the record says.
    spans = {}
    with av.open(str(source)) as file:
        starts = {stream.index: (stream.metadata["LOGIN"], stream.type) for stream in file.streams}
        for packet in file.demux():
            if packet.pts is not None:
                login, _ = starts[packet.stream_index]
                time = float(packet.pts * packet.time_base)
                spans[login] = (min(spans.get(login, (time, 0))[0], time), max(spans.get(login, (0, 0))[1], time))
    assert list(sorted(spans, key=lambda login: spans[login])) == list(TONES)

    # As many pictures as there are people, each with the same clock, and no picture is missing for long where somebody comes.
    frames, sound = decoded(path)
    wrong, seen, apart = [], set(), []
    for time, gray in frames:
        present = [login for login, (start, end) in spans.items() if start + 0.7 <= time <= end - 0.3]
        near = [login for login, (start, end) in spans.items() if start - 0.1 <= time <= end + 0.3]
        if present != near:
            continue
        clocks = pictures(gray)
        seen.add(len(clocks))
        if len(clocks) != len(present):
            wrong.append((round(time, 2), len(clocks), len(present)))
        elif len(clocks) > 1:
            apart.append(max(clocks) - min(clocks))
    print({"frames": len(frames), "wrong": len(wrong), "clocks_apart_median_ms": float(numpy.median(apart)), "p95": float(numpy.percentile(apart, 95)), "spans": spans})
    # A frame in which a clock changes under the decoder may be unreadable.
    assert len(wrong) <= len(frames) * 0.03, wrong
    assert seen >= {1, 2, 3}
    # 15 frames a second, drawn when each browser got to it.
    assert numpy.median(apart) <= 100, apart
    # Voices where they belong, and nowhere else.
    for login, (start, end) in spans.items():
        inside = strength(sound, TONES[login], start + 0.5, end - 0.5)
        # FFmpeg's mono is 3 dB louder than either of two equal channels: 0.42.
        assert 0.25 < inside < 0.5, (login, inside)
        if start > 1:
            assert strength(sound, TONES[login], 0, start - 0.3) < 0.02, login
        if end < frames[-1][0] - 1:
            assert strength(sound, TONES[login], end + 0.3, frames[-1][0]) < 0.02, login
    OUT.joinpath("mixing").mkdir(parents=True, exist_ok=True)
    for share, number in ((0.12, 1), (0.37, 2), (0.62, 3), (0.87, 4)):
        moment = frames[-1][0] * share
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-ss", str(moment), "-i", str(path), "-frames:v", "1", str(OUT / "mixing" / f"{number}.png")], check=True)

    # The records page has it, with those who are in it, and it plays.
    entry = next(entry for entry in node.rest("record/find_all").body if entry["fileName"] == path.name)
    assert entry["participants"] == list(TONES) and entry["mixedFrom"] == source.name and entry["room"] == room
    page = visit(node.http + "/records.html")
    row = page.locator("#records li", has_text=path.name)
    row.locator("button.play").click()
    page.wait_for_function("document.getElementById('video').currentTime > 0.3", timeout=10000)
    row.locator("img").wait_for(state="visible", timeout=10000)


# By hand.

def mix(*arguments, **options):
    return subprocess.run([str(MARTLET), "mix", *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A small room's record, made by ffmpeg: two people, the second from 1 s on, whose names try things."""
    path = tmp_path_factory.mktemp("record") / "room.mkv"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc=s=320x240:r=15:d=3,format=yuv420p", "-f", "lavfi", "-i", "sine=f=440:d=3:r=48000",
         "-itsoffset", "1", "-f", "lavfi", "-i", "testsrc2=s=240x320:r=15:d=2,format=yuv420p", "-map", "0", "-map", "1", "-map", "2",
         "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-c:a", "libopus"]
        + [option for index, login in enumerate(["%{pts} 'a':x=0;{\\b1}", "%{pts} 'a':x=0;{\\b1}", "../../x\nDialogue:"])
           for option in (f"-metadata:s:{index}", f"LOGIN={login}", f"-metadata:s:{index}", f"STREAM=s{index // 2}")]
        + [str(path)], check=True, timeout=60)
    return path


@pytest.fixture
def copy(record, tmp_path):
    path = tmp_path / "room.mkv"
    path.write_bytes(record.read_bytes())
    return path


def test_the_result_lies_beside_the_record_and_nothing_is_written_over(copy):
    for name in ("room-mixed.mp4", "room-mixed_2.mp4"):
        result = mix(copy, cwd=copy.parent)
        assert result.returncode == 0 and result.stderr == "", result
        assert str(copy.parent / name) in result.stdout and "2 people" in result.stdout
        records.probe(copy.parent / name)
    assert sorted(path.name for path in copy.parent.iterdir()) == ["room-mixed.mp4", "room-mixed_2.mp4", "room.mkv"]


def test_settings_decide_about_size_rate_and_tracks(copy, tmp_path):
    config = tmp_path / "x.json"
    config.write_text('{"hasAudio": "false", "mixerVideoWidth": 400, "mixerVideoHeight": "300", "mixerVideoFps": 10, "mixerLayout": "centre"}')
    result = mix(copy, "--config", config, "--output", tmp_path / "out.mp4")
    assert result.returncode == 0, result
    streams = records.probe(tmp_path / "out.mp4")["streams"]
    assert [(stream["codec_name"], stream["width"], stream["height"], stream["r_frame_rate"]) for stream in streams] == [("h264", 400, 300, "10/1")]


@pytest.mark.parametrize("content", [None, b"", b"nothing but text " * 500, "header"], ids=["missing", "empty", "text", "header only"])
def test_a_record_that_is_none_is_code_64(copy, tmp_path, content):
    path = tmp_path / "bad.mkv"
    if content is not None:
        path.write_bytes(copy.read_bytes()[:400] if content == "header" else content)
    result = mix(path)
    assert result.returncode == 64 and "bad.mkv" in result.stderr and "Traceback" not in result.stderr, result
    assert not list(tmp_path.glob("bad-mixed*")) and not list(tmp_path.glob(".mixing*"))


def test_a_record_that_is_cut_off_is_mixed_up_to_there(copy):
    data = copy.read_bytes()
    copy.write_bytes(data[:len(data) * 2 // 3])
    result = mix(copy)
    assert result.returncode == 0, result
    records.decodes(copy.parent / "room-mixed.mp4")


@pytest.mark.parametrize("text, words", [(None, "can't be read"), ("{", "JSON"), ('{"mixerVideoFps": "many"}', "mixerVideoFps"), ('{"unknown": 1}', "unknown")])
def test_settings_that_are_wrong_are_code_65(copy, tmp_path, text, words):
    config = tmp_path / "mixer.json"
    if text is not None:
        config.write_text(text)
    result = mix(copy, "--config", config)
    assert result.returncode == 65 and words in result.stderr, result


def test_a_folder_that_takes_no_file_is_code_73(copy):
    assert mix(copy, "--output", "/proc/x.mp4").returncode == 73


def test_the_vendors_tool_mixes_by_the_file_beside_it_and_says_what_is_missing(copy, tmp_path):
    environment = {**os.environ, "MARTLET": str(MARTLET)}
    result = subprocess.run([str(TOOL), str(copy), "1700000000000", "3000", "multi-recorder://x"], capture_output=True, text=True, env=environment, timeout=60)
    assert result.returncode == 0 and (copy.parent / "room-mixed.mp4").exists(), result
    assert subprocess.run([str(TOOL), str(tmp_path / "none.mkv")], capture_output=True, env=environment, timeout=60).returncode == 64
    # The hook mixes what has not been mixed: the server may run it again.
    hook = [str(TOOL.with_name("on_multiple_record_hook.sh")), str(copy), "1700000000000", "3000", "multi-recorder://x"]
    assert subprocess.run(hook, env=environment, timeout=60).returncode == 0 and not (copy.parent / "room-mixed_2.mp4").exists()
    os.utime(copy.parent / "room-mixed.mp4", (1, 1))
    assert subprocess.run(hook, env=environment, timeout=60).returncode == 0 and (copy.parent / "room-mixed_2.mp4").exists()
    # Somewhere else, without its settings.
    lonely = tmp_path / "tools" / TOOL.name
    lonely.parent.mkdir()
    lonely.write_text(TOOL.read_text())
    lonely.chmod(0o755)
    result = subprocess.run([str(lonely), str(copy)], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60)
    assert result.returncode == 65 and "offline_mixer.json" in result.stderr


@pytest.fixture
def backend():
    """An HTTP server that answers as it is told and keeps what it was sent."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.server.bodies.append((self.headers["Content-Type"], json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
            self.end_headers()

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.bodies, server.answers = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_backend_is_told_and_asked_again_when_it_fails(copy, tmp_path, backend):
    config = tmp_path / "mixer.json"
    config.write_text(json.dumps({"callbackUrl": f"http://127.0.0.1:{backend.server_port}/mixed"}))
    backend.answers = [503]
    result = mix(copy, "1700000000000", "3000", "multi-recorder://x", "--config", config)
    assert result.returncode == 0 and result.stderr == "", result
    assert len(backend.bodies) == 2
    kind, body = backend.bodies[1]
    assert kind == "application/json"
    assert abs(body.pop("duration") - 3000) < 100 and len(body.pop("participants")) == 2
    assert body == {
        "fileName": "room-mixed.mp4", "file": str(copy.parent / "room-mixed.mp4"), "recordName": "room.mkv", "uri": "multi-recorder://x",
        "createDate": 1700000000000, "recordDuration": 3000}
    # One that is never there costs the result nothing.
    config.write_text('{"callbackUrl": "http://127.0.0.1:1/x"}')
    result = mix(copy, "--config", config)
    assert result.returncode == 0 and "callbackUrl" in result.stderr and (copy.parent / "room-mixed_2.mp4").exists()


def test_a_terminal_sees_how_far_it_is(copy):
    primary, secondary = pty.openpty()
    process = subprocess.Popen([str(MARTLET), "mix", str(copy)], stdout=subprocess.PIPE, stderr=secondary)
    os.close(secondary)
    said = b""
    try:
        while chunk := os.read(primary, 4096):
            said += chunk
    except OSError:
        pass  # the other end is closed
    assert process.wait(60) == 0 and b"mixing 100 %" in said, said
    process.stdout.close()
    os.close(primary)


def test_pictures_in_decoding_order_are_shown_at_their_times(tmp_path):
    """Each picture is a little brighter than the one before; three B-frames between two others."""
    record, result = tmp_path / "record.mkv", tmp_path / "mixed.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=c=black:s=320x240:r=25,format=gray,geq=lum='20+N*2',format=yuv420p", "-f", "lavfi",
         "-i", "sine=f=440:r=48000", "-t", "4", "-c:v", "libx264", "-bf", "3", "-g", "50", "-x264-params", "b-adapt=0:b-pyramid=2", "-c:a", "libopus",
         str(record)], check=True)
    assert mix(record, "--output", result).returncode == 0
    with av.open(str(result)) as file:
        seen = [(frame.time, numpy.median(frame.to_ndarray(format="gray")[frame.height // 2 - 20:frame.height // 2 + 20])) for frame in file.decode(video=0)]
    # The sound begins a little earlier than the first picture.
    late = [25 * time - (brightness - 20) / 2 for time, brightness in seen[1:]]
    assert len(seen) > 100 and max(map(abs, late)) < 2.5 and numpy.median(late) < 1.5, late
