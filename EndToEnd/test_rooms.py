# SPDX-License-Identifier: Apache-2.0
"""Rooms with real browsers: people who see, hear and write to each other, and the pages for that."""
import contextlib
import pathlib
import re
import secrets
import time

import pytest
import requests
from playwright.sync_api import expect

from harness import chromium
from harness.paths import OUT
from harness.processes import OwnBrowser
from harness.waiting import wait_until
from harness.wcs import offer

PICTURES = OUT / "pages"
SCRIPT = pathlib.Path(__file__).parent / "harness" / "rooms.js"
CONFERENCE = ["/conference.html", "/client2/examples/demo/streaming/conference/conference.html"]


@pytest.fixture
def room():
    return "room-" + secrets.token_hex(3)


# People who use the SDK.

class Person:
    """One browser tab that uses RoomApi."""

    def __init__(self, tab, node, login):
        self.tab, self.node, self.login = tab, node, login
        if hasattr(tab, "page"):
            tab.page.add_script_tag(path=str(SCRIPT))
        else:
            tab.evaluate("(source) => { const script = document.createElement('script'); script.textContent = source;"
                         " document.body.append(script); }", SCRIPT.read_text())
        self.call("connect", node.ws, login)

    def call(self, method, *values):
        if hasattr(self.tab, "page"):
            return self.tab.page.evaluate(f"(values) => person.{method}(...values)", list(values))
        return self.tab.evaluate(f"(...values) => person.{method}(...values)", *values)

    def __getattr__(self, method):
        return lambda *values: self.call(method, *values)

    def sees_and_hears(self, room, count, timeout=20):
        """Waits until `count` streams are played and all of them bring new frames and sound; returns their names."""
        def now():
            return {name: one for name, one in self.played(room).items() if one["status"] == "PLAYING"}

        def moving(before, after):
            return after.keys() == before.keys() and all(
                one["frames"] > before[name]["frames"] + 5 and one["energy"] > before[name]["energy"] for name, one in after.items())
        wait_until(lambda: len(now()) == count, timeout, lambda: f"{count} streams played: {self.played(room)}", pause=0.1)
        before = now()
        wait_until(lambda: moving(before, now()), timeout, lambda: f"{before} -> {self.played(room)}", pause=0.2)
        return set(before)


@pytest.fixture
def person(tab, a):
    return lambda login, node=a, **options: Person(tab(node, **options), node, login)


def test_three_people_see_and_hear_each_other_one_late_and_one_lost(person, room):
    alice, bob = person("alice"), person("bob")
    assert alice.join(room) == "STATE "
    assert alice.publish(room)[0] == "PUBLISHING"
    assert bob.join(room) == "STATE alice:1"
    assert bob.publish(room)[0] == "PUBLISHING"
    alice.until(room, "PUBLISHED bob")
    carol = person("carol")
    assert carol.join(room) == "STATE alice:1,bob:1"
    status, _, name = carol.publish(room)
    assert status == "PUBLISHING" and re.fullmatch(room + r"-carol-[0-9a-f]{4}", name)
    for one in (alice, bob, carol):
        one.sees_and_hears(room, 2)
    carol.tab.close()
    for one in (alice, bob):
        one.until(room, "LEFT carol", 5000)
    assert alice.heard(room) == [
        "STATE ", "JOINED bob", "PUBLISHED bob", "JOINED carol", "PUBLISHED carol", "UNPUBLISHED carol", "LEFT carol"]
    assert bob.heard(room) == ["STATE alice:1", "JOINED carol", "PUBLISHED carol", "UNPUBLISHED carol", "LEFT carol"]
    bob.leave(room)
    alice.until(room, "LEFT bob", 5000)


