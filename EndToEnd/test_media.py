# SPDX-License-Identifier: Apache-2.0
"""Publishing and playing through one node: Chromium, Firefox, aiortc, in all combinations that matter."""
import pytest

from harness.waiting import wait_until


def assert_good_media(published, played, frames=60):
    """≥ 80 % of the published frames decoded, a changing picture, sound."""
    played.wait_for_frames(1)
    encoded, decoded = published.encoded(), played.decoded()
    wait_until(lambda: published.encoded() >= encoded + frames, 20, f"{frames} more published frames", pause=0.1)
    sent = published.encoded() - encoded
    wait_until(lambda: played.decoded() - decoded >= 0.8 * sent, 2,
               lambda: f"80 % of {sent} frames; {played.decoded() - decoded} were decoded: {played.figures()}", pause=0.05)
    played.wait_for_change()
    wait_until(lambda: played.audio_energy() > 0, 5, lambda: f"sound: {played.figures()['audio']}", pause=0.1)


@pytest.mark.parametrize("codec", ["H264", "VP8", "VP9", "AV1"])
def test_chromium_to_chromium(a, tab, name, codec):
    publisher, viewer = tab(a), tab(a)
    published = publisher.publish(a.ws, name, codec)
    assert published.figures()["video"]["codec"] == codec
    assert a.streams(name=name, published=True)[0]["videoCodec"] == codec
    played = viewer.play(a.ws, name)
    assert_good_media(published, played, 40)
    assert played.figures()["video"]["codec"] == codec
    assert played.stop() == "STOPPED" and published.stop() == "UNPUBLISHED"
    assert publisher.errors == viewer.errors == []


def test_h264_is_preferred_by_default_and_another_order_can_be_set(a, make_node, tab, name):
    published = tab(a).publish(a.ws, name)
    assert published.figures()["video"]["codec"] == "H264"
    published.stop()
    node = make_node("A", codecs_video="VP8,H264", codecs_audio="PCMU,opus")
    published = tab(node).publish(node.ws, name)
    figures = published.figures()
    assert (figures["video"]["codec"], figures["audio"]["codec"]) == ("VP8", "PCMU")


@pytest.mark.parametrize("strip, audio", [("opus,red", "G722"), ("opus,red,G722", "PCMU"), ("opus,red,G722,PCMU", "PCMA")])
def test_other_audio_codecs_pass(a, tab, name, strip, audio):
    # A canvas has a steady tone; the fake microphone beeps once a second.
    published = tab(a).publish(a.ws, name, pattern={"fps": 5}, stripCodecs=strip)
    if published.figures()["audio"]["codec"] != audio:
        # The server chooses by its own order; what counts is that one of the codecs left was taken.
        assert published.figures()["audio"]["codec"] in ("PCMU", "PCMA", "G722")
    played = tab(a).play(a.ws, name)
    wait_until(lambda: played.audio_energy() > 0, 5, lambda: played.figures(), pause=0.1)
    published.stop()


def test_audio_alone_and_video_alone(a, tab, name):
    page = tab(a)
    sound = page.publish(a.ws, name + "-sound", constraints={"audio": True, "video": False})
    picture = page.publish(a.ws, name + "-picture", constraints={"audio": False, "video": {"width": 320, "height": 240}})
    records = {record["name"]: record for record in a.streams(published=True)}
    assert (records[sound.name]["hasAudio"], records[sound.name]["hasVideo"]) == (True, False)
    assert (records[picture.name]["hasAudio"], records[picture.name]["hasVideo"]) == (False, True)
    viewer = tab(a)
    heard, seen = viewer.play(a.ws, sound.name), viewer.play(a.ws, picture.name)
    seen.wait_for_frames(10)
    wait_until(lambda: heard.audio_energy() > 0, 5, heard.figures, pause=0.1)
    only_sound = viewer.play(a.ws, picture.name, constraints={"audio": True, "video": True})
    only_sound.wait_for_frames(5)
    sound.stop()
    assert heard.ended()["info"] == "Stopped by publisher stop"


