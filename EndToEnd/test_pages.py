# SPDX-License-Identifier: Apache-2.0
"""The pages of a running server, used as a person would. Pictures land in EndToEnd/out/pages."""
import contextlib

import pytest
from playwright.sync_api import expect

from harness.paths import OUT, WEB

PICTURES = OUT / "pages"
TWO_WAY = ["/two_way_streaming.html", "/client2/examples/demo/streaming/two_way_streaming/two_way_streaming.html"]
PLAYER = ["/player.html", "/client2/examples/demo/streaming/player/player.html"]


@pytest.fixture
def visit(browser):
    """`visit(url)`: a page in a context of its own that fails the test when a script throws or a file is missing."""
    errors = []
    with contextlib.ExitStack() as stack:
        def open_page(url, width=1280, height=900):
            context = stack.enter_context(browser.new_context(viewport={"width": width, "height": height}, ignore_https_errors=True))
            context.set_default_timeout(15_000)
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("response", lambda response: errors.append(f"{response.status} {response.url}")
                    if response.status >= 400 and "/rest-api/" not in response.url else None)
            page.goto(url)
            return page
        yield open_page
    assert errors == []


def picture(page, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(PICTURES / f"{name}.png"), full_page=True)


def is_playing(page, selector):
    """The video in there moves on."""
    page.wait_for_function("""(selector) => {
        const video = document.querySelector(selector + " video");
        if (!video || video.videoWidth === 0) return false;
        const seen = video.getVideoPlaybackQuality().totalVideoFrames;
        window.firstSeen ??= seen;
        return seen > window.firstSeen + 10;
    }""", arg=selector)


@pytest.mark.parametrize("path", TWO_WAY, ids=["own", "vendor"])
def test_two_way_streaming(a, visit, name, path):
    page = visit(a.http + path)
    expect(page.locator("#urlServer")).to_have_value(a.ws)
    page.get_by_role("button", name="Connect").click()
    expect(page.locator("#connectStatus")).to_have_text("ESTABLISHED")
    page.locator("#publishStream").fill(name)
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("#publishStatus")).to_have_text("PUBLISHING")
    page.locator("#playStream").fill(name)
    page.get_by_role("button", name="Available").click()
    expect(page.locator("#availableStatus")).to_have_text("AVAILABLE")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator("#playStatus")).to_have_text("PLAYING")
    is_playing(page, "#remoteVideo")
    expect(page.locator("#playFigures")).to_contain_text("fps")
    page.get_by_role("button", name="Mute sound").click()
    expect(page.locator("#playInfo")).to_have_text("The publisher has muted the sound.")
    page.get_by_label("Message to everybody").fill("hello there")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#messageList li")).to_contain_text("hello there")
    if path == TWO_WAY[0]:
        picture(page, "two-way-streaming")
    page.locator("#playBtn").click()
    expect(page.locator("#playStatus")).to_have_text("STOPPED")
    page.locator("#publishBtn").click()
    expect(page.locator("#publishStatus")).to_have_text("UNPUBLISHED")
    page.get_by_role("button", name="Disconnect").click()
    expect(page.locator("#connectStatus")).to_have_text("DISCONNECTED")
    a.wait_for_no_stream(name, 2)


@pytest.mark.parametrize("path", PLAYER, ids=["own", "vendor"])
def test_player(a, visit, tab, name, path):
    published = tab(a).publish(a.ws, name)
    page = visit(a.http + path)
    page.locator("#streamName").fill(name)
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#status")).to_have_text("PLAYING")
    is_playing(page, "#remoteVideo")
    page.locator("#volumeControl").fill("20")
    assert abs(page.evaluate("document.querySelector('#remoteVideo video').volume") - 0.2) < 0.01
    if path == PLAYER[0]:
        picture(page, "player")
        page.get_by_role("button", name="Full screen").click()
        page.wait_for_function("document.fullscreenElement !== null")
        page.evaluate("document.exitFullscreen()")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#status")).to_have_text("STOPPED")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#status")).to_have_text("PLAYING")
    published.stop()
    expect(page.locator("#status")).to_have_text("FAILED")
    expect(page.locator("#infoText")).to_have_text("The publisher stopped or lost the connection.")