def test_three_chromium_and_a_firefox_see_hear_and_read_each_other(person, fox, a, room):
    small = {"constraints": {"audio": True, "video": {"width": 320, "height": 240}}}
    alice, bob, fiona = person("alice"), person("bob"), Person(fox(a), a, "fiona")
    alice.join(room)
    # Firefox has no H.264 here.
    alice.publish(room, {"stripCodecs": chromium.ONLY["VP8"]} | small)
    assert bob.join(room) == "STATE alice:1"
    bob.publish(room, {"stripCodecs": chromium.ONLY["VP8"]} | small)
    assert fiona.join(room) == "STATE alice:1,bob:1"
    # Its drawn pattern would be silent: Firefox runs no audio clock on a machine without a sound card.
    fiona.publish(room, small)
    carol = person("carol")
    assert carol.join(room) == "STATE alice:1,bob:1,fiona:1"
    carol.publish(room, {"stripCodecs": chromium.ONLY["VP8"]} | small)
    everybody = (alice, bob, carol, fiona)
    for one in everybody:
        one.sees_and_hears(room, 3, timeout=30)
    for speaker, text in ((fiona, "привет"), (alice, "你好"), (carol, "👋🏽")):
        assert speaker.send(room, text) == []
        for one in everybody:
            if one is not speaker:
                one.until(room, f"MESSAGE {speaker.login} {text}", 5000)
    carol.tab.close()
    for one in (alice, bob, fiona):
        one.until(room, "LEFT carol", 5000)
        one.sees_and_hears(room, 2, timeout=30)
    # Events come in one order to all: who was there from the beginning has heard what the later ones have, and more.
    assert alice.heard(room)[:4] == ["STATE ", "JOINED bob", "PUBLISHED bob", "JOINED fiona"]
    for one in (bob, fiona):
        later = [line for line in one.heard(room)[1:] if not line.startswith("MESSAGE") and not line.endswith(one.login)]
        whole = [line for line in alice.heard(room) if not line.startswith("MESSAGE") and not line.endswith(one.login)]
        assert whole[-len(later):] == later


def test_a_second_stream_of_one_person_is_seen_by_the_others(person, room):
    alice, bob = person("alice"), person("bob")
    alice.join(room)
    bob.join(room)
    alice.publish(room)
    status, _, name = alice.publish(room, {"name": "screenShare"})
    assert status == "PUBLISHING" and name.endswith("-screenShare")
    assert name in bob.sees_and_hears(room, 2)
    carol = person("carol")
    assert carol.join(room) == "STATE alice:2,bob:0"
    alice.unpublish(room, 1)
    bob.until(room, "UNPUBLISHED alice", 5000)
    carol.until(room, "UNPUBLISHED alice", 5000)


def test_text_of_any_script_arrives_unharmed(person, room):
    alice, bob = person("alice"), person("боб 👋")
    alice.join(room)
    bob.join(room)
    texts = ["Привет, как дела?", "你好，世界", "👩‍👩‍👧 😀 🇺🇦", "שלום مرحبا", "100% %D0%9F", "<b>&amp;</b>\n\"'\\", "a\u0000b\u2028c", "\u0301x" * 50]
    for text in texts:
        assert bob.send(room, text) == []
    for text in texts:
        alice.until(room, "MESSAGE боб 👋 " + text, 5000)
    assert alice.heard(room)[2:] == ["MESSAGE боб 👋 " + text for text in texts]


def test_leaving_and_joining_without_a_pause(person, room):
    alice, bob = person("alice"), person("bob")
    alice.join(room)
    assert [line for line in bob.rejoin(room, 200) if line.startswith("FAILED")] == []
    events = [line for line in alice.heard(room) if line.endswith(" bob")]
    assert events == ["JOINED bob", "LEFT bob"] * 200 + ["JOINED bob"]


def test_a_login_that_is_present_is_refused_and_free_again_after_it_left(person, room):
    alice, other = person("alice"), person("alice")
    alice.join(room)
    assert other.join(room) == "FAILED Room already has user with such login"
    alice.leave(room)
    assert other.join(room) == "STATE "


def test_streams_of_a_room_are_for_its_members(person, a, room):
    alice, eve = person("alice"), person("eve")
    alice.join(room)
    name = alice.publish(room)[2]
    assert eve.playOutside(a.ws, name) == ["FAILED", "Restricted access"]
    by_http = requests.post(f"{a.http}/whep/{name}", data=offer("recvonly"), headers={"Content-Type": "application/sdp"}, timeout=5)
    assert by_http.status_code == 403 and name in by_http.json()["detail"]


