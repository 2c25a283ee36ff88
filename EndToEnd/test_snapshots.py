# SPDX-License-Identifier: Apache-2.0
"""Pictures of what is on air: by REST, by WebSocket, by the SDK, on pages and into folders. Pictures are read with Pillow."""
import base64
import concurrent.futures
import contextlib
import io
import os
import pathlib
import signal

import numpy
import pytest
import requests
from PIL import Image
from playwright.sync_api import expect

from harness import burnin, odd_inputs
from harness.chromium import ONLY
from harness.paths import OUT
from harness.processes import descendants
from harness.waiting import wait_until
from test_pages import picture, visit  # noqa: F401 (a fixture)
from test_tools import publishing

BARS = [(191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0), (191, 0, 191), (191, 0, 0), (0, 0, 191), (0, 0, 0)]
# What players take for granted where the bitstream names no matrix.
MATRIX = {"H264": "smpte170m", "VP8": "smpte170m", "VP9": "bt709", "AV1": "bt709"}
PUBLISHER = pathlib.Path(__file__).with_name("snapshot_publisher.js")
PAGES = ["/stream_snapshot.html", "/client2/examples/demo/streaming/stream-snapshot/stream-snapshot.html"]


def take(node, name, **options):
    """The picture by the vendor's REST call, and the wall clock (ms) when it was there."""
    reply = node.rest("stream/snapshot", {"streamName": name, **options})
    assert reply.status == 200, reply
    return open_picture(base64.b64decode(reply.body["data"])), burnin.now()