def test_a_pushed_stream_on_the_player_of_the_far_server_on_a_phone(a, b, visit, tab, name):
    tab(a).publish(a.ws, name, "H264")
    assert a.rest("pull/push", {"uri": b.ws, "localStreamName": name, "remoteStreamName": name}).status == 200
    page = visit(f"{b.http}/player.html?streamName={name}&autoplay=true", width=390, height=844)
    expect(page.locator("#status")).to_have_text("PLAYING")
    is_playing(page, "#remoteVideo")
    picture(page, "player-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_errors_are_said_in_words(a, visit, name):
    page = visit(a.http + TWO_WAY[0])
    page.get_by_role("button", name="Connect").click()
    expect(page.locator("#connectStatus")).to_have_text("ESTABLISHED")
    page.locator("#playStream").fill(name)
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator("#playInfo")).to_have_text("Nobody publishes a stream of this name.")
    page.get_by_role("button", name="Available").click()
    expect(page.locator("#availableStatus")).to_have_text("UNAVAILABLE")
    other = visit(a.http + TWO_WAY[0])
    for one in (page, other):
        if one is other:
            one.get_by_role("button", name="Connect").click()
            expect(one.locator("#connectStatus")).to_have_text("ESTABLISHED")
        one.locator("#publishStream").fill(name)
        one.get_by_role("button", name="Publish").click()
        if one is page:
            expect(one.locator("#publishStatus")).to_have_text("PUBLISHING")
    expect(other.locator("#publishInfo")).to_contain_text("A stream of this name is being published already.")


def test_the_overview_shows_what_is_on(a, visit, tab, name):
    tab(a).publish(a.ws, name)
    page = visit(a.http + "/")
    expect(page.locator("#serverStatus")).to_have_text("RUNNING")
    expect(page.locator("#streams")).to_contain_text(name)
    expect(page.locator("#publisherCount")).to_have_text("1")
    picture(page, "overview")
    page.locator("#streams li", has_text=name).get_by_role("link", name="Play").click()
    expect(page.locator("#status")).to_have_text("PLAYING")


def test_pages_over_https_use_wss(a, visit, name):
    page = visit(a.https + TWO_WAY[0])
    expect(page.locator("#urlServer")).to_have_value(a.wss)
    page.get_by_role("button", name="Connect").click()
    expect(page.locator("#connectStatus")).to_have_text("ESTABLISHED")
    page.locator("#publishStream").fill(name)
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("#publishStatus")).to_have_text("PUBLISHING")


def test_a_server_that_goes_down_is_noticed_by_the_page(make_node, visit, name):
    node = make_node("A")
    page = visit(node.http + TWO_WAY[0])
    page.get_by_role("button", name="Connect").click()
    expect(page.locator("#connectStatus")).to_have_text("ESTABLISHED")
    page.locator("#publishStream").fill(name)
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("#publishStatus")).to_have_text("PUBLISHING")
    node.stop()
    expect(page.locator("#connectStatus")).to_have_text("DISCONNECTED")
    expect(page.locator("#publishStatus")).to_have_text("FAILED")
    node.start()
    page.get_by_role("button", name="Connect").click()
    expect(page.locator("#connectStatus")).to_have_text("ESTABLISHED")


def test_every_file_of_the_pages_is_served_with_its_type(a):
    import requests
    types = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    for file in WEB.rglob("*"):
        if file.suffix in types and file.is_file():
            answer = requests.get(f"{a.http}/{file.relative_to(WEB)}", timeout=5)
            assert answer.status_code == 200 and answer.content == file.read_bytes(), file
            assert answer.headers["Content-Type"].split(";")[0] == types[file.suffix], file
    for path in ("/../Package.swift", "/%2e%2e/Package.swift", "/..%2fPackage.swift", "/%2e%2e%2fdev", "//etc/passwd", "/nothing.html"):
        import http.client
        connection = http.client.HTTPConnection("127.0.0.1", a.settings["http.port"], timeout=5)
        connection.request("GET", path)
        assert connection.getresponse().status in (400, 403, 404), path
        connection.close()
