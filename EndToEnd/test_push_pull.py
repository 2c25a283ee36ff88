# SPDX-License-Identifier: Apache-2.0
"""The main job: a stream of A republished on B by REST and watched there, and what happens when things go away."""
import pytest

from harness.waiting import holds_for, wait_until
from test_media import assert_good_media


def push(a, b, local, remote=None):
    return a.rest("pull/push", {"uri": b.ws, "localStreamName": local, "remoteStreamName": remote or local})


def pull(a, b, remote, local=None):
    return b.rest("pull/pull", {"uri": a.ws, "localStreamName": local or remote, "remoteStreamName": remote})


@pytest.mark.parametrize("method", [push, pull], ids=["push", "pull"])
@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_a_browsers_stream_is_watched_on_the_far_server(a, b, tab, name, codec, method):
    published = tab(a).publish(a.ws, name, codec)
    reply = method(a, b, name)
    assert reply.status == 200, reply
    b.wait_for_stream(name)
    played = tab(b).play(b.ws, name)
    assert_good_media(published, played)
    assert played.figures()["video"]["codec"] == codec
    assert b.streams(name=name, published=True)[0]["videoCodec"] == codec
    published.stop()
    assert played.ended()["info"] == "Stopped by publisher stop"
    for node in (a, b):
        node.wait_for_no_stream(name, 2)
        wait_until(lambda: not node.pulls(), 2, f"no agent on {node.name}", pause=0.05)


def test_firefox_publishes_here_and_plays_there(a, b, fox, name):
    published = fox(a).publish(a.ws, name)
    assert push(a, b, name).status == 200
    played = fox(b).play(b.ws, name)
    assert_good_media(published, played, 40)
    published.stop()


def test_aiortc_publishes_here_and_plays_there(a, b, aiortc, name):
    publisher = aiortc.publish(a, name)
    assert push(a, b, name).status == 200
    player = aiortc.play(b, name)
    player.wait_for_frames(40)
    assert len(player.clocks) >= 0.8 * player.frames and player.audio_energy > 0
    publisher.stop()
    b.wait_for_no_stream(name, 2)


def test_mute_state_and_data_travel_along(a, b, tab, name):
    published = tab(a).publish(a.ws, name)
    assert push(a, b, name).status == 200
    viewer = tab(b)
    played = viewer.play(b.ws, name)
    published.act("muteAudio")
    published.act("sendData", {"n": 1})
    wait_until(lambda: len(played.events()) >= 2, 5, lambda: played.events(), pause=0.05)
    assert [event["type"] for event in played.events()] == ["audioMuted", "data"]
    assert viewer.play(b.ws, name).state()["audio"] == {"muted": True}
    published.stop()


def test_a_closed_tab_is_gone_on_both_servers_within_a_second(a, b, tab, name):
    page = tab(a)
    page.publish(a.ws, name)
    assert push(a, b, name).status == 200
    played = tab(b).play(b.ws, name)
    played.wait_for_frames(1)
    page.close()
    for node in (a, b):
        node.wait_for_no_stream(name, 1)
    assert played.ended(2)["info"] == "Stopped by publisher stop"
    wait_until(lambda: not a.pulls(), 1, "no agent on A")


def test_players_of_a_terminated_push_are_told(a, b, tab, name):
    published = tab(a).publish(a.ws, name)
    assert push(a, b, name).status == 200
    played = tab(b).play(b.ws, name)
    local = tab(a).play(a.ws, name)
    local.wait_for_frames(1)
    assert a.rest("pull/terminate", {"uri": b.ws, "remoteStreamName": name}).status == 200
    assert played.ended(3)["status"] == "FAILED"
    frames = local.decoded()
    local.wait_for_frames(frames + 10)
    published.stop()


def test_kill_9_of_the_far_server_and_its_return(make_node, tab, name):
    a, b = make_node("A"), make_node("B")
    published = tab(a).publish(a.ws, name)
    local = tab(a).play(a.ws, name)
    assert push(a, b, name).status == 200
    local.wait_for_frames(20)
    lost = local.figures()["video"]
    encoded, decoded = published.encoded(), local.decoded()
    b.kill()
    wait_until(lambda: [record["status"] for record in a.pulls()] == ["RECONNECTING"], 3, lambda: a.pulls(), pause=0.05)
    holds_for(lambda: [record["status"] for record in a.pulls()] == ["RECONNECTING"], 2, lambda: a.pulls(), pause=0.2)
    assert push(a, b, name).status == 409
    b.start()
    b.wait_for_stream(name, 5)
    played = tab(b).play(b.ws, name)
    assert_good_media(published, played, 20)
    wait_until(lambda: [record["status"] for record in a.pulls()] == ["PROCESSED_LOCAL"], 2, lambda: a.pulls())
    # A's own player has not noticed: nothing lost, nothing dropped, every frame decoded but those on their way.
    figures = local.figures()["video"]
    sent, seen = published.encoded() - encoded, local.decoded() - decoded
    assert figures["packetsLost"] == lost["packetsLost"] and figures.get("freezeCount", 0) == lost.get("freezeCount", 0)
    assert seen >= sent - 10, (sent, seen, figures)
    published.stop()
    b.wait_for_no_stream(name, 2)
    wait_until(lambda: not a.pulls(), 2, "the push is over")


def test_kill_9_of_the_source_of_a_pull_and_its_return(make_node, aiortc, name):
    a, b = make_node("A"), make_node("B")
    aiortc.publish(a, name, fps=10)
    assert pull(a, b, name).status == 200
    b.wait_for_stream(name)
    a.kill()
    wait_until(lambda: [record["status"] for record in b.pulls()] == ["RECONNECTING"] or not b.pulls(), 5, lambda: b.pulls(), pause=0.05)
    a.start()
    aiortc.publish(a, name, fps=10)
    if b.pulls():
        wait_until(lambda: [record["status"] for record in b.pulls()] == ["PROCESSED_REMOTE"], 6, lambda: b.pulls(), pause=0.1)
        aiortc.play(b, name).wait_for_frames(5)


def test_a_push_that_waits_for_the_far_server_ends_with_its_stream(make_node, aiortc, name):
    a, b = make_node("A"), make_node("B")
    publisher = aiortc.publish(a, name, fps=10)
    assert push(a, b, name).status == 200
    b.kill()
    wait_until(lambda: [record["status"] for record in a.pulls()] == ["RECONNECTING"], 3, lambda: a.pulls(), pause=0.05)
    publisher.stop()
    wait_until(lambda: not a.pulls(), 2, "the push is over")


def test_a_reconnecting_push_can_be_terminated(make_node, aiortc, name):
    a, b = make_node("A"), make_node("B")
    aiortc.publish(a, name, fps=10)
    assert push(a, b, name).status == 200
    b.kill()
    wait_until(lambda: [record["status"] for record in a.pulls()] == ["RECONNECTING"], 3, lambda: a.pulls(), pause=0.05)
    assert a.rest("pull/terminate", {"localStreamName": name}).status == 200
    assert a.rest("pull/find_all").status == 404


def test_sigterm_of_the_source_ends_the_far_stream_at_once(make_node, aiortc, name):
    a, b = make_node("A"), make_node("B")
    aiortc.publish(a, name, fps=10)
    assert push(a, b, name).status == 200
    code, seconds = a.stop()
    assert code == 0 and seconds < 5
    b.wait_for_no_stream(name, 1)
