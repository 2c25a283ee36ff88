# SPDX-License-Identifier: Apache-2.0
"""The pages used as a person would use them, at a desk and on a phone. Pictures of them land in EndToEnd/out/web."""
import pathlib
import re
import time

import pytest

expect = pytest.importorskip("playwright.sync_api").expect

OUT = pathlib.Path(__file__).resolve().parents[1] / "out" / "web"
TWO_WAY = "/two_way_streaming.html"
STREAMS = [
    {"mediaSessionId": "p1", "name": "lobby-camera", "published": True, "status": "PUBLISHING", "videoCodec": "H264",
     "audioCodec": "opus", "width": 1280, "height": 720, "createDate": int(time.time() * 1000) - 754_000},
    {"mediaSessionId": "p2", "name": "a stream with a long name & <odd> letters", "published": True, "status": "PUBLISHING",
     "audioCodec": "opus", "width": 0, "height": 0},
    {"mediaSessionId": "s1", "name": "lobby-camera", "published": False, "status": "PLAYING"},
]


def picture(page, name):
    """Takes the page at desk and phone width and fails when it has to be scrolled sideways."""
    OUT.mkdir(parents=True, exist_ok=True)
    for width, height in ((1280, 900), (360, 740)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"
        page.screenshot(path=str(OUT / f"{name}-{width}.png"), full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})


def connect(page, origin, path=TWO_WAY):
    page.goto(origin + path)
    page.locator("#connectBtn").click()
    expect(page.locator("#connectStatus")).to_have_text("ESTABLISHED")


def publish(page):
    page.locator("#publishBtn").click()
    expect(page.locator("#publishStatus")).to_have_text("PUBLISHING")


@pytest.mark.parametrize("path", [TWO_WAY, "/client2/examples/demo/streaming/two_way_streaming/two_way_streaming.html"])
def test_a_stream_is_published_played_and_stopped(page, origin, path):
    connect(page, origin, path)
    publish(page)
    page.locator("#playBtn").click()
    expect(page.locator("#playStatus")).to_have_text("PLAYING")
    expect(page.locator("#playFigures")).to_contain_text("fps")
    page.locator("#availableBtn").click()
    expect(page.locator("#availableStatus")).to_have_text("AVAILABLE")
    if path == TWO_WAY:
        picture(page, "two-way-playing")
    page.locator("#playBtn").click()
    expect(page.locator("#playStatus")).to_have_text("STOPPED")
    page.locator("#publishBtn").click()
    expect(page.locator("#publishStatus")).to_have_text("UNPUBLISHED")
    page.locator("#connectBtn").click()
    expect(page.locator("#connectStatus")).to_have_text("DISCONNECTED")
    expect(page.locator("#publishBtn")).to_be_disabled()


def test_the_page_before_anything_is_done(page, origin, rest):
    page.goto(origin + TWO_WAY)
    expect(page.locator("#publishBtn")).to_be_disabled()
    expect(page.locator("#connectInfo")).to_have_text("Not connected.")
    picture(page, "two-way-start")


def test_failures_are_said_in_words(page, origin):
    connect(page, origin)
    page.locator("#playStream").fill("nobody")
    page.locator("#playBtn").click()
    expect(page.locator("#playStatus")).to_have_text("FAILED")
    expect(page.locator("#playInfo")).to_have_text("Nobody publishes a stream of this name.")
    page.locator("#availableBtn").click()
    expect(page.locator("#availableStatus")).to_have_text("UNAVAILABLE")
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError')); }")
    page.locator("#publishBtn").click()
    expect(page.locator("#publishInfo")).to_have_text("No camera or microphone was found on this device.")
    picture(page, "two-way-failed")


def test_muting_and_messages_reach_the_player(page, origin):
    connect(page, origin)
    publish(page)
    page.locator("#playBtn").click()
    expect(page.locator("#playStatus")).to_have_text("PLAYING")
    page.get_by_role("button", name="Mute sound").click()
    expect(page.locator("#playInfo")).to_have_text("The publisher has muted the sound.")
    expect(page.get_by_role("button", name="Unmute sound")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Message to everybody").fill("hello <b>there</b>")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#messageList li")).to_contain_text("hello <b>there</b>")
    picture(page, "two-way-messages")


def test_a_lost_connection_is_said_and_the_page_can_start_over(page, origin):
    connect(page, origin)
    publish(page)
    page.evaluate("fakeServer.sockets.at(-1).close()")
    expect(page.locator("#connectInfo")).to_have_text("The connection to the server was lost.")
    expect(page.locator("#publishStatus")).to_have_text("FAILED")
    page.locator("#connectBtn").click()
    expect(page.locator("#connectStatus")).to_have_text("ESTABLISHED")
    publish(page)