def test_a_player_in_the_same_page_starts_from_the_publishing_callback(a, tab, name):
    page = tab(a)
    info = page.page.evaluate("""([url, name]) => new Promise((resolve) => {
        const session = Flashphoner.createSession({urlServer: url});
        session.on("ESTABLISHED", () => {
            const publisher = session.createStream({name, display: lab.display(), constraints: {audio: true, video: true}});
            publisher.on("PUBLISHING", () => {
                const player = session.createStream({name, display: lab.display()});
                player.on("PLAYING", () => resolve("PLAYING"));
                player.on("FAILED", () => resolve(player.getInfo()));
                player.play();
            });
            publisher.on("FAILED", () => resolve("publisher: " + publisher.getInfo()));
            publisher.publish();
        });
    })""", [a.ws, name])
    assert info == "PLAYING"


def test_late_players_see_a_picture_at_once(a, tab, name):
    published = tab(a).publish(a.ws, name, "H264")
    wait_until(lambda: published.encoded() > 60, 10, "some time on air", pause=0.1)
    viewer = tab(a)
    times = []
    for _ in range(5):
        played = viewer.play(a.ws, name)
        times.append(played.first_frame_ms())
        played.stop()
    assert sorted(times)[2] < 1000, times


def test_sound_and_picture_stay_together(a, tab, name):
    """The browser's own estimate of when each track was captured, carried by the sender reports, comes together."""
    published = tab(a).publish(a.ws, name, pattern={"fps": 20})
    viewer = tab(a)
    played = viewer.play(a.ws, name)
    played.wait_for_frames(20)
    seen = []
    def together():
        figures = played.figures()
        times = [figures[kind].get("estimatedPlayoutTimestamp") for kind in ("audio", "video")]
        if all(times):
            seen.append(round(times[0] - times[1]))
        # A browser moves its buffers by some ten milliseconds a second until both tracks meet.
        return seen and abs(seen[-1]) < 100
    wait_until(together, 25, lambda: f"sound and picture within 100 ms: {seen[-10:]}", pause=0.2)
    published.stop()


def test_firefox_publishes_and_chromium_plays(a, fox, tab, name):
    published = fox(a).publish(a.ws, name)
    assert a.streams(name=name, published=True)[0]["videoCodec"] == "VP8"
    played = tab(a).play(a.ws, name)
    assert_good_media(published, played)
    assert published.stop() == "UNPUBLISHED"
    assert played.ended()["info"] == "Stopped by publisher stop"


def test_chromium_publishes_and_firefox_plays(a, fox, tab, name):
    published = tab(a).publish(a.ws, name, "VP8")
    played = fox(a).play(a.ws, name)
    assert_good_media(published, played)
    assert played.stop() == "STOPPED"


def test_firefox_gets_an_h264_stream_converted(a, fox, tab, name):
    published = tab(a).publish(a.ws, name, "H264", constraints={"audio": False, "video": True})
    played = fox(a).play(a.ws, name)
    played.wait_for_frames(20)
    assert any(isinstance(section, dict) and section.get("bridges") == 1 for section in a.statistics().values())
    published.stop()


def test_nothing_is_converted_where_that_is_disabled(make_node, fox, tab, name):
    node = make_node("plain", transcoding_disabled=True)
    tab(node).publish(node.ws, name, "H264", constraints={"audio": False, "video": True})
    with pytest.raises(RuntimeError, match="Transcoding required, but disabled"):
        fox(node).play(node.ws, name)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_aiortc_to_aiortc(a, aiortc, name, codec):
    publisher = aiortc.publish(a, name, codec=codec)
    player = aiortc.play(a, name, codec=codec)
    player.wait_for_frames(40)
    assert len(player.clocks) >= 0.8 * player.frames, "damaged pictures"
    assert player.clocks == sorted(player.clocks), "pictures out of order"
    wait_until(lambda: player.audio_energy > 0.001, 5, "sound")
    assert player.stop()["status"] == "STOPPED" and publisher.stop()["status"] == "UNPUBLISHED"


