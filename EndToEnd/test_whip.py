# SPDX-License-Identifier: Apache-2.0
"""WHIP (RFC 9725) and WHEP: by aiortc, by GStreamer, by the page in Chromium, by its script in Firefox, and every status code."""
import contextlib
import re

import pytest
import requests
from playwright.sync_api import expect

from harness.gstreamer import GStreamer
from harness.http_stream import StubbornPublisher, WhepPlayer, WhipPublisher
from harness.paths import OUT
from harness.waiting import wait_until
from harness.wcs import offer

SDP = {"Content-Type": "application/sdp"}


@pytest.fixture
def http(background):
    """`http.publish(node, name)` and `http.play(node, name)`."""
    streams = []

    class Http:
        @staticmethod
        def publish(node, name, **options):
            streams.append(WhipPublisher(background, node, name, **options))
            return streams[-1]

        @staticmethod
        def play(node, name, **options):
            streams.append(WhepPlayer(background, node, name, **options))
            return streams[-1]
    yield Http
    for stream in streams:
        stream.close_media()


def problem(response, status):
    """The refusal's sentence."""
    assert response.status_code == status, (response.status_code, response.text)
    assert response.headers["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status and body["title"] and body["detail"] and body["type"] == "about:blank"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    return body["detail"]


def test_aiortc_publishes_by_whip_and_plays_by_whep(a, http, name):
    published = http.publish(a, name)
    assert re.fullmatch(rf"/whip/{re.escape(name)}/[0-9a-f-]{{36}}", published.response.headers["Location"])
    assert re.fullmatch(r'"\S+"', published.tag)
    a.wait_for_stream(name)
    record = a.streams(name=name, published=True)[0]
    assert (record["mediaProvider"], record["videoCodec"], record["hasAudio"], record["appKey"]) == ("WebRTC", "VP8", True, "whip")
    assert record["mediaSessionId"] == published.session.rsplit("/", 1)[1]
    played = http.play(a, name)
    played.wait_for_frames(30)
    assert len(played.clocks) > 20, "the pictures are those that were sent"
    wait_until(lambda: played.audio_energy > 0.01, 10, "sound")
    assert a.statistics()["whip_stats"]["whip_sessions"] == 2
    assert played.delete() == 200 and played.delete() == 404
    a.wait_for_stream(name)
    assert published.delete() == 200
    a.wait_for_no_stream(name)
    assert a.statistics()["whip_stats"]["whip_sessions"] == 0


def test_a_publisher_that_has_one_codec_of_those_it_offers_is_seen(a, aiortc, background, name):
    published = StubbornPublisher(background, a, name)
    try:
        video = published.response.text.split("m=video")[1]
        assert video.index("H264/90000") < video.index("VP8/90000"), "browsers send the first"
        a.wait_for_stream(name)
        wait_until(lambda: a.streams(name=name, published=True)[0]["videoCodec"] == "VP8", 5, lambda: a.streams(name=name))
        aiortc.play(a, name).wait_for_frames(30)
        assert published.delete() == 200
    finally:
        published.close_media()


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_gstreamer_publishes_by_whip_and_plays_by_whep(a, name, codec):
    with contextlib.ExitStack() as ends:
        def client(direction):
            one = GStreamer(direction, f"{a.http}/{'whip' if direction == 'publish' else 'whep'}/{name}", codec)
            ends.callback(one.stop)
            one.connected()
            return one
        publisher = client("publish")
        a.wait_for_stream(name)
        player = client("play")
        seen = []
        wait_until(lambda: seen.append(player.counts()) or (seen[-1]["video"] >= 30 and seen[-1]["audio"] >= 50), 20,
                   lambda: f"sound and pictures: {seen[-1:]}", pause=0.2)
        assert seen[-1]["size"] == [320, 240]
        assert player.stop() == "200" and publisher.stop() == "200"
    a.wait_for_no_stream(name)


def test_whip_and_websocket_clients_meet(a, http, aiortc, name):
    http.publish(a, name + "-1")
    a.wait_for_stream(name + "-1")
    aiortc.play(a, name + "-1").wait_for_frames(10)
    aiortc.publish(a, name + "-2")
    http.play(a, name + "-2").wait_for_frames(10)


def test_sessions_end_with_their_peer_connection_and_with_their_stream(a, http, name):
    published = http.publish(a, name)
    a.wait_for_stream(name)
    played = http.play(a, name)
    played.wait_for_frames(5)
    published.close_media()
    a.wait_for_no_stream(name)
    wait_until(lambda: (published.delete(), played.delete()) == (404, 404), 5, "both sessions are over")
    second = http.publish(a, name)
    a.wait_for_stream(name)
    assert a.rest("stream/terminate", {"name": name}).status == 200
    wait_until(lambda: second.delete() == 404, 5, "terminated by REST")


def test_names_are_percent_encoded(a, http):
    name = "room 1/ü?&"
    published = http.publish(a, name)
    a.wait_for_stream(name)
    assert "/whip/room%201%2F%C3%BC%3F%26/" in published.session
    assert published.delete() == 200


def test_ice_restart_keeps_the_session(a, tab, http, name):
    """By Chromium, with the script of the page: aiortc can't."""
    page = tab(a).page
    page.evaluate("""async (name) => {
        const { WhipPublisher } = await import("/sdk/whip.js");
        window.publisher = new WhipPublisher("/whip/" + name, lab.pattern());
        await publisher.begin();
    }""", name)
    a.wait_for_stream(name)
    played = http.play(a, name, codec="VP8") if a.streams(name=name, published=True)[0]["videoCodec"] == "VP8" else tab(a).play(a.ws, name)
    played.wait_for_frames(10)
    record = a.streams(name=name, published=True)[0]
    ufrag = page.evaluate("publisher.peer.localDescription.sdp.match(/ice-ufrag:(.*)/)[1]")
    tag = page.evaluate("publisher.tag")
    page.evaluate("publisher.restart()")
    assert page.evaluate("publisher.tag") != tag
    pair = """async () => { const all = [...(await publisher.peer.getStats()).values()];
        const transport = all.find((one) => one.type === 'transport');
        return [transport.iceState, transport.iceLocalUsernameFragment, all.find((one) => one.id === transport.selectedCandidatePairId)?.state]; }"""
    wait_until(lambda: page.evaluate(pair)[0] in ("connected", "completed") and page.evaluate(pair)[1] != ufrag.strip(), 10,
               lambda: page.evaluate(pair), pause=0.1)
    before = played.decoded()
    wait_until(lambda: played.decoded() > before + 30, 15, lambda: (before, played.figures()))
    again = a.streams(name=name, published=True)[0]
    assert again["mediaSessionId"] == record["mediaSessionId"], "the session goes on"
    # The old tag is worth nothing now.
    location = page.evaluate("publisher.url")
    old = requests.patch(location, data="a=end-of-candidates\r\n", headers={"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": tag}, timeout=5)
    problem(old, 412)
    page.evaluate("publisher.close()")
    a.wait_for_no_stream(name)


def test_patch_rules(a, http, name):
    published = http.publish(a, name)
    ufrag, password = (re.search(rf"a=ice-{field}:(\S+)", published.offer)[1] for field in ("ufrag", "pwd"))
    trickle = f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n" \
        "a=candidate:1 1 udp 2130706431 192.0.2.9 5000 typ host\r\na=end-of-candidates\r\n"
    assert published.patch(trickle, published.tag).status_code == 204
    assert published.patch(trickle, f'"other", {published.tag}').status_code == 204
    assert "If-Match" in problem(published.patch(trickle), 428)
    problem(published.patch(trickle, '"other"'), 412)
    problem(published.patch(trickle, published.tag, "application/sdp"), 415)
    for malformed in ("", "rubbish", "a=candidate:what\r\n", "a=ice-ufrag:abcd\r\n", "a=ice-ufrag:" + "x" * 300 + "\r\na=ice-pwd:y\r\n", "a=mid:0\r\n",
                      "a=candidate:1 1 udp 1 192.0.2.9 5000 typ host\r\n" * 300):
        problem(published.patch(malformed, published.tag), 400)
    problem(published.patch("a" * 70_000, published.tag), 413)
    restart = "a=ice-ufrag:newu\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    answer = published.patch(restart, "*")
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/trickle-ice-sdpfrag"
    assert answer.headers["ETag"] != published.tag
    new = re.search(r"a=ice-ufrag:(\S+)", answer.text)[1]
    assert f"a=ice-ufrag:{new}" not in published.response.text
    assert "a=candidate:" in answer.text and "a=mid:0" in answer.text
    # The same again is no restart: nothing is to be said.
    assert published.patch(restart, answer.headers["ETag"]).status_code == 204
    problem(requests.patch(published.session + "x", data=trickle, headers={"If-Match": "*"}, timeout=5), 404)


@pytest.mark.parametrize("kind, direction", [("whip", "sendonly"), ("whep", "recvonly")])
def test_refusals(make_node, a, http, name, kind, direction):
    post = lambda path, body, headers=SDP, node=a: requests.post(f"{node.http}/{kind}/{path}", data=body, headers=headers, timeout=15)
    http.publish(a, name)
    a.wait_for_stream(name)
    problem(post(name, "rubbish"), 400)
    problem(post(name, ""), 400)
    problem(post(name, offer(direction), {"Content-Type": "application/json"}), 415)
    problem(post(name, "v=0\r\n" + "a=x\r\n" * 100_000), 413)
    problem(post("", offer(direction)), 404)
    problem(post("a/b/c", offer(direction)), 404)
    no_ice = re.sub(r"a=ice-(ufrag|pwd):.*\r\n", "", offer(direction))
    problem(post(f"{name}-x" if kind == "whip" else name, no_ice), 422)
    problem(post(f"{name}-x" if kind == "whip" else name, offer(direction, video="H265", kinds=("video",))), 422)
    if kind == "whip":
        assert name in problem(post(name, offer()), 409)
    else:
        assert name + "-none" in problem(post(name + "-none", offer(direction)), 404)
        requests.post(f"{a.http}/whip/{name}-young", data=offer(), headers=SDP, timeout=5)
        early = post(name + "-young", offer(direction))
        problem(early, 409)
        assert int(early.headers["Retry-After"]) >= 1
    for path, methods, allowed in ((name, ("GET", "HEAD", "PUT", "PATCH", "DELETE"), "POST"), (name + "/some-id", ("GET", "HEAD", "PUT"), "PATCH, DELETE")):
        for method in methods:
            answer = requests.request(method, f"{a.http}/{kind}/{path}", timeout=5)
            assert answer.status_code == 405 and answer.headers["Allow"].startswith(allowed), (method, path)
    problem(requests.delete(f"{a.http}/{kind}/{name}/no-such-session", timeout=5), 404)
    # A name of two parts looks like a session.
    assert "%2F" in problem(post(name + "/part", offer(direction)), 404)


def test_limits_are_503_and_429(make_node, name):
    node = make_node("A", max_streams=1, max_session_rate=1)
    post = lambda path: requests.post(f"{node.http}/whip/{path}", data=offer(), headers=SDP, timeout=5)
    assert post(name).status_code == 201
    full = post(name + "-2")
    assert "max_streams" in problem(full, 503) and int(full.headers["Retry-After"]) > 0
    answers = [post(name + "-3") for _ in range(8)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 4 and all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    problem(refused[0], 429)
    assert node.statistics()["stream_stats"]["streams_refused_by_rate"] == len(refused)


def test_options_and_ice_servers(make_node, http, name):
    node = make_node("A", ice_servers="stun:stun.example.org:3478,turn:turn.example.org:3478?transport=tcp|me|secret")
    for kind in ("whip", "whep"):
        answer = requests.options(f"{node.http}/{kind}/{name}", headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}, timeout=5)
        assert answer.status_code == 204 and answer.headers["Accept-Post"] == "application/sdp"
        assert answer.headers["Access-Control-Allow-Methods"].startswith("POST")
        assert "authorization" in answer.headers["Access-Control-Allow-Headers"].lower()
        session = requests.options(f"{node.http}/{kind}/{name}/id", timeout=5)
        assert session.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag" and "DELETE" in session.headers["Access-Control-Allow-Methods"]
    links = http.publish(node, name).response.headers["Link"]
    assert '<stun:stun.example.org:3478>; rel="ice-server"' in links
    assert '<turn:turn.example.org:3478?transport=tcp>; rel="ice-server"; username="me"; credential="secret"; credential-type="password"' in links


def test_the_page_publishes_and_plays(a, browser, name):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        page.goto(f"{a.http}/whip.html?name={name}")
        page.get_by_role("button", name="Play", exact=True).click()
        expect(page.locator("#playStatus")).to_have_text("FAILED")
        expect(page.locator("#playInfo")).to_contain_text(name)
        page.get_by_role("button", name="Publish", exact=True).click()
        expect(page.locator("#publishStatus")).to_have_text("PUBLISHING", timeout=15_000)
        a.wait_for_stream(name)
        page.get_by_role("button", name="Play", exact=True).click()
        expect(page.locator("#playStatus")).to_have_text("PLAYING", timeout=15_000)
        page.wait_for_function("document.querySelector('#remoteVideo video').getVideoPlaybackQuality().totalVideoFrames > 30", timeout=20_000)
        expect(page.locator("#playFigures")).to_contain_text("fps")
        (OUT / "pages").mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(OUT / "pages" / "whip.png"), full_page=True)
        page.set_viewport_size({"width": 390, "height": 844})
        page.screenshot(path=str(OUT / "pages" / "whip-phone.png"), full_page=True)
        page.locator("#playBtn").click()
        page.locator("#publishBtn").click()
        a.wait_for_no_stream(name)
        expect(page.locator("#publishStatus")).to_have_text("STOPPED")
    finally:
        context.close()
    assert errors == []


def test_firefox_plays_by_whep(a, fox, http, name):
    http.publish(a, name)
    a.wait_for_stream(name)
    page = fox(a)
    page.evaluate("""async (name) => {
        const { WhepPlayer } = await import("/sdk/whip.js");
        window.player = new WhepPlayer("/whep/" + name);
        const video = document.createElement("video");
        Object.assign(video, { autoplay: true, muted: true, srcObject: player.media });
        document.body.append(video);
        await player.begin();
    }""", name)
    frames = "async () => [...(await player.peer.getStats()).values()].find((one) => one.type === 'inbound-rtp' && one.kind === 'video')?.framesDecoded ?? 0"
    wait_until(lambda: page.evaluate(frames) > 20, 15, lambda: (page.evaluate(frames), page.evaluate("() => player.peer.connectionState")), pause=0.1)
    page.evaluate("() => player.close()")
    wait_until(lambda: not a.streams(name=name, published=False), 5, "the player is gone")
