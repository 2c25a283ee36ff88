# SPDX-License-Identifier: Apache-2.0
"""The room pages used as a person would use them; the other people are further connections of the same page. Pictures of the
pages land in EndToEnd/out/web."""
import pathlib
import re

import pytest

expect = pytest.importorskip("playwright.sync_api").expect

OUT = pathlib.Path(__file__).resolve().parents[1] / "out" / "web"
CONFERENCE = "/conference.html"
PAGES = {
    "/conference.html": "/client2/examples/demo/streaming/conference/conference.html",
    "/video_chat.html": "/client2/examples/demo/streaming/video-chat/video-chat.html",
    "/video_chat_and_screen.html":
        "/client2/examples/demo/streaming/video-chat-and-screen-sharing/video-chat-and-screen-sharing.html",
}
# `others`: people of this page beside the one who uses it. Each publishes a drawn picture and keeps what is said to it.
OTHERS = """async () => {
    const { default: Flashphoner, RoomApi } = await import("/sdk/flashphoner.js");
    const picture = (colour) => {
        const canvas = document.createElement("canvas");
        canvas.width = 320; canvas.height = 180;
        const context = canvas.getContext("2d");
        setInterval(() => { context.fillStyle = colour; context.fillRect(0, 0, 320, 180); }, 100);
        const media = canvas.captureStream(10);
        const audio = new AudioContext();
        media.addTrack(audio.createMediaStreamDestination().stream.getAudioTracks()[0]);
        return media;
    };
    window.others = {};
    window.otherPublish = async (username, name, colour) => {
        const stream = others[username].room.publish({ name, constraints: { customStream: picture(colour) }, display: null });
        await new Promise((resolve) => { stream.on("PUBLISHING", resolve); });
        others[username].streams.push(stream);
    };
    window.bring = async (username, roomName, colour) => {
        const connection = RoomApi.connect({ urlServer: "ws://x:1", username });
        await new Promise((resolve) => connection.on("ESTABLISHED", resolve));
        const room = connection.join({ name: roomName });
        const other = others[username] = { connection, room, heard: [], streams: [] };
        room.on("MESSAGE", (message) => other.heard.push(message.from.name() + ": " + message.text));
        await new Promise((resolve) => room.on("STATE", resolve));
        if (colour) await otherPublish(username, undefined, colour);
    };
}"""


def picture(page, name):
    """Takes the page at desk and phone width and fails when it has to be scrolled sideways."""
    OUT.mkdir(parents=True, exist_ok=True)
    for width, height in ((1280, 900), (360, 740)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        page.screenshot(path=str(OUT / f"{name}-{width}.png"), full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})


@pytest.fixture
def visit(page, origin):
    def open_page(path, query="roomName=r1"):
        page.goto(f"{origin}{path}?{query}")
        page.evaluate(OTHERS)
        return page
    return open_page


def bring(page, name, colour=None, room="r1"):
    page.evaluate("([name, room, colour]) => bring(name, room, colour)", [name, room, colour])


def join(page, login="test"):
    page.get_by_label("Login").fill(login)
    page.get_by_role("button", name="Join").click()


def chat(page):
    return [re.sub(r"^\d\d:\d\d ", "", line) for line in page.locator("#chatLog li").all_inner_texts()]


def tile(page, name):
    return page.get_by_role("listitem", name=name, exact=True)


def shows_video(page, name):
    page.wait_for_function("""(name) => {
        const video = document.querySelector(`.tile[aria-label="${name}"] video`);
        return video?.videoWidth > 0 && !video.paused;
    }""", arg=name)