def open_picture(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def clock(image):
    return burnin.read(numpy.asarray(image.convert("L")).astype(numpy.uint8))


def colour_error(image):
    """Mean error of the inner parts of the bars, of 255."""
    pixels = numpy.asarray(image.convert("RGB")).astype(float)
    height, width = pixels.shape[:2]
    errors = []
    for index, bar in enumerate(BARS):
        left, right = index * width // 8, (index + 1) * width // 8
        inner = pixels[height // 4:height // 2, left + width // 40:right - width // 40]
        errors.append(numpy.abs(inner - bar).mean())
    return float(numpy.mean(errors))


def look(node, name, size, sizes=None):
    """Size, colours and clock of a picture, once the publisher has got to its full quality."""
    def good():
        image, now = take(node, name)
        age = (now - (clock(image) or 0)) & 0xFFFFFFFF
        seen.append((image.size, age, round(colour_error(image), 2)))
        return image.size in (sizes or [size]) and age <= 1000 and colour_error(image) <= 4
    seen = []
    wait_until(good, 15, lambda: f"a picture of {size} with right colours and clock; last seen {seen[-3:]}", pause=0.2)


def counter(node, key):
    return node.statistics()["snapshot_stats"][key]


def workers(node):
    """Process ids of a node's workers."""
    pids = []
    for task in pathlib.Path(f"/proc/{node.process.pid}/task").iterdir():
        with open(task / "children") as children:
            pids += [int(pid) for pid in children.read().split()]
    return [pid for pid in pids if b"worker" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]


def resident(pid):
    """kB of a process; 0 when it has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return int(dict(line.split(":", 1) for line in open(f"/proc/{pid}/status").read().splitlines()).get("VmRSS", "0").split()[0])
    return 0


# What is on the picture.

@pytest.mark.parametrize("size", ["320x240", "1280x720", "641x481"])
@pytest.mark.parametrize("codec", ["h264", "vp8", "vp9", "av1"])
def test_the_picture_is_what_the_tool_publishes(a, name, codec, size):
    width, height = map(int, size.split("x"))
    # H.264 can't say odd sizes; the encoder crops.
    shown = (width & ~1, height & ~1) if codec == "h264" else (width, height)
    with publishing(a, name, "--video", codec, "--size", size, "--fps", "15", "--bitrate", "3000"):
        look(a, name, shown)


@pytest.mark.parametrize("size", [(320, 240), (1280, 720), (641, 481)], ids=str)
@pytest.mark.parametrize("codec", ["H264", "VP8", "VP9", "AV1"])
def test_the_picture_is_what_chromium_publishes(a, tab, name, codec, size):
    page = tab(a)
    page.page.add_script_tag(path=str(PUBLISHER))
    page.page.evaluate("(values) => publishFrames(...values)", [a.ws, name, {"width": size[0], "height": size[1], "matrix": MATRIX[codec], "stripCodecs": ONLY[codec]}])
    # Where the bandwidth estimate starts low the browser scales down for a while.
    look(a, name, size, sizes=[size, (size[0] & ~1, size[1] & ~1)])


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_camera_that_lies_on_its_side_gives_an_upright_picture(a, tab, name, rotation):
    page = tab(a)
    page.page.add_script_tag(path=str(PUBLISHER))
    page.page.evaluate("(values) => publishFrames(...values)", [a.ws, name, {"width": 320, "height": 240, "rotation": rotation}])
    turned = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}[rotation]

    def upright():
        image, _ = take(a, name)
        # Turned back it is what the page drew.
        drawn = image.transpose(turned)
        seen.append((image.size, colour_error(drawn)))
        return image.size == ((320, 240) if rotation == 180 else (240, 320)) and colour_error(drawn) <= 4 and clock(drawn) is not None
    seen = []
    wait_until(upright, 15, lambda: f"an upright picture; last seen {seen[-3:]}", pause=0.2)


def test_options_and_files_for_img_tags(a, name):
    with publishing(a, name, "--size", "640x360", "--fps", "15"):
        assert take(a, name, width=160)[0].size == (160, 90)
        assert take(a, name, width=100, height=10)[0].size == (18, 10)
        assert take(a, name, format="jpg", quality=50)[0].format == "JPEG"
        for ending, media_type, kind in (("png", "image/png", "PNG"), ("jpg", "image/jpeg", "JPEG"), ("jpeg", "image/jpeg", "JPEG")):
            answer = requests.get(f"{a.http}/rest-api/stream/snapshot/{name}.{ending}?width=320&t=1", timeout=10)
            assert answer.status_code == 200 and answer.headers["Content-Type"] == media_type
            image = open_picture(answer.content)
            assert image.format == kind and image.size == (320, 180)
        assert requests.get(f"{a.http}/rest-api/stream/snapshot/{name}.gif", timeout=10).status_code == 400
        assert requests.get(f"{a.http}/rest-api/stream/snapshot/{name}.png?width=x", timeout=10).status_code == 400
        assert requests.post(f"{a.http}/rest-api/stream/snapshot/{name}.png", timeout=10).status_code == 405


# When there is none.

@pytest.mark.parametrize("body", ["", "{}", '{"streamName":""}', '{"streamName":7}', "[]", '{"streamName":"x","format":"gif"}', '{"streamName":"x","width":0}'])
def test_a_malformed_request_is_400(a, body):
    assert a.rest("stream/snapshot", data=body).status == 400


def test_an_unknown_stream_is_404_and_named(a):
    reply = a.rest("stream/snapshot", {"streamName": "nobody-publishes-this"})
    assert reply.status == 404 and "nobody-publishes-this" in reply.reason
    assert requests.get(a.http + "/rest-api/stream/snapshot/nobody.png", timeout=5).status_code == 404


def test_a_stream_without_video_is_500_at_once(a, name):
    with publishing(a, name, "--no-video"):
        reply = a.rest("stream/snapshot", {"streamName": name})
        assert reply.status == 500 and "no video" in reply.reason and reply.seconds < 2


def test_a_publisher_that_froze_is_500_in_time_and_a_picture_again_when_it_goes_on(a, name):
    with publishing(a, name, "--size", "320x240", "--fps", "10") as process:
        take(a, name)
        process.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: a.rest("stream/snapshot", {"streamName": name}).status == 500, 15, "a refusal")
            reply = a.rest("stream/snapshot", {"streamName": name})
            assert reply.status == 500 and "no picture for" in reply.reason and reply.seconds < 4.5
        finally:
            process.send_signal(signal.SIGCONT)
        wait_until(lambda: a.rest("stream/snapshot", {"streamName": name}).status == 200, 10, "a picture")


def test_a_worker_killed_in_the_middle_costs_one_request(make_node, name):
    node = make_node("A")
    with publishing(node, name, "--size", "320x240", "--fps", "10"):
        take(node, name)
        (worker,) = workers(node)
        os.kill(worker, signal.SIGSTOP)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            asked = pool.submit(node.rest, "stream/snapshot", {"streamName": name})
            wait_until(lambda: counter(node, "snapshot_worker_jobs") == 2, 5, "the worker has got the request", pause=0.02)
            os.kill(worker, signal.SIGKILL)
            reply = asked.result()
        assert reply.status == 500 and "worker" in reply.reason, reply
        take(node, name)
        assert worker not in workers(node)


def test_frames_too_large_to_be_decoded_in_time_cost_their_own_picture_alone(make_node, large_file, name):
    node = make_node("A", snapshots_per_address=0)
    large = odd_inputs.Copied(large_file).start(node, name + "-large")
    try:
        node.wait_for_stream(name + "-large")
        with publishing(node, name, "--size", "320x240", "--fps", "10"), concurrent.futures.ThreadPoolExecutor() as pool:
            take(node, name)
            before, others = node.resources()["memory"], 0
            for options in ({}, {"width": 320}, {"format": "jpg"}):
                asked = pool.submit(node.rest, "stream/snapshot", {"streamName": name + "-large", **options})
                while not asked.done():
                    assert take(node, name)[0].size == (320, 240)
                    others += 1
                    assert all(resident(pid) < 1_000_000 for pid in descendants(node.process.pid))
                reply = asked.result()
                # Three seconds, and what a busy machine takes to bury the worker.
                assert reply.seconds < 10, reply
                # A quick machine may be in time.
                if reply.status != 200:
                    assert reply.status == 500 and f'"{name}-large"' in reply.reason and "could not be decoded quickly enough" in reply.reason, reply
            assert others > 3
            # kB: what is decoded is no matter of the server's own process.
            assert node.resources()["memory"] < before + 60_000, (before, node.resources())
            assert node.has_stream(name + "-large")
    finally:
        large.stop()


def test_nothing_is_left_of_a_server_that_stops_or_is_killed(make_node, name):
    for end in ("stop", "kill"):
        node = make_node("A" + end)
        with publishing(node, name, "--size", "320x240", "--fps", "10"):
            take(node, name)
            pids = workers(node)
            assert pids
            getattr(node, end)()
        wait_until(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids), 5, "the workers are gone")


def test_twenty_at_once_are_one_decode(a, name):
    with publishing(a, name, "--size", "1280x720", "--fps", "15"):
        take(a, name)
        before = counter(a, "snapshot_decodes")
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            replies = list(pool.map(lambda _: a.rest("stream/snapshot", {"streamName": name}), range(20)))
        assert [reply.status for reply in replies] == [200] * 20
        # Twenty threads of Python don't ask in one instant; far fewer decodes than pictures is what can be held here.
        assert counter(a, "snapshot_decodes") - before <= 10


# By WebSocket and SDK.

def test_the_answer_quotes_a_stream_object_that_was_never_played(a, client, name):
    with publishing(a, name, "--size", "320x240", "--fps", "10"):
        session = client(a.ws)
        session.send("snapshot", {"name": name, "mediaSessionId": "never-played"})
        event = session.wait_for("notifyStreamEvent", mediaSessionId="never-played")
        assert event["type"] == "snapshotCompleted"
        assert open_picture(base64.b64decode(event["payload"]["snapshot"])).size == (320, 240)
        status = session.status("never-played", "SNAPSHOT_COMPLETE")
        assert status["info"] == event["payload"]["snapshot"] and status["name"] == name


def test_the_older_form_can_be_switched_off(make_node, client, name):
    node = make_node("A", snapshot_complete_status=False)
    with publishing(node, name, "--size", "320x240", "--fps", "10"):
        session = client(node.ws)
        for number in range(2):
            session.send("snapshot", {"name": name, "mediaSessionId": f"s{number}"})
            session.wait_for("notifyStreamEvent", mediaSessionId=f"s{number}")
        assert session.statuses("s0") == []


def test_a_snapshot_of_an_unknown_stream_fails_by_event(a, client):
    session = client(a.ws)
    session.send("snapshot", {"name": "nobody-publishes-this", "mediaSessionId": "s"})
    event = session.wait_for("notifyStreamEvent", mediaSessionId="s")
    assert event["type"] == "snapshotFailed" and event["payload"] == {"info": "Stream not found"}


def test_the_flow_of_the_vendors_page(a, tab, name):
    """The calls of the vendor's example: publish, a second stream object for the picture, getInfo(), stop()."""
    page = tab(a).page
    result = page.evaluate("""([url, name]) => new Promise((resolve, reject) => {
        const { SESSION_STATUS, STREAM_STATUS } = Flashphoner.constants;
        const display = document.createElement("div");
        document.body.append(display);
        Flashphoner.createSession({ urlServer: url }).on(SESSION_STATUS.ESTABLISHED, (session) => {
            session.createStream({ name, display, cacheLocalResources: true, receiveVideo: false, receiveAudio: false })
                .on(STREAM_STATUS.PUBLISHING, (published) => {
                    Flashphoner.getSessions()[0].createStream({ name }).on(STREAM_STATUS.SNAPSHOT_COMPLETE, (stream) => {
                        const info = stream.getInfo();
                        stream.on(STREAM_STATUS.FAILED, () => {});
                        stream.stop();
                        const image = new Image();
                        image.onload = () => {
                            const size = [image.naturalWidth, image.naturalHeight];
                            // A playing and a publishing stream can be asked as well.
                            published.on(STREAM_STATUS.SNAPSHOT_COMPLETE, () => resolve([size, published.status(), published.getInfo().slice(0, 8)]));
                            published.snapshot();
                        };
                        image.onerror = () => reject(new Error("no picture"));
                        image.src = "data:image/png;base64," + info;
                    }).on(STREAM_STATUS.FAILED, (stream) => reject(new Error("failed: " + stream.getInfo()))).snapshot();
                }).publish();
        });
    })""", [a.ws, name])
    assert result[0][0] >= 160 and result[1:] == ["PUBLISHING", "iVBORw0K"]


# Pages and folders.

@pytest.mark.parametrize("path", PAGES, ids=["own", "vendor"])
def test_the_page_publishes_takes_shows_and_saves(a, visit, name, path):  # noqa: F811
    page = visit(a.http + path)
    page.locator("#streamName").fill(name)
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("#status")).to_have_text("PUBLISHING")
    page.get_by_role("button", name="Take a snapshot").click()
    expect(page.locator("#snapshotStatus")).to_have_text("SNAPSHOT_COMPLETE")
    expect(page.locator("#pictureFigures")).to_contain_text("×")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as PNG").click()
    assert download.value.suggested_filename == name + ".png"
    assert open_picture(pathlib.Path(download.value.path()).read_bytes()).format == "PNG"
    if path == PAGES[0]:
        picture(page, "stream-snapshot")
        page.set_viewport_size({"width": 390, "height": 800})
        picture(page, "stream-snapshot-390")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#status")).to_have_text("UNPUBLISHED")
    page.locator("#streamName").fill("nobody-publishes-this")
    page.get_by_role("button", name="Take a snapshot").click()
    expect(page.locator("#snapshotInfo")).to_have_text("Nobody publishes a stream of this name.")


def test_the_overview_shows_thumbnails(a, visit, name):  # noqa: F811
    with publishing(a, name, "--size", "640x360", "--fps", "15"):
        page = visit(a.http + "/")
        image = page.locator("#streams li", has_text=name).locator("img.thumbnail")
        expect(image).to_be_visible()
        page.wait_for_function("(image) => image.complete && image.naturalWidth === 256", arg=image.element_handle())
        picture(page, "overview-thumbnails")


def test_pictures_are_written_by_themselves_and_the_oldest_go(make_node, name):
    node = make_node("A", snapshot_auto_interval_ms=150, snapshot_auto_keep=3)
    folder = node.settings["state_dir"] / "snapshots" / name
    with publishing(node, name, "--size", "320x240", "--fps", "10"):
        first = wait_until(lambda: sorted(folder.glob("*.png")), 10, "a first picture")[0]
        wait_until(lambda: not first.exists(), 15, "the oldest is gone")
        files = sorted(folder.glob("*.png"))
        assert 2 <= len(files) <= 4
        assert open_picture(files[0].read_bytes()).size == (320, 240)