def test_who_is_put_out_by_rest_hears_why_and_the_others_hear_of_it(person, a, room):
    alice, bob = person("alice"), person("bob")
    alice.join(room)
    alice.publish(room)
    bob.join(room)
    bob.sees_and_hears(room, 1)
    assert a.rest("room/kick", {"name": room, "login": "alice"}).status == 200
    wait_until(lambda: alice.heard(room)[-1].startswith("FAILED "), 5, lambda: alice.heard(room))
    bob.until(room, "LEFT alice", 5000)
    assert alice.join(room) == "STATE bob:0"


# People who use the pages.

@pytest.fixture
def visit(browser):
    """`visit(url)`: a page in a context of its own that fails the test when a script throws or a file is missing."""
    errors = []
    with contextlib.ExitStack() as stack:
        def open_page(url, width=1280, height=900):
            context = stack.enter_context(browser.new_context(viewport={"width": width, "height": height}, ignore_https_errors=True))
            context.set_default_timeout(20_000)
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("response", lambda response: errors.append(f"{response.status} {response.url}")
                    if response.status >= 400 and "/rest-api/" not in response.url else None)
            page.goto(url)
            return page
        yield open_page
    assert errors == []


def join(page, login, succeeds=True):
    page.get_by_label("Login").fill(login)
    page.get_by_role("button", name="Join").click()
    if succeeds:
        expect(page.locator("#status")).to_have_text("ESTABLISHED")
        expect(page.locator("#localStatus")).to_have_text("PUBLISHING", timeout=15_000)


def sees(page, name):
    """The picture of that tile moves on, and its sound is not silence."""
    page.wait_for_function("""async (name) => {
        const video = document.querySelector(`.tile[aria-label="${name}"] video`);
        if (!video || video.videoWidth === 0) return false;
        const before = video.getVideoPlaybackQuality().totalVideoFrames;
        await new Promise((resolve) => setTimeout(resolve, 300));
        return video.getVideoPlaybackQuality().totalVideoFrames > before + 1;
    }""", arg=name)


def hears(page, name):
    """The fake microphone beeps once a second."""
    assert page.evaluate("""async (name) => {
        const video = document.querySelector(`.tile[aria-label="${name}"] video`);
        const context = new AudioContext();
        const analyser = context.createAnalyser();
        context.createMediaStreamSource(video.srcObject).connect(analyser);
        const samples = new Float32Array(analyser.fftSize);
        const end = performance.now() + 8000;
        let loudest = 0;
        while (performance.now() < end && loudest < 0.01) {
            analyser.getFloatTimeDomainData(samples);
            for (const sample of samples) loudest = Math.max(loudest, Math.abs(sample));
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
        context.close();
        return !video.muted && loudest;
    }""", name) > 0.01


def chat(page):
    return [re.sub(r"^\d\d:\d\d ", "", line) for line in page.locator("#chatLog li").all_inner_texts()]


