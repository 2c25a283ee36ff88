# SPDX-License-Identifier: Apache-2.0
"""Who speaks in a room: marked for everybody, and with room.loudest_only the only ones whose sound is forwarded."""
import contextlib
import re
import secrets
import statistics
import wave

import numpy
import pytest
from playwright.sync_api import expect

from harness import chromium
from harness.waiting import wait_until
from test_rooms import Person, join


@pytest.fixture
def room():
    return "room-" + secrets.token_hex(3)


@pytest.fixture
def person(tab, a):
    return lambda login, node=a: Person(tab(node), node, login)


def meet(person, room, *logins, node=None):
    """People who all publish in silence, and play each other."""
    people = [person(login, node) if node else person(login) for login in logins]
    for one in people:
        one.join(room)
        assert one.publish(room, {}, 0)[0] == "PUBLISHING"
    for one in people:
        wait_until(lambda: [entry["status"] for entry in one.played(room).values()] == ["PLAYING"] * (len(people) - 1), 15,
                   lambda: f"everybody plays: {one.played(room)}")
    return people


def stream_of(listener, room, login):
    return next(name for name in listener.played(room) if f"-{login}-" in name)


def test_the_loudest_is_told_to_all_and_the_mark_follows_the_conversation(person, room):
    people = meet(person, room, "alice", "bob", "carol")
    alice, bob, carol = people

    def marked(login):
        wait_until(lambda: all(one.speakers(room)[-1:] == [login] for one in people), 5,
                   lambda: f"{login} is marked: {[one.speakers(room) for one in people]}")
    assert [one.speakers(room) for one in people] == [[], [], []]
    alice.speak(room, 0.3)
    marked("alice")
    # Quieter than Alice, then she stops, then louder than Bob.
    bob.speak(room, 0.05)
    dave = person("dave")
    dave.join(room)
    wait_until(lambda: dave.speakers(room) == ["alice"], 5, lambda: f"a late one is told: {dave.speakers(room)}")
    assert [one.speakers(room) for one in people] == [["alice"]] * 3
    alice.speak(room, 0)
    marked("bob")
    carol.speak(room, 0.8)
    marked("carol")
    for one in (bob, carol):
        one.speak(room, 0)
    marked("-")
    # The old mark always goes before the new one comes.
    assert [one.speakers(room) for one in people] == [["alice", "-", "bob", "-", "carol", "-"]] * 3


def test_silence_is_not_forwarded_and_speech_is_heard_from_its_beginning(make_node, person, room, a):
    figures = {}
    for node, name in ((a, "all"), (make_node("A", room__loudest_only=True), "loudest only")):
        alice, bob = meet(person, room, "alice", "bob", node=node)
        stream = stream_of(bob, room, "alice")
        if name == "loudest only":
            def is_silent():
                before = bob.played(room)[stream]["audioPackets"]
                bob.tab.page.wait_for_timeout(500)
                return bob.played(room)[stream]["audioPackets"] == before
            wait_until(is_silent, 5, "no sound of a silent one is forwarded", pause=0)
            before = bob.played(room)[stream]
            # The picture goes on, the sound stays away: watched for 75 frames.
            wait_until(lambda: bob.played(room)[stream]["frames"] > before["frames"] + 75, 15, "the picture goes on")
            assert bob.played(room)[stream]["audioPackets"] == before["audioPackets"]
        delays, energies = [], []
        for _ in range(6):
            energy = bob.played(room)[stream]["energy"]
            bob.listen(room, stream)
            start = alice.speak(room, 0.5, 400)
            delays.append(bob.heardAt(room) - start)
            # Long enough for the silence to be withheld again.
            bob.tab.page.wait_for_timeout(1800)
            energies.append(bob.played(room)[stream]["energy"] - energy)
        assert bob.played(room)[stream]["audioLost"] == 0
        figures[name] = (min(delays), statistics.median(energies))
        for one in (alice, bob):
            one.disconnect()
    print("ms until heard, energy:", figures)
    (delay, energy), (delay_withheld, energy_withheld) = figures["all"], figures["loudest only"]
    assert delay_withheld <= delay + 100, figures
    # 400 ms of a tone. Browsers play a burst, the beginning that is sent after all, a little faster until they have caught up.
    assert energy_withheld >= 0.75 * energy, figures


def test_muting_ends_the_mark_and_who_sends_no_levels_is_always_heard(make_node, person, aiortc, client, room):
    node = make_node("A", room__loudest_only=True)
    alice, bob = meet(person, room, "alice", "bob", node=node)
    alice.speak(room, 0.5)
    wait_until(lambda: bob.speakers(room) == ["alice"], 5, lambda: bob.speakers(room))
    alice.mute(room, True)
    wait_until(lambda: bob.speakers(room) == ["alice", "-"], 6, lambda: bob.speakers(room))
    dave = client(node.ws, custom={"login": "dave"})
    dave.send("sendData", {"operationId": "1", "payload": {"command": "join", "options": {"name": room}}})
    dave.wait_for("DataStatusEvent", operationId="1")
    stream = aiortc.publish(node, f"{room}-dave-0000", session=dave, start=False)

    def publish(name, offer, media_session):
        dave.publish(name, re.sub(r"a=extmap:\d+ urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n", "", offer), media_session, custom={"name": room})
    stream._negotiate(publish)
    wait_until(lambda: any("-dave-" in name for name in bob.played(room)), 10, "Dave's stream is played")
    stream = stream_of(bob, room, "dave")
    wait_until(lambda: bob.played(room)[stream]["audioPackets"] > 100, 15, lambda: bob.played(room)[stream])
    assert bob.speakers(room) == ["alice", "-"]


def write_sound(path, loudness):
    """A fake microphone: ten seconds of a tone as speech has its syllables, or silence."""
    time = numpy.arange(480_000) / 48_000
    syllables = numpy.clip(numpy.sin(2 * numpy.pi * 3 * time) + 0.3, 0, 1)
    voice = sum(numpy.sin(2 * numpy.pi * 140 * k * time) / k for k in range(1, 20))
    samples = (loudness * 12_000 * syllables * voice / numpy.abs(voice).max()).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(samples.tobytes())
    return path


def test_the_page_marks_the_one_whose_microphone_speaks(a, browser, room, tmp_path):
    """Two browsers of their own, so that each has a microphone of its own: a file with a voice, a file with silence."""
    with contextlib.ExitStack() as stack:
        pages = []
        for login, loudness in (("speaker", 1), ("listener", 0)):
            sound = write_sound(tmp_path / f"{login}.wav", loudness)
            flags = chromium.FLAGS + [f"--use-file-for-fake-audio-capture={sound}"]
            own = browser.browser_type.launch(executable_path=chromium.executable(), args=flags)
            stack.callback(own.close)
            page = own.new_page()
            page.goto(f"{a.http}/conference.html?roomName={room}")
            join(page, login)
            pages.append(page)
        for page in pages:
            expect(page.locator('.tile[aria-label="speaker"]')).to_have_attribute("data-loudest", "", timeout=15_000)
            expect(page.locator(".tile[data-loudest]")).to_have_count(1)
        pages[0].get_by_role("button", name="Mute A").click()
        for page in pages:
            expect(page.locator(".tile[data-loudest]")).to_have_count(0)