def test_the_ports_of_an_unusual_server_are_asked_for(page, origin, rest):
    rest["/rest-api/server/info"] = (200, {"ws": 18080, "wss": 18443, "version": "1.0"})
    page.goto(origin + TWO_WAY)
    expect(page.locator("#urlServer")).to_have_value("ws://127.0.0.1:18080")


def test_without_an_answer_the_usual_port_stays(page, origin, rest):
    page.goto(origin + TWO_WAY)
    page.wait_for_load_state("networkidle")
    expect(page.locator("#urlServer")).to_have_value("ws://127.0.0.1:8080")


def test_the_player_starts_by_itself_from_a_link(page, origin):
    page.goto(origin + "/player.html?streamName=none&autoplay=true&urlServer=ws%3A%2F%2Fb.example.org%3A9%2Fwebsocket")
    expect(page.locator("#status")).to_have_text("FAILED")
    expect(page.locator("#infoText")).to_have_text("Nobody publishes a stream of this name.")
    assert page.evaluate("fakeServer.sockets[0].url") == "ws://b.example.org:9/websocket"
    picture(page, "player-failed")


def test_the_player_plays_with_volume_and_stops(page, origin):
    page.goto(origin + "/client2/examples/demo/streaming/player/player.html?resolution=640x360")
    # The same page publishes what is played: the stand-in server lives in the page.
    page.evaluate("""async () => {
        const {default: Flashphoner} = await import("/sdk/flashphoner.js");
        const session = Flashphoner.createSession({urlServer: "ws://x:1"});
        await new Promise((resolve) => session.on("ESTABLISHED", resolve));
        const stream = session.createStream({name: "a1"});
        await new Promise((resolve) => { stream.on("PUBLISHING", resolve); stream.publish(); });
    }""")
    page.get_by_label("Stream").fill("a1")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#status")).to_have_text("PLAYING")
    expect(page.locator("#figures")).to_contain_text("kbit/s")
    page.get_by_label("Volume").fill("80")
    assert page.evaluate("Math.round(document.querySelector('#remoteVideo video').volume * 100)") == 80
    assert page.evaluate("fakeServer.sent('playStream')[0].width") == 640
    picture(page, "player-playing")
    page.get_by_role("button", name="Full screen").click()
    page.wait_for_function("document.fullscreenElement !== null")
    page.evaluate("document.exitFullscreen()")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#status")).to_have_text("STOPPED")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#status")).to_have_text("PLAYING")
    # One session for the publisher above, one for both plays.
    assert page.evaluate("fakeServer.sockets.length") == 2


def test_the_player_asks_for_a_name(page, origin):
    page.goto(origin + "/player.html")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#streamName")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#streamName")).to_be_focused()


def test_the_overview_lists_published_streams_with_a_link_to_play(page, origin, rest):
    rest["/rest-api/stream/find_all"] = (200, STREAMS)
    rest["/rest-api/server/info"] = (200, {"ws": 8080, "wss": 8443, "version": "1.0.0"})
    page.goto(origin + "/")
    expect(page.locator("#serverStatus")).to_have_text("RUNNING")
    expect(page.locator("#streams li")).to_have_count(2)
    expect(page.locator("#streams li").first).to_contain_text("1280 × 720 · H264 + opus · 1 player")
    expect(page.locator("#serverPorts")).to_have_text("8080 / 8443")
    picture(page, "overview")
    page.get_by_role("link", name="Play a stream with a long name").click()
    expect(page).to_have_url(re.compile(r"/player\.html\?streamName="))
    expect(page.locator("#streamName")).to_have_value(STREAMS[1]["name"])


def test_the_overview_of_an_idle_and_of_a_silent_server(page, origin, rest):
    page.goto(origin + "/client2/")
    expect(page.locator("#serverStatus")).to_have_text("RUNNING")
    expect(page.locator("#noStreams")).to_have_text("Nobody is publishing at the moment.")
    picture(page, "overview-idle")
    rest["/rest-api/stream/find_all"] = (500, {})
    expect(page.locator("#serverStatus")).to_have_text("NO ANSWER")


def test_the_pages_have_a_dark_dress(browser, origin, rest):
    rest["/rest-api/stream/find_all"] = (200, STREAMS)
    with browser.new_context(color_scheme="dark") as context:
        page = context.new_page()
        for name, path in (("overview", "/"), ("two-way", TWO_WAY), ("player", "/player.html")):
            page.goto(origin + path)
            page.wait_for_load_state("networkidle")
            picture(page, name + "-dark")
            channels = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
            assert max(channels[:3]) < 60