def test_aiortc_publishes_and_chromium_plays(a, aiortc, tab, name):
    aiortc.publish(a, name)
    played = tab(a).play(a.ws, name)
    played.wait_for_frames(30)
    played.wait_for_change()
    wait_until(lambda: played.clock() is not None, 5, "a readable clock")
    wait_until(lambda: played.audio_energy() > 0, 5, "sound")


def test_chromium_publishes_and_aiortc_plays(a, aiortc, tab, name):
    published = tab(a).publish(a.ws, name, "VP8", pattern={"fps": 15})
    player = aiortc.play(a, name)
    player.wait_for_frames(40, timeout=20)
    assert len(player.clocks) >= 0.8 * player.frames
    wait_until(lambda: player.audio_energy > 0, 5, "sound")
    published.stop()


def test_20_players_of_one_stream(a, tab, name):
    published = tab(a).publish(a.ws, name, "VP8", pattern={"width": 160, "height": 120, "fps": 10})
    pages = [tab(a) for _ in range(2)]
    played = [page.play(a.ws, name) for page in pages for _ in range(10)]
    def decoded():
        return [count for page in pages for count in page.run("decoded", [one.key for one in played if one.tab is page])]
    wait_until(lambda: min(decoded()) > 0, 20, lambda: f"a frame at each player: {decoded()}", pause=0.1)
    encoded, before = published.encoded(), decoded()
    wait_until(lambda: published.encoded() >= encoded + 50, 20, "50 more frames", pause=0.1)
    sent = published.encoded() - encoded
    wait_until(lambda: all(now - then >= 0.8 * sent for now, then in zip(decoded(), before)), 3,
               lambda: f"80 % of {sent} at each: {[now - then for now, then in zip(decoded(), before)]}", pause=0.1)
    assert len(a.streams(name=name, published=False)) == 20
    published.stop()
    for one in played:
        assert one.ended()["info"] == "Stopped by publisher stop"
    assert a.streams(name=name) == []


def test_mute_and_data_reach_players_and_late_joiners(a, tab, name):
    published = tab(a).publish(a.ws, name)
    viewer = tab(a)
    early = viewer.play(a.ws, name)
    published.act("muteVideo")
    published.act("sendData", {"hello": [1, 2]})
    wait_until(lambda: len(early.events()) >= 2, 5, lambda: early.events(), pause=0.05)
    assert [event["type"] for event in early.events()] == ["videoMuted", "data"]
    assert early.events()[1]["payload"] == {"hello": [1, 2]}
    late = viewer.play(a.ws, name)
    assert late.state() == {"audio": {"muted": False}, "video": {"muted": True}}
    published.act("unmuteVideo")
    wait_until(lambda: len(early.events()) >= 3, 5, pause=0.05)
    assert viewer.play(a.ws, name).state()["video"] == {"muted": False}


def test_available_through_the_sdk(a, tab, name):
    page = tab(a)
    assert page.available(a.ws, name) == [False, "Stream not found"]
    page.publish(a.ws, name)
    assert page.available(a.ws, name) == [True, None]


def test_over_wss(a, tab, name):
    page = tab(a, secure=True)
    page.publish(a.wss, name)
    page.play(a.wss, name).wait_for_frames(5)


def test_publish_and_stop_in_one_tick(a, tab, name):
    status = tab(a).page.evaluate("""([url, name]) => new Promise((resolve) => {
        const session = Flashphoner.createSession({urlServer: url});
        session.on("ESTABLISHED", () => {
            const stream = session.createStream({name, display: lab.display()});
            for (const status of ["UNPUBLISHED", "FAILED"]) stream.on(status, () => resolve(status));
            stream.publish();
            stream.stop();
        });
    })""", [a.ws, name])
    assert status == "UNPUBLISHED" and a.streams(name=name) == []
