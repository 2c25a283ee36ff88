# SPDX-License-Identifier: Apache-2.0
"""The Room API: what it says to a server, and what a page hears of the room it is in."""
import re

import pytest

ROOMS = """
    window.RoomApi = Flashphoner.roomApi;
    window.person = (username, options) => new Promise((resolve, reject) => {
        const connection = RoomApi.connect({urlServer: "ws://example.org:8080", username, ...options});
        connection.on("ESTABLISHED", () => resolve(connection));
        connection.on("FAILED", () => reject(connection.getErrorInfo()));
    });
    // Joins and keeps every event as a line in `room.heard`.
    window.enter = (connection, name, options) => {
        const room = connection.join({name, ...options});
        room.heard = [];
        room.waiting = [];
        const hear = (line) => {
            room.heard.push(line);
            room.waiting = room.waiting.filter(([wanted, resolve]) => wanted !== line || resolve());
        };
        room.until = (line) => room.heard.includes(line) ? Promise.resolve() : new Promise((resolve) => room.waiting.push([line, resolve]));
        room.on("STATE", () => hear("STATE " + room.getParticipants().map((one) => one.name() + ":" + one.getStreams().length).sort()))
            .on("JOINED", (one) => hear("JOINED " + one.name()))
            .on("LEFT", (one) => hear("LEFT " + one.name()))
            .on("PUBLISHED", (one, stream) => hear("PUBLISHED " + one.name() + " " + one.getStreams().includes(stream)))
            .on("UNPUBLISHED", (one, stream) => hear("UNPUBLISHED " + one.name()))
            .on("FAILED", (same, reason) => hear("FAILED " + (same === room) + " " + reason))
            .on("MESSAGE", (message) => hear("MESSAGE " + message.from.name() + " " + message.text));
        return room;
    };
    window.tellRoom = (name, info, roomName = "r1") => fakeServer.tell("OnDataEvent", {payload: {roomName, name, info}});
    window.settle = () => new Promise((resolve) => setTimeout(resolve, 30));
"""


@pytest.fixture
def run(sdk):
    sdk.evaluate("() => {" + ROOMS + "}")
    return lambda body: sdk.evaluate("async () => {" + body + "}")


def test_a_connection_carries_the_login_and_a_join_the_name(run):
    connection, commands = run("""
        const alice = await person("alice", {token: "secret"});
        const room = enter(alice, "r1", {record: true});
        await room.until("STATE ");
        await room.leave();
        return [fakeServer.sent("connection").at(-1), fakeServer.sent("sendData").map((data) => data.payload)];
    """)
    assert (connection["appKey"], connection["custom"]) == ("roomApp", {"login": "alice", "token": "secret"})
    assert commands == [
        {"command": "join", "options": {"name": "r1", "record": True}},
        {"command": "leave", "options": {"name": "r1"}},
    ]


def test_without_a_wish_about_recording_none_is_sent(run):
    assert run("""
        await enter(await person("alice"), "r1").until("STATE ");
        return fakeServer.sent("sendData")[0].payload.options;
    """) == {"name": "r1"}


def test_people_see_each_other_come_publish_and_go(run):
    alice, bob, played, names = run("""
        const a = enter(await person("alice"), "r1");
        await a.until("STATE ");
        a.publish({display: display(), constraints: {audio: true, video: true}, record: false, receiveVideo: false, receiveAudio: false});
        a.publish({display: display(), name: "screenShare", constraints: {audio: false, video: true}});
        while (fakeServer.streams.size < 2 || ![...fakeServer.streams.values()].every((stream) => stream.live)) await settle();
        const connection = await person("bob");
        const b = enter(connection, "r1");
        await b.until("STATE alice:2");
        await a.until("JOINED bob");
        const streams = b.getParticipants()[0].getStreams();
        const place = display();
        const played = streams[0].play(place, {constraints: {audio: {deviceId: "default"}}});
        await reached(played, "PLAYING", "FAILED");
        const result = [played.status(), streams[0].id() === played.id(), place.querySelectorAll("video").length, streams.map((one) => one.isScreenShare()).sort()];
        const camera = b.publish({display: display()});
        await a.until("PUBLISHED bob true");
        camera.stop();
        await a.until("UNPUBLISHED bob");
        streams[0].stop();
        await reached(played, "STOPPED");
        await b.leave();
        await a.until("LEFT bob");
        return [a.heard, b.heard, result, fakeServer.sent("publishStream").map((data) => [data.name, data.custom])];
    """)
    assert alice == ["STATE ", "JOINED bob", "PUBLISHED bob true", "UNPUBLISHED bob", "LEFT bob"]
    assert bob == ["STATE alice:2"]
    assert played == ["PLAYING", True, 1, [False, True]]
    for (name, custom), pattern in zip(names, (r"r1-alice-[0-9a-f]{4}", r"r1-alice-[0-9a-f]{4}-screenShare", r"r1-bob-[0-9a-f]{4}")):
        assert re.fullmatch(pattern, name) and custom == {"name": "r1"}