@pytest.mark.parametrize("path", [path for pair in PAGES.items() for path in pair])
def test_a_person_joins_publishes_and_leaves(visit, path):
    page = visit(path)
    join(page)
    expect(page.locator("#status")).to_have_text("ESTABLISHED")
    expect(page.locator("#localStatus")).to_have_text("PUBLISHING")
    shows_video(page, "test")
    expect(page.locator("#chatLog li")).to_have_text(re.compile(r"^\d\d:\d\d chat - room is empty$"))
    expect(page.locator("#alone")).to_be_visible()
    expect(page.locator("#inviteLink")).to_have_attribute("href", re.compile(re.escape(path) + r"\?roomName=r1$"))
    page.get_by_role("button", name="Leave").click()
    expect(page.locator("#status")).to_have_text("DISCONNECTED")
    expect(page.locator("#info")).to_have_text("You have left the room.")
    expect(page.locator(".tile")).to_have_count(0)
    expect(page.locator("#inviteLink")).to_be_hidden()
    assert page.evaluate("fakeServer.rooms.size") == 0
    assert page.evaluate("fakeServer.streams.size") == 0
    join(page)
    expect(page.locator("#localStatus")).to_have_text("PUBLISHING")


def test_a_room_of_ones_own_gets_a_name_of_its_own(visit):
    page = visit(CONFERENCE, "")
    join(page)
    expect(page.locator("#inviteLink")).to_have_text(re.compile(r"/conference\.html\?roomName=room-[0-9a-f]{6}$"))
    name = page.evaluate("[...fakeServer.rooms.keys()][0]")
    assert page.locator("#inviteLink").inner_text().endswith(name)


def test_three_people_see_and_write_to_each_other(visit):
    page = visit(CONFERENCE)
    bring(page, "test2", "teal")
    join(page)
    expect(page.locator("#localStatus")).to_have_text("PUBLISHING")
    shows_video(page, "test2")
    assert chat(page) == ["chat - participants: test2"]
    bring(page, "test3", "purple")
    shows_video(page, "test3")
    page.get_by_label("Message").fill("Привет 你好 👋 <b>&amp;</b> 100%")
    page.get_by_role("button", name="Send").click()
    page.wait_for_function("others.test2.heard.length === 1 && others.test3.heard.length === 1")
    assert page.evaluate("others.test3.heard") == ["test: Привет 你好 👋 <b>&amp;</b> 100%"]
    page.evaluate("others.test2.room.sendMessage('this is a test, do you see me?')")
    page.evaluate("others.test3.room.sendMessage(encodeURIComponent('\"zee yal\", сказал кролик'))")
    page.wait_for_function("document.querySelectorAll('#chatLog li').length === 5")
    assert chat(page) == [
        "chat - participants: test2", "test3 - joined", "test - Привет 你好 👋 <b>&amp;</b> 100%",
        "test2 - this is a test, do you see me?", 'test3 - "zee yal", сказал кролик',
    ]
    picture(page, "conference-three")
    page.evaluate("others.test2.connection.disconnect()")
    expect(tile(page, "test2")).to_have_count(0)
    page.evaluate("others.test3.room.leave()")
    expect(page.locator(".tile")).to_have_count(1)
    assert chat(page)[-2:] == ["test2 - left", "test3 - left"]


def test_a_full_room_is_said_and_left(visit):
    page = visit("/video_chat.html")
    bring(page, "test2")
    bring(page, "test3")
    join(page)
    expect(page.locator("#info")).to_have_text("Current room is full.")
    expect(page.get_by_role("button", name="Join")).to_be_enabled()
    assert [member["login"] for member in page.evaluate("fakeServer.rooms.get('r1').map(({login}) => ({login}))")] == ["test2", "test3"]
    page.evaluate("others.test3.room.leave()")
    join(page)
    expect(page.locator("#localStatus")).to_have_text("PUBLISHING")


def test_the_address_says_how_many_people_a_conference_is_for(visit):
    page = visit(CONFERENCE, "roomName=r1&participants=5")
    for number in range(2, 6):
        bring(page, f"test{number}", "teal")
    join(page)
    expect(page.locator(".tile")).to_have_count(5)
    expect(page.locator("#inviteLink")).to_have_attribute("href", re.compile(r"participants=5"))


