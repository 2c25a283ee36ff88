# SPDX-License-Identifier: Apache-2.0
"""Rooms by RTMP: a browser, an encoder with the simple address, and a client that speaks the room commands; all meet all."""
import pathlib
import re
import secrets

import pytest

from harness import records, rtmp
from harness.rtmp import Encoder, RtmpClient
from harness.waiting import wait_until
from test_rooms import Person


@pytest.fixture
def room():
    return "room-" + secrets.token_hex(3)


@pytest.fixture
def person(tab, a):
    return lambda login, node=a: Person(tab(node), node, login)


@pytest.fixture
def member():
    """`member(node, "carol")`: a room client that speaks AMF."""
    made = []

    def make(node, login, **parameters):
        made.append(RtmpClient(node, appKey="flashRoomApp", login=login, **parameters))
        return made[-1]
    yield make
    for one in made:
        one.close()


def messages_of(path):
    """The media of an FLV file as a client sends it: (kind, milliseconds, payload)."""
    data, offset, messages = pathlib.Path(path).read_bytes(), 13, []
    while offset + 11 <= len(data):
        kind, size = data[offset], int.from_bytes(data[offset + 1:offset + 4], "big")
        time = int.from_bytes(data[offset + 4:offset + 7], "big")
        if kind in (8, 9):
            messages.append((kind, time, data[offset + 11:offset + 11 + size]))
        offset += 11 + size + 4
    return messages


def test_a_browser_an_encoder_and_a_client_with_commands_meet(a, person, encoder, member, room, tmp_path):
    bob = person("bob")
    assert bob.join(room) == "STATE "
    _, _, of_bob = bob.publish(room)
    # The simple address: joins, publishes, is seen by the browser.
    camera = encoder(f"{a.rtmp}/live?roomName={room}&login=Camera2/any")
    bob.until(room, "JOINED Camera2")
    bob.until(room, "PUBLISHED Camera2")
    # A client with commands: is told who is there.
    carol = member(a, "carol")
    assert carol.connected[0] == "_result"
    assert carol.command("join", {"name": room})["status"] == "ACCEPTED"
    state = carol.event("STATE")["info"]
    assert {(one["login"], one["name"]) for one in state} == {("bob", of_bob), ("Camera2", f"{room}-Camera2-any")}
    bob.until(room, "JOINED carol")
    # Publishes: what an encoder has made, in a loop.
    recorded = tmp_path / "second.flv"
    Encoder(str(recorded), tmp_path / "second.log", seconds=2).process.wait(20)
    carol_name, camera_name = f"{room}-carol-cam", f"{room}-Camera2-any"
    carol.publish(carol_name, messages_of(recorded))
    bob.until(room, "PUBLISHED carol")
    assert a.streams(name=carol_name, published=True)[0]["mediaProvider"] == "Flash"
    # Everybody sees and hears everybody else. The browser:
    assert bob.sees_and_hears(room, 2) == {carol_name, camera_name}
    # The client with commands:
    for name in (of_bob, camera_name):
        number = carol.play(name)
        wait_until(lambda: carol.received[number, 9] > 10 and carol.received[number, 8] > 10, 15, lambda: f"{name}: {carol.received}")
    # ffmpeg, which needs a login of its own for each connection:
    for index, name in enumerate((of_bob, carol_name)):
        rtmp.fetch(f"{a.rtmp}/live?roomName={room}&login=Viewer{index}/{name}", tmp_path / f"{index}.flv", 2)
        found = records.look(tmp_path / f"{index}.flv")
        assert len(found.frames) > 10 and found.loudness(found.sound_start, found.sound_start + 2) > 0.01, name
    # Texts both ways.
    assert carol.command("sendMessage", {"roomConfig": {"name": room}, "to": "bob", "text": "grüß dich"})["status"] == "ACCEPTED"
    bob.until(room, "MESSAGE carol grüß dich")
    bob.send(room, "hello")
    carol.event("MESSAGE", lambda info: info == {"from": "bob", "text": "hello"})
    # Who isn't in the room may not play.
    stranger = RtmpClient(a)
    stranger.play(of_bob)
    assert "Restricted" in stranger.status("NetStream.Play.Failed")
    stranger.close()
    # The end of each.
    camera.stop()
    carol.event("UNPUBLISHED", lambda info: info["login"] == "Camera2") if not carol.events("FAILED") else None
    carol.event("LEFT", lambda info: info == "Camera2")
    assert carol.command("leave", {"name": room})["status"] == "ACCEPTED"
    bob.until(room, "LEFT carol")


def test_refusals_are_told_in_words(a, member, room):
    first = member(a, "dora")
    assert first.command("join", {"name": room})["status"] == "ACCEPTED"
    second = member(a, "dora")
    refused = second.command("join", {"name": room})
    assert (refused["status"], refused["info"]) == ("FAILED", "Room already has user with such login")
    # By the simple address the connection itself is refused.
    third = RtmpClient(a, app=f"live?roomName={room}&login=dora")
    assert third.connected[0] == "_error" and third.connected[1][1]["code"] == "NetConnection.Connect.Rejected"
    assert "such login" in third.connected[1][1]["description"]
    third.close()
    assert "Unknown room command" in first.command("dance", {"name": room})["info"]
    # One that is gone without a word leaves its room.
    first.close()
    wait_until(lambda: member(a, "dora").command("join", {"name": room})["status"] == "ACCEPTED", 5, "its place is free")