def test_text_of_any_script_arrives_unharmed(run):
    texts = ["Привет, как дела?", "你好", "👩‍👩‍👧 😀", "100% %D0", "<b>&amp;</b>\nline", "a\u0000b\u2028c"]
    heard, lost = run(f"""
        const a = enter(await person("alice"), "r1");
        await a.until("STATE ");
        const b = enter(await person("bob"), "r1");
        await b.until("STATE alice:0");
        const lost = [];
        for (const text of {texts!r}) lost.push(await b.getParticipants()[0].sendMessage(text));
        return [a.heard.filter((line) => line.startsWith("MESSAGE")), lost];
    """)
    assert heard == ["MESSAGE bob " + text for text in texts]
    assert lost == [True] * len(texts)


def test_a_message_that_is_refused_is_told_to_who_asked(run):
    assert run("""
        const a = enter(await person("alice"), "r1");
        await a.until("STATE ");
        tellRoom("JOINED", "ghost");
        const [ghost] = a.getParticipants();
        const reasons = [];
        const taken = await ghost.sendMessage("boo", (reason) => reasons.push(reason));
        return [taken, reasons, await a.sendMessage("to all")];
    """) == [False, ["Nobody of this name is in the room"], ["ghost"]]


def test_a_refused_join_is_a_failed_room_and_nothing_else(run):
    assert run("""
        fakeServer.options.refuseJoin = "Room already has user with such login";
        const alice = await person("alice");
        const a = enter(alice, "r1");
        await a.until("FAILED true Room already has user with such login");
        tellRoom("STATE", []);
        tellRoom("JOINED", "bob");
        await settle();
        return [a.heard, alice.getRooms().length, alice.status()];
    """) == [["FAILED true Room already has user with such login"], 0, "ESTABLISHED"]


def test_a_second_join_that_is_refused_leaves_the_first_stay_alone(run):
    assert run("""
        const alice = await person("alice");
        const a = enter(alice, "r1");
        await a.until("STATE ");
        const again = enter(alice, "r1");
        await again.until("FAILED true Room already has user with such login");
        await enter(await person("bob"), "r1").until("STATE alice:0");
        await a.until("JOINED bob");
        return [again.heard, alice.getRooms().length];
    """) == [["FAILED true Room already has user with such login"], 1]


def test_leave_and_join_at_once_two_hundred_times(run):
    stays, bob, rooms = run("""
        const b = enter(await person("bob"), "r1");
        await b.until("STATE ");
        const alice = await person("alice");
        const stays = [];
        for (let i = 0; i < 200; i++) {
            stays.push(enter(alice, "r1"));
            if (i < 199) stays.at(-1).leave();
        }
        await stays.at(-1).until("STATE bob:0");
        await settle();
        return [stays.map((stay) => stay.heard), b.heard, alice.getRooms().length];
    """)
    assert stays == [[]] * 199 + [["STATE bob:0"]]
    assert bob == ["STATE "] + ["JOINED alice", "LEFT alice"] * 199 + ["JOINED alice"]
    assert rooms == 1


def test_several_rooms_on_one_connection_are_kept_apart(run):
    assert run("""
        const alice = await person("alice");
        const one = enter(alice, "r1"), two = enter(alice, "r2");
        await one.until("STATE "); await two.until("STATE ");
        await enter(await person("bob"), "r2").until("STATE alice:0");
        await two.until("JOINED bob");
        await two.leave();
        return [one.heard, two.heard, alice.getRooms().map((room) => room.name())];
    """) == [["STATE "], ["STATE ", "JOINED bob"], ["r1"]]


def test_events_of_unknown_people_and_nonsense_do_no_harm(run):
    assert run("""
        const a = enter(await person("alice"), "r1");
        await a.until("STATE ");
        tellRoom("LEFT", "nobody");
        tellRoom("UNPUBLISHED", {login: "nobody", name: "x"});
        tellRoom("FAILED", {login: "nobody", name: "x"});
        tellRoom("MESSAGE", {from: "gone", text: "bye"});
        tellRoom("PUBLISHED", {login: "early", name: "r1-early-0000"});
        tellRoom("PUBLISHED", {login: "early", name: "r1-early-0000"});
        tellRoom("JOINED", "early");
        tellRoom("JOINED", "__proto__");
        for (const nonsense of [null, 5, "", {}, [], {login: 7}]) {
            for (const name of ["JOINED", "LEFT", "PUBLISHED", "UNPUBLISHED", "FAILED", "MESSAGE", "NEWS"]) tellRoom(name, nonsense);
        }
        tellRoom("STATE", ["again"]);
        for (const data of [null, {}, {payload: null}, {payload: "x"}, {payload: {roomName: "r1"}}, {payload: {roomName: "other", name: "JOINED", info: "x"}}]) {
            fakeServer.tell("OnDataEvent", data);
        }
        return a.heard;
    """) == ["STATE ", "MESSAGE gone bye", "JOINED early", "PUBLISHED early true", "JOINED __proto__"]