def test_a_login_that_is_taken_is_said(visit):
    page = visit(CONFERENCE)
    bring(page, "test")
    join(page)
    expect(page.locator("#info")).to_have_text("Room already has user with such login.")
    expect(page.get_by_role("button", name="Join")).to_be_enabled()
    page.get_by_label("Login").fill("")
    page.get_by_role("button", name="Join").click()
    expect(page.locator("#login")).to_have_attribute("aria-invalid", "true")


def test_whoever_is_put_out_is_told_why(visit):
    page = visit(CONFERENCE)
    join(page)
    expect(page.locator("#localStatus")).to_have_text("PUBLISHING")
    page.evaluate('fakeServer.tell("fail", {info: "You have been removed from room \\"r1\\"", roomName: "r1", roomEvent: "KICKED"})')
    expect(page.locator("#info")).to_have_text('You have been removed from room "r1".')
    expect(page.locator(".tile")).to_have_count(0)
    expect(page.get_by_role("button", name="Join")).to_be_enabled()


def test_muting_stopping_and_publishing_again(visit):
    page = visit(CONFERENCE)
    bring(page, "test2", "teal")
    join(page)
    expect(page.locator("#localStatus")).to_have_text("PUBLISHING")
    page.get_by_role("button", name="Mute A").click()
    expect(page.get_by_role("button", name="Unmute A")).to_have_attribute("aria-pressed", "true")
    expect(tile(page, "test").locator(".mute")).to_have_text("sound off")
    page.get_by_role("button", name="Mute V").click()
    expect(tile(page, "test").locator(".mute")).to_have_text("sound off, picture off")
    shows_video(page, "test2")
    page.evaluate("others.test2.streams[0].muteAudio()")
    expect(tile(page, "test2").locator(".mute")).to_have_text("sound off")
    page.evaluate("others.test2.streams[0].unmuteAudio()")
    expect(tile(page, "test2").locator(".mute")).to_have_text("")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#localStatus")).to_have_text("UNPUBLISHED")
    expect(tile(page, "test")).to_contain_text("Your camera is off.")
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("#localStatus")).to_have_text("PUBLISHING")
    page.evaluate("others.test2.streams[0].stop()")
    expect(tile(page, "test2")).to_contain_text("The camera is off.")


def test_screens_of_both_sides_are_shown_beside_the_cameras(visit):
    page = visit("/video_chat_and_screen.html")
    bring(page, "test2", "teal")
    join(page)
    shows_video(page, "test2")
    page.evaluate("otherPublish('test2', 'screenShare', 'navy')")
    shows_video(page, "test2 – screen")
    page.evaluate("""() => {
        window.asked = null;
        navigator.mediaDevices.getDisplayMedia = async (constraints) => {
            window.asked = constraints;
            const canvas = document.createElement("canvas");
            const context = canvas.getContext("2d");
            setInterval(() => { context.fillStyle = "olive"; context.fillRect(0, 0, 300, 150); }, 100);
            return canvas.captureStream(10);
        };
    }""")
    page.get_by_label("FPS").fill("12")
    page.get_by_label("Width").fill("640")
    page.get_by_label("Height").fill("480")
    page.get_by_role("button", name="Share").click()
    expect(page.locator("#shareStatus")).to_have_text("PUBLISHING")
    shows_video(page, "test – screen")
    assert page.evaluate("asked.video") == {"width": {"ideal": 640}, "height": {"ideal": 480}, "frameRate": {"ideal": 12}}
    assert page.evaluate("others.test2.room.getParticipants()[0].getStreams().map((one) => one.isScreenShare()).sort()") == [False, True]
    picture(page, "video-chat-and-screen")
    page.get_by_role("button", name="Unshare").click()
    expect(tile(page, "test – screen")).to_have_count(0)
    page.evaluate("others.test2.streams[1].stop()")
    expect(tile(page, "test2 – screen")).to_have_count(0)
    expect(page.locator(".tile")).to_have_count(2)