def picture(page, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    for width, height in ((1280, 900), (360, 740)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        page.screenshot(path=str(PICTURES / f"{name}-{width}.png"), full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("path", CONFERENCE, ids=["own", "vendor"])
def test_a_conference_of_three_on_the_page_and_no_place_for_a_fourth(a, visit, path):
    test = visit(a.http + path)
    expect(test.locator("#urlServer")).to_have_value(a.ws)
    join(test, "test")
    assert chat(test) == ["chat - room is empty"]
    link = test.locator("#inviteLink").get_attribute("href")
    assert re.search(r"\?roomName=room-[0-9a-f]{6}$", link)
    test2 = visit(link)
    join(test2, "test2")
    assert chat(test2) == ["chat - participants: test"]
    test2.get_by_label("Message").fill("this is a test, do you see me?")
    test2.get_by_role("button", name="Send").click()
    expect(test.locator("#chatLog li")).to_have_count(3)
    test.get_by_label("Message").fill("\"zee yal zee yal\", 你好, привет 👋")
    test.get_by_role("button", name="Send").click()
    test3 = visit(link)
    join(test3, "test3")
    for page, others in ((test, ("test2", "test3")), (test2, ("test", "test3")), (test3, ("test", "test2"))):
        for other in others:
            sees(page, other)
            hears(page, other)
    assert chat(test) == [
        "chat - room is empty", "test2 - joined", "test2 - this is a test, do you see me?",
        "test - \"zee yal zee yal\", 你好, привет 👋", "test3 - joined"]
    if path == CONFERENCE[0]:
        picture(test, "conference")
    test4 = visit(link)
    join(test4, "test4", succeeds=False)
    expect(test4.locator("#info")).to_have_text("Current room is full.")
    test3.close()
    expect(test.locator(".tile")).to_have_count(2)
    test2.get_by_role("button", name="Leave").click()
    expect(test.locator(".tile")).to_have_count(1)
    assert chat(test)[-1] == "test2 - left"
    expect(test.locator("#alone")).to_be_visible()


CROWD = """async ([urlServer, room, from, to, cameras]) => {
    // Many people in one tab; the first of them have a camera: more than a few encoders are more than a test machine can run.
    for (let number = from; number <= to; number++) {
        const connection = RoomApi.connect({ urlServer, username: "person " + number });
        await new Promise((resolve, reject) => connection.on("ESTABLISHED", resolve).on("FAILED", reject));
        const stay = connection.join({ name: room });
        await new Promise((resolve, reject) => stay.on("STATE", resolve).on("FAILED", reject));
        if (number > cameras) continue;
        const media = lab.pattern({ width: 160, height: 90, fps: 5 });
        media.setVolume(0);
        const stream = stay.publish({ constraints: { customStream: media } });
        await new Promise((resolve, reject) => stream.on("PUBLISHING", resolve).on("FAILED", reject));
    }
}"""


def test_the_conference_page_holds_two_to_twenty_five_people(a, tab, visit, room):
    page = visit(f"{a.http}/conference.html?roomName={room}&participants=25")
    join(page, "test")
    crowd, there, cameras = tab(a), 1, 9
    for count in (2, 3, 9, 25):
        crowd.page.evaluate(CROWD, [a.ws, room, there + 1, count, cameras])
        there = count
        expect(page.locator(".tile")).to_have_count(count)
        for number in range(2, min(count, cameras) + 1):
            sees(page, f"person {number}")
        picture(page, f"conference-{count}")
    late = visit(f"{a.http}/conference.html?roomName={room}&participants=25")
    join(late, "too late", succeeds=False)
    expect(late.locator("#info")).to_have_text("Current room is full.")


def test_a_video_chat_with_muting_and_stopping(a, visit, room):
    test, test2 = (visit(f"{a.http}/video_chat.html?roomName={room}") for _ in range(2))
    join(test, "test")
    join(test2, "test2")
    sees(test, "test2")
    sees(test2, "test")
    picture(test2, "video-chat")
    test.get_by_role("button", name="Mute A").click()
    expect(test2.get_by_role("listitem", name="test", exact=True).locator(".mute")).to_have_text("sound off")
    test.get_by_role("button", name="Stop").click()
    expect(test.locator("#localStatus")).to_have_text("UNPUBLISHED")
    expect(test2.get_by_role("listitem", name="test", exact=True)).to_contain_text("The camera is off.")
    test.get_by_role("button", name="Publish").click()
    expect(test.locator("#localStatus")).to_have_text("PUBLISHING")
    sees(test2, "test")
    third = visit(f"{a.http}/video_chat.html?roomName={room}")
    join(third, "test3", succeeds=False)
    expect(third.locator("#info")).to_have_text("Current room is full.")


def test_a_shared_screen_is_seen_by_the_other(a, visit, room):
    test, test2 = (visit(f"{a.http}/video_chat_and_screen.html?roomName={room}") for _ in range(2))
    join(test, "test")
    join(test2, "test2")
    sees(test2, "test")
    test.get_by_label("Width").fill("640")
    test.get_by_label("Height").fill("360")
    test.get_by_label("FPS").fill("15")
    test.get_by_role("button", name="Share").click()
    expect(test.locator("#shareStatus")).to_have_text("PUBLISHING", timeout=15_000)
    sees(test2, "test – screen")
    picture(test2, "video-chat-and-screen")
    test.get_by_role("button", name="Unshare").click()
    expect(test2.locator(".tile")).to_have_count(2)
    expect(test2.get_by_role("listitem", name="test – screen")).to_have_count(0)
    sees(test2, "test")


def test_a_login_that_is_taken_is_said_on_the_page(a, visit, room):
    test, other = (visit(f"{a.http}/conference.html?roomName={room}") for _ in range(2))
    join(test, "test")
    join(other, "test", succeeds=False)
    expect(other.locator("#info")).to_have_text("Room already has user with such login.")
    expect(other.get_by_role("button", name="Join")).to_be_enabled()


# People who are lost.

@pytest.fixture
def own_browser(browser):
    """`own_browser()`: a Chromium of the test's own."""
    made = []

    def launch():
        made.append(OwnBrowser(lambda: browser.browser_type.launch(executable_path=chromium.executable(), args=chromium.FLAGS)))
        return made[-1]
    yield launch
    for one in made:
        one.kill()


def lost_tab(own, node):
    """A tab of a browser that does not live to the end: nobody closes it."""
    return chromium.Tab(own.browser.new_context(ignore_https_errors=True), node)


def test_a_browser_that_is_killed_is_gone_for_the_others_at_once(a, person, own_browser, room):
    alice, own = person("alice"), own_browser()
    alice.join(room)
    bob = Person(lost_tab(own, a), a, "bob")
    bob.join(room)
    assert bob.publish(room)[0] == "PUBLISHING"
    alice.sees_and_hears(room, 1)
    start = time.monotonic()
    own.kill()
    alice.until(room, "LEFT bob", 5000)
    print("killed: LEFT after", round(time.monotonic() - start, 2), "s")
    assert time.monotonic() - start < 3
    assert alice.heard(room) == ["STATE ", "JOINED bob", "PUBLISHED bob", "UNPUBLISHED bob", "LEFT bob"]


def test_a_browser_that_falls_silent_is_gone_within_the_documented_time(make_node, tab, own_browser, room):
    """With shorter times than the usual ones: media must be heard of within ice_consent_timeout, a pong within so many pings."""
    consent, interval, probes, idle = 3, 1, 5, 2
    node = make_node(
        "A", ice_consent_timeout=consent * 1000, keep_alive__server_interval=interval * 1000, keep_alive__probes=probes,
        room__idle_timeout=idle * 1000)
    alice, own = Person(tab(node), node, "alice"), own_browser()
    alice.join(room)
    bob = Person(lost_tab(own, node), node, "bob")
    bob.join(room)
    assert bob.publish(room)[0] == "PUBLISHING"
    alice.sees_and_hears(room, 1)
    with own.frozen():
        start = time.monotonic()
        alice.until(room, "UNPUBLISHED bob", 30_000)
        unpublished = time.monotonic() - start
        alice.until(room, "LEFT bob", 30_000)
        left = time.monotonic() - start
    print(f"silent: UNPUBLISHED after {unpublished:.2f} s, LEFT after {left:.2f} s")
    assert alice.heard(room) == ["STATE ", "JOINED bob", "PUBLISHED bob", "UNPUBLISHED bob", "LEFT bob"]
    # The last sign of life may be a check's interval old; on top the turns of timers on a busy machine.
    assert consent - 1.5 <= unpublished <= consent + 3
    assert probes * interval - 1.5 <= left <= (probes + 1) * interval + 3

    # A room whose last participant is lost waits for room.idle_timeout.
    start = time.monotonic()
    alice.disconnect()
    wait_until(lambda: node.rest("room/find", {"name": room}).body[0]["status"] == "IDLE", 2, "the empty room waits", pause=0.05)
    wait_until(lambda: node.rest("room/find", {"name": room}).status == 404, 15, "the empty room ends", pause=0.05)
    assert idle - 0.1 <= time.monotonic() - start <= idle + 3