def test_a_state_lists_people_with_and_without_streams(run):
    assert run("""
        const alice = await person("alice");
        fakeServer.sockets.at(-1).command = () => null;
        const a = enter(alice, "r1");
        await settle();
        tellRoom("STATE", ["bob", {login: "carol", name: "s1"}, {login: "carol", name: "s2"}, {login: "dave"}, null, 7, "bob"]);
        const empty = enter(alice, "r2");
        tellRoom("STATE", null, "r2");
        return [a.heard, empty.heard];
    """) == [["STATE bob:0,carol:2,dave:0"], ["STATE "]]


def test_leaving_ends_the_streams_of_the_room_and_closes_the_camera(run):
    assert run("""
        const a = enter(await person("alice"), "r1");
        await a.until("STATE ");
        const place = display();
        const stream = a.publish({display: place, cacheLocalResources: false});
        await reached(stream, "PUBLISHING");
        const media = place.querySelector("video").srcObject;
        const left = await a.leave();
        if (stream.status() !== "UNPUBLISHED") await reached(stream, "UNPUBLISHED");
        let refusal = "";
        try { a.publish({display: place}); } catch (error) { refusal = error.message; }
        const order = fakeServer.frames.slice(-2).map((frame) => frame.data[0].payload?.command ?? frame.message);
        return [left === a, a.leave() === a.leave(), media.getTracks().map((track) => track.readyState), refusal, order];
    """) == [True, True, ["ended", "ended"], "The room was left; nothing can be published or played in it any more.", ["leave", "unPublishStream"]]


def test_a_leave_the_server_objects_to_rejects_with_the_room(run):
    assert run("""
        const alice = await person("alice");
        const a = enter(alice, "r1");
        await a.until("STATE ");
        fakeServer.rooms.clear();
        const outcome = await a.leave().then(() => "left", (room) => room === a);
        return [outcome, alice.getRooms().length];
    """) == [True, 0]


def test_a_lost_connection_ends_every_stay(run):
    assert run("""
        const alice = await person("alice");
        const a = enter(alice, "r1");
        await a.until("STATE ");
        const told = new Promise((resolve) => alice.on("DISCONNECTED", (session) => resolve(session === alice)));
        fakeServer.sockets.at(-1).close();
        return [await told, alice.status(), alice.getRooms().length, await a.leave().catch((room) => room === a)];
    """) == [True, "DISCONNECTED", 0, True]


def test_whoever_is_put_out_of_a_room_is_told_so(run):
    assert run("""
        const alice = await person("alice");
        const one = enter(alice, "r1"), two = enter(alice, "r2");
        await one.until("STATE "); await two.until("STATE ");
        const stream = one.publish({display: display()});
        await reached(stream, "PUBLISHING");
        fakeServer.tell("fail", {info: "You have been removed", roomName: "r1", roomEvent: "KICKED"});
        fakeServer.tell("fail", {info: "What room?", roomName: "r3", roomEvent: "KICKED"});
        await reached(stream, "UNPUBLISHED");
        return [one.heard, two.heard, alice.getRooms().map((room) => room.name()), await one.leave() === one];
    """) == [["STATE ", "FAILED true You have been removed"], ["STATE "], ["r2"], True]


def test_joining_before_the_connection_stands_fails_the_room(run):
    assert run("""
        const alice = RoomApi.connect({urlServer: "ws://example.org:8080", username: "alice"});
        const a = enter(alice, "r1");
        await settle();
        return a.heard;
    """) == ["FAILED true The session is not in the state this call needs"]


def test_what_is_missing_is_said(run):
    assert run("""
        const said = (action) => { try { action(); return ""; } catch (error) { return error.message; } };
        const alice = await person("alice");
        return [said(() => RoomApi.connect({urlServer: "ws://x:1"})), said(() => alice.join({})), said(() => RoomApi.connect({username: "a"}))];
    """) == ["connect() needs the option username", "join() needs the name of a room", "createSession needs the option urlServer"]


def test_the_classic_script_sets_the_names_that_pages_use(page, origin):
    page.goto(origin + "/player.html")
    page.evaluate("() => { document.body.innerHTML = ''; }")
    page.add_script_tag(url=origin + "/client2/flashphoner-room-api.js")
    assert page.evaluate("""() => [RoomApi === Flashphoner.roomApi, RoomApi.sdk === Flashphoner, RoomApi.events.STATE,
        Flashphoner.constants.STREAM_EVENT_TYPE.AUDIO_LEVEL]""") == [True, True, "STATE", "audioLevel"]
