# SPDX-License-Identifier: Apache-2.0
"""Rooms that are recorded: files that begin together, and one file for everybody."""
import secrets
import subprocess

import av
import numpy
import pytest
from playwright.sync_api import expect

from harness import burnin, records
from harness.chromium import ONLY
from harness.waiting import wait_until
from test_pages import visit  # noqa: F401 (a fixture)
from test_recording import files, folder, run_for, session_of, unfinished
from test_rooms import Person
from test_tools import publishing


@pytest.fixture
def room():
    return "room-" + secrets.token_hex(3)


def clocks(path, stream, crop=None):
    """[(time, burnt-in clock)] of one video track."""
    found = []
    with av.open(str(path)) as file:
        for frame in file.decode(file.streams.video[stream]):
            gray = frame.to_ndarray(format="gray")
            clock = burnin.read(gray if crop is None else numpy.ascontiguousarray(crop(gray)))
            if clock is not None:
                found.append((frame.time, clock))
    return found


def origin(readings):
    """The clock (ms) at the file's beginning, as the median frame says it."""
    return float(numpy.median([clock - time * 1000 for time, clock in readings]))


def test_rest_puts_streams_into_one_file_each_in_its_place(make_node, tmp_path, name):
    script = tmp_path / "hook.sh"
    script.write_text(f'#!/bin/sh\necho "$1|$2|$3|$4" > {tmp_path}/said\n')
    script.chmod(0o755)
    node = make_node("multi", on_multiple_record_hook_script=script)
    uri = f"multi-recorder://{name}"
    assert node.rest("multipleRecorder/startup", {"uri": uri}).status == 200
    assert node.rest("multipleRecorder/startup", {"uri": uri}).status == 409
    with publishing(node, "one", "--size", "320x240", "--fps", "20"):
        first = session_of(node, "one")
        assert node.rest("multipleRecorder/add", {"uri": uri, "mediaSessionId": first}).status == 200
        assert node.rest("multipleRecorder/add", {"uri": uri, "mediaSessionId": first}).status == 409
        run_for(4)
        with publishing(node, "two", "--size", "320x240", "--fps", "20", "--video", "vp8"):
            second = session_of(node, "two")
            assert node.rest("multipleRecorder/add", {"uri": uri, "mediaSessionId": second}).status == 200
            run_for(4)
            active = node.rest("multipleRecorder/find_all").body
            assert [sorted(entry["mediaSessionsId"]) for entry in active] == [sorted([first, second])]
            assert active[0]["fileName"] == f"multi-recorder___{name}.mkv"
            assert node.rest("multipleRecorder/remove", {"uri": uri, "mediaSessionId": first}).status == 200
            assert node.rest("multipleRecorder/remove", {"uri": uri, "mediaSessionId": first}).status == 404
            run_for(3)
    assert node.rest("multipleRecorder/terminate", {"uri": uri}, timeout=60).status == 200
    assert node.rest("multipleRecorder/terminate", {"uri": uri}).status == 404
    path = folder(node) / f"multi-recorder___{name}.mkv"
    probe = records.probe(path)
    kinds = [stream["codec_name"] for stream in probe["streams"]]
    assert sorted(kinds) == ["h264", "opus", "opus", "vp8"]
    assert {stream["tags"]["STREAM"] for stream in probe["streams"]} == {"one", "two"}
    records.decodes(path)
    # Both pictures show the same clock at the same time.
    one, two = clocks(path, 0), clocks(path, 1)
    assert two[0][0] > 3 and one[-1][0] < two[-1][0] - 1.5
    assert abs(origin(one) - origin(two)) <= 50
    wait_until((tmp_path / "said").exists, 10, "the hook's file")
    said = (tmp_path / "said").read_text().strip().split("|")
    assert said[0] == str(path) and said[3] == uri and abs(int(said[2]) - float(probe["format"]["duration"]) * 1000) < 100
    assert not unfinished(node)


def test_unknown_groups_and_malformed_addresses_are_refused(a):
    for method in ("add", "remove"):
        assert a.rest(f"multipleRecorder/{method}", {"uri": "multi-recorder://none", "mediaSessionId": "x"}).status == 404
    for uri in ("none", "multi-recorder://", 7, None):
        assert a.rest("multipleRecorder/startup", {"uri": uri}).status == 400


def test_a_room_joined_with_record_becomes_one_file(make_node, tab, room):
    node = make_node("room")
    alice = Person(tab(node), node, "alice")
    alice.join(room, True, True)
    assert alice.publish(room)[0] == "PUBLISHING"
    run_for(3)
    bob = Person(tab(node), node, "bob")
    bob.join(room)
    assert bob.publish(room)[0] == "PUBLISHING"
    run_for(4)
    bob.leave(room)
    alice.until(room, "LEFT bob", 5000)
    run_for(2)
    alice.leave(room)
    path = folder(node) / f"multi-recorder___{room}.mkv"
    wait_until(path.exists, 30, "the room's file")
    probe = records.probe(path)
    videos = [stream for stream in probe["streams"] if stream["codec_type"] == "video"]
    assert [stream["tags"]["title"] for stream in videos] == ["alice", "bob"]
    records.decodes(path)
    first, second = clocks(path, 0), clocks(path, 1)
    assert second[0][0] >= 2.5 and first[-1][0] > second[-1][0]
    assert abs(origin(first) - origin(second)) <= 100
    entry = next(entry for entry in node.rest("record/find_all").body if entry["fileName"] == path.name)
    assert entry["participants"] == ["alice", "bob"] and entry["room"] == room