def test_the_loudest_speaker_is_marked(visit):
    page = visit(CONFERENCE)
    bring(page, "test2", "teal")
    bring(page, "test3", "purple")
    join(page)
    shows_video(page, "test2")
    shows_video(page, "test3")
    tell = """([login, payload]) => {
        const stream = [...fakeServer.streams.values()].find((one) => !one.published && one.name.includes(login));
        stream.socket.deliver("notifyStreamEvent", [{ mediaSessionId: stream.mediaSessionId, type: "audioLevel", payload }]);
    }"""
    page.evaluate(tell, ["test2", {"level": 20, "loudest": True}])
    expect(tile(page, "test2")).to_have_attribute("data-loudest", "")
    page.evaluate(tell, ["test2", {"level": 60, "loudest": False}])
    expect(page.locator("[data-loudest]")).to_have_count(0)
    # A server that tells levels alone leaves the judgement to the page.
    page.evaluate(tell, ["test2", {"level": 40}])
    page.evaluate(tell, ["test3", {"level": 30}])
    expect(page.locator("[data-loudest]")).to_have_count(1)
    expect(tile(page, "test3")).to_have_attribute("data-loudest", "")
    expect(page.locator("[data-loudest]")).to_have_count(0, timeout=5000)


def test_a_refused_camera_does_not_keep_anybody_out(visit):
    page = visit(CONFERENCE)
    bring(page, "test2", "teal")
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError')); }")
    join(page)
    expect(page.locator("#localStatus")).to_have_text("FAILED")
    expect(page.locator("#localInfo")).to_have_text("No camera or microphone was found on this device.")
    shows_video(page, "test2")


def test_a_lost_connection_is_said_and_the_page_can_join_again(visit):
    page = visit(CONFERENCE)
    join(page)
    expect(page.locator("#localStatus")).to_have_text("PUBLISHING")
    page.evaluate("fakeServer.sockets.at(-1).close()")
    expect(page.locator("#info")).to_have_text("The connection to the server was lost.")
    expect(page.locator(".tile")).to_have_count(0)
    join(page)
    expect(page.locator("#localStatus")).to_have_text("PUBLISHING")


@pytest.mark.parametrize("count", [2, 3, 5, 9, 16, 25])
def test_the_layout_holds_for_any_number_of_people(visit, count):
    page = visit(CONFERENCE, f"roomName=r1&participants={count}")
    join(page)
    expect(page.locator("#localStatus")).to_have_text("PUBLISHING")
    for number in range(2, count + 1):
        bring(page, f"a person with quite a long name {number}")
    expect(page.locator(".tile")).to_have_count(count)
    for width, height in ((1280, 900), (360, 740)):
        page.set_viewport_size({"width": width, "height": height})
        boxes = page.evaluate("[...document.querySelectorAll('.tile')].map((tile) => tile.getBoundingClientRect().toJSON())")
        stage = page.evaluate("document.getElementById('stage').getBoundingClientRect().toJSON()")
        for index, box in enumerate(boxes):
            assert box["width"] >= 90 and abs(box["width"] / box["height"] - 16 / 9) < 0.02
            assert box["left"] >= stage["left"] - 0.5 and box["right"] <= stage["right"] + 0.5
            for other in boxes[:index]:
                assert box["right"] <= other["left"] + 0.5 or other["right"] <= box["left"] + 0.5 \
                    or box["bottom"] <= other["top"] + 0.5 or other["bottom"] <= box["top"] + 0.5, "two tiles overlap"
    if count in (9, 25):
        picture(page, f"conference-{count}")


def test_the_room_pages_before_anybody_joins(visit, page):
    for path in PAGES:
        visit(path)
        expect(page.locator("#info")).to_have_text("You are invited to r1. Enter a name and join.")
        picture(page, path.strip("/").removesuffix(".html").replace("_", "-") + "-start")