def test_a_room_is_put_together_after_a_killed_server_and_a_hook_that_had_not_ended_is_run_again(make_node, tmp_path, name):
    script = tmp_path / "hook.sh"
    script.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/said\n[ -e {tmp_path}/again ] || sleep 5\n')
    script.chmod(0o755)
    node = make_node("roomcrash", on_multiple_record_hook_script=script)
    uri = f"multi-recorder://{name}"
    assert node.rest("multipleRecorder/startup", {"uri": uri}).status == 200
    with publishing(node, "one", "--size", "320x240", "--fps", "20"), publishing(node, "two", "--size", "320x240", "--fps", "20"):
        for stream in ("one", "two"):
            assert node.rest("multipleRecorder/add", {"uri": uri, "mediaSessionId": session_of(node, stream)}).status == 200
        wait_until(lambda: len([path for path in unfinished(node) if path.stat().st_size > 30_000]) == 2, 20, "two growing files")
        run_for(4)
        node.kill()
    node.start()
    path = folder(node) / f"multi-recorder___{name}.mkv"
    wait_until(path.exists, 20, "the file of both")
    records.decodes(path)
    one, two = clocks(path, 0), clocks(path, 1)
    assert len(one) > 40 and len(two) > 40 and abs(origin(one) - origin(two)) <= 50

    wait_until((tmp_path / "said").exists, 10, "the hook")
    notes = folder(node) / ".hooks"
    assert len(list(notes.iterdir())) == 1
    node.kill()
    (tmp_path / "again").touch()
    node.start()
    wait_until(lambda: (tmp_path / "said").read_text().count("\n") == 2 and not list(notes.iterdir()), 10, lambda: f"the hook again: {list(notes.iterdir())}")
    first, second = (tmp_path / "said").read_text().splitlines()
    assert first == second and first.startswith(str(path)) and first.endswith(uri)


def test_files_of_a_room_begin_together_and_the_vendors_ffmpeg_line_merges_them(make_node, tab, room, tmp_path):
    node = make_node("sync", enable_empty_shift_writer=True)
    people = []
    # Carol's pictures are VP8.
    for logins in (["alice"], ["bob", "carol"]):
        for login in logins:
            person = Person(tab(node), node, login)
            person.join(room)
            assert person.publish(room, {"record": True, "stripCodecs": ONLY["VP8" if login == "carol" else "H264"]})[0] == "PUBLISHING"
            people.append(person)
        run_for(5)
    for person in reversed(people):
        person.leave(room)
    wait_until(lambda: len(files(node)) == 3 and not unfinished(node), 30, lambda: f"three files: {files(node)}")
    alice, *others = (next(path for path in files(node) if path.stem.endswith(login)) for login in ("alice", "bob", "carol"))
    assert [path.suffix for path in others] == [".mp4", ".webm"]
    for path in (alice, *others):
        records.decodes(path)
        start = [float(stream["start_time"]) for stream in records.probe(path)["streams"]]
        assert max(start) < 0.3, start
    beginning = origin(clocks(alice, 0))
    for path in others:
        # Theirs begin with black pictures and silence.
        contents = records.look(path)
        readable = [(time, clock) for time, clock, _ in contents.frames if clock is not None]
        assert readable[0][0] > 3 and contents.silence(0.2, readable[0][0] - 1)
        assert abs(origin(readable) - beginning) <= 67
    merged = tmp_path / "output.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(alice), "-i", str(others[0]), "-filter_complex",
         "[0:v]pad=iw*2:ih[int];[int][1:v]overlay=W/2:0[vid];[0:a][1:a]amerge[a]", "-map", "[vid]", "-map", "[a]", "-ac", "2",
         "-strict", "-2", "-c:v", "libx264", "-crf", "23", "-preset", "veryfast", str(merged)], check=True, timeout=120)
    left = clocks(merged, 0, lambda gray: gray[:, :gray.shape[1] // 2])
    right = clocks(merged, 0, lambda gray: gray[:, gray.shape[1] // 2:])
    # Where a picture of the right one has just come: a busy browser draws fewer than 15 a second.
    fresh = {time: clock for (_, before), (time, clock) in zip(right, right[1:]) if clock != before}
    both = [(clock, fresh[time]) for time, clock in left if time in fresh]
    assert len(both) >= 20
    # Within one frame of a camera of 15 pictures a second; a few of them may be late on a busy machine.
    differences = [abs(one - other) for one, other in both]
    assert numpy.median(differences) <= 67, differences


def test_the_conference_page_records_a_room_when_its_creator_asks(make_node, visit):
    node = make_node("conference")
    page = visit(node.http + "/conference.html")
    page.locator("#login").fill("alice")
    expect(page.locator("#recordBox")).to_be_visible()
    page.locator("#recordCheckBox").check()
    page.locator("#joinBtn").click()
    expect(page.locator("#localStatus")).to_have_text("PUBLISHING", timeout=15000)
    run_for(4)
    page.locator("#joinBtn").click()
    wait_until(lambda: any(path.suffix == ".mkv" for path in files(node)), 30, lambda: f"the room's file in {files(node)}")
    # Whoever is invited doesn't decide it.
    guest = visit(node.http + "/conference.html?roomName=x")
    expect(guest.locator("#recordBox")).to_be_hidden()
