# SPDX-License-Identifier: Apache-2.0
"""The WCS signalling by raw WebSocket: each status and info of the protocol in its situation."""
import time
import uuid

import pytest

from harness.waiting import holds_for, wait_until
from harness.wcs import offer

STATUS_FIELDS = {
    "mediaSessionId": str, "name": str, "published": bool, "hasVideo": bool, "hasAudio": bool, "status": str, "info": str, "record": bool,
    "mediaProvider": str, "width": (int, float), "height": (int, float), "bitrate": (int, float), "minBitrate": (int, float),
    "maxBitrate": (int, float), "quality": (int, float), "createDate": (int, float), "audioState": dict, "videoState": dict,
    "nodeId": str, "appKey": str, "sessionId": str, "mediaType": str,
}


@pytest.fixture
def session(a, client):
    return client(a.ws)


@pytest.fixture(scope="module")
def live(a, background):
    """A stream that plays for the whole file."""
    from harness.media import AiortcPublisher
    from harness.wcs import Client
    owner = Client(a.ws)
    publisher = AiortcPublisher(background, owner, "live-" + uuid.uuid4().hex[:6], width=192, height=144, fps=10)
    yield publisher
    publisher.stop()
    owner.close()


# Handshake and liveness.

def test_the_handshake_echoes_the_connection_with_token_and_status(session):
    data = session.user_data
    assert data["status"] == "ESTABLISHED" and data["authToken"] and data["appKey"] == "defaultApp"
    assert data["mediaProviders"] == ["WebRTC"] and data["clientVersion"] == "2.0"
    for key in ("useWsTunnel", "useWsTunnelPacketization2", "useBase64BinaryEncoding"):
        assert data[key] is False


@pytest.mark.parametrize("path", ["", "/", "/websocket", "/socket", "/1a2b3c4d", "/any/path?with=query"])
def test_any_path_is_taken(a, client, path):
    assert client(a.ws + path).user_data["status"] == "ESTABLISHED"


def test_a_client_with_only_an_app_key_is_taken(a, client):
    session = client(a.ws, handshake=False)
    session.send("connection", {"appKey": "something"})
    assert session.wait_for("getUserData")["appKey"] == "something"


def test_no_subprotocol_is_selected(session):
    assert session.socket.subprotocol is None


def test_a_ping_is_answered_politely(session):
    session.send("ping", None)
    wait_until(lambda: any(name == "pong" for name, _, _ in session.frames), 5, "a pong")


def test_every_frame_has_a_data_array(session):
    session.send("availableStream", {"mediaSessionId": "x", "name": "none"})
    session.wait_for("availableStream")
    assert all(isinstance(data, list) for _, data, _ in session.frames)


def test_silent_clients_are_dropped_after_the_set_number_of_pings(make_node, client):
    node = make_node("A", **{"keep_alive.server_interval": 200, "keep_alive.probes": 3})
    silent, lively = client(node.ws, pong=False), client(node.ws)
    wait_until(lambda: silent.is_closed, 5, silent.story)
    pings = sum(name == "ping" for name, _, _ in silent.frames)
    assert 3 <= pings <= 4, pings
    wait_until(lambda: sum(name == "ping" for name, _, _ in lively.frames) > 8, 5, "pings go on")
    assert not lively.is_closed
    assert len(node.sessions()) == 1


def test_pings_come_every_5_seconds_by_default(session):
    wait_until(lambda: sum(name == "ping" for name, _, _ in session.frames) >= 2, 12, session.story)
    times = [when for name, _, when in session.frames if name == "ping"]
    assert 4.5 < times[1] - times[0] < 5.5


# Hostile input.

HOSTILE = [
    "", "no json", "{}", "[]", "null", "1", '"text"', '{"message":1}', '{"message":"publishStream"}', '{"message":"publishStream","data":[]}',
    '{"message":"publishStream","data":[null]}', '{"message":"playStream","data":["text"]}', '{"message":"playStream","data":{}}',
    '{"message":"playStream","data":[{"mediaSessionId":{},"name":[],"sdp":17}]}', '{"message":"connection","data":[null]}',
    '{"message":"unPublishStream","data":[{}]}', '{"message":"stopStream","data":[{"mediaSessionId":null}]}',
    '{"message":"sendStreamEvent","data":[{"mediaSessionId":"x","type":"nonsense"}]}', '{"message":"sendStreamEvent","data":[{"type":5}]}',
    '{"message":"availableStream","data":[{}]}', '{"message":"sendData","data":[{}]}', '{"message":"snapshot","data":[{}]}',
    '{"message":"call","data":[{"callId":"1"}]}', '{"message":"unknownThing","data":[{"a":1}]}', '{"message":"pong"}',
    '{"message":"setRemoteSDP","data":["x","y"]}', '{"message":"pushLogs","data":[{"logs":5}]}', "[" * 5000, '{"a":' * 5000,
    '{"message":"pushLogs","data":[{"logs":"\\ud800"}]}', '{"message":"publishStream","data":[{"bitrate":1e999}]}', "\x00\x01\x02",
]


def test_hostile_frames_do_no_harm(a, session, client):
    for text in HOSTILE:
        session.send_text(text)
    session.socket.send(b"\x00\xff binary")
    session.send("availableStream", {"mediaSessionId": "after", "name": "none"})
    assert session.wait_for("availableStream", id="after")["status"] == "false"
    assert client(a.ws).user_data["status"] == "ESTABLISHED"


def test_hostile_frames_before_the_handshake_do_no_harm(a, client):
    session = client(a.ws, handshake=False)
    for text in HOSTILE:
        if '"connection"' not in text:
            session.send_text(text)
    assert session.introduce()["status"] == "ESTABLISHED"


def test_a_message_above_the_limit_ends_only_its_session(make_node, client):
    node = make_node("A", max_message_size=65536)
    big, other = client(node.ws), client(node.ws)
    try:
        big.send("pushLogs", {"logs": "x" * 200_000})
    except Exception:
        pass
    wait_until(lambda: big.is_closed, 5, big.story)
    other.send("availableStream", {"mediaSessionId": "1", "name": "none"})
    other.wait_for("availableStream", id="1")


# §5.3: refusals.

def refused(session, media_session, info):
    frame = session.status(media_session)
    assert (frame["status"], frame["info"]) == ("FAILED", info), frame
    assert not any(name == "setRemoteSDP" and data[0] == media_session for name, data, _ in session.frames)
    return frame


def test_playing_an_unknown_name_fails(session):
    refused(session, session.play("nobody", offer("recvonly")), "Session does not exist")


def test_playing_something_that_would_have_to_be_fetched_fails(session):
    refused(session, session.play("https://camera.example.org/live.m3u8", offer("recvonly")), "Failed to get agent storage")


def test_publishing_a_name_that_is_live_fails(session, live):
    refused(session, session.publish(live.name, offer()), "Stream name is already in use")


def test_a_stream_without_media_is_not_ready(session, name):
    media_session = session.publish(name, offer())
    session.answer(media_session)
    refused(session, session.play(name, offer("recvonly")), "Publish stream is not ready")
    session.send("availableStream", {"mediaSessionId": "q", "name": name})
    assert session.wait_for("availableStream", id="q")["status"] == "false"


@pytest.mark.parametrize("sdp", ["", "nonsense", "v=0\r\n", "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\n", 17])
def test_an_unreadable_offer_fails(session, name, sdp):
    refused(session, session.publish(name, sdp), "Failed to add stream to proxy")


def test_an_offer_without_a_common_codec_fails(session, name):
    refused(session, session.publish(name, offer(kinds=("video",), video="H265")), "No common codecs")
    refused(session, session.publish(name + "-audio", offer(kinds=("audio",), audio="iLBC")), "No common codecs")


def test_a_player_without_a_common_codec_fails(session, live):
    refused(session, session.play(live.name, offer("recvonly", kinds=("video",), video="H265")), "No common codecs")


def test_an_empty_media_session_id_fails(session, name):
    session.publish(name, offer(), media_session="")
    frame = session.wait_for("notifyStreamStatusEvent", status="FAILED")
    assert frame["info"] == "MediaSessionId is null"


def test_a_media_session_id_in_use_fails(session, name, live):
    media_session = session.publish(name, offer())
    session.answer(media_session)
    session.play(live.name, offer("recvonly"), media_session=media_session)
    frame = session.status(media_session, "FAILED")
    assert frame["info"] == "MediaSessionId is already in use"


def test_commands_before_the_handshake_fail(a, client, name):
    session = client(a.ws, handshake=False)
    refused(session, session.publish(name, offer()), "Session not ready")
    refused(session, session.play(name, offer("recvonly")), "Session not ready")


@pytest.mark.parametrize("provider", ["MSE", "WSPlayer", "Flash"])
def test_other_media_providers_fail(session, live, provider):
    media_session = session.play(live.name, "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 32\r\n", mediaProvider=provider)
    assert session.status(media_session)["status"] == "FAILED"


def test_names_are_taken_as_they_are(session, background):
    from harness.media import AiortcPublisher
    for odd in ("имя потока", "a/b?c=d&e", "<b>\"quoted\"</b>", "x" * 200):
        publisher = AiortcPublisher(background, session, odd, width=160, height=128, fps=5)
        assert publisher.status["name"] == odd
        session.send("availableStream", {"mediaSessionId": odd[:20], "name": odd})
        assert session.wait_for("availableStream", id=odd[:20])["status"] == "true"
        publisher.stop()


# §5.3: media that never comes.

def test_ice_that_never_completes_fails_the_publisher(make_node, client, name):
    node = make_node("A", ice_timeout=1000)
    session = client(node.ws)
    media_session = session.publish(name, offer())
    session.answer(media_session)
    frame = session.status(media_session, timeout=4)
    assert (frame["status"], frame["info"]) == ("FAILED", "Failed by ICE timeout")
    assert node.streams() == []


def test_a_wrong_fingerprint_fails(a, session, background, name):
    from harness.media import AiortcPublisher
    publisher = AiortcPublisher(background, session, name, start=False)

    def send_with_another_fingerprint(stream, sdp, media_session):
        lines = [line if not line.startswith("a=fingerprint:sha-256") else "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)
                 for line in sdp.splitlines() if not line.startswith(("a=fingerprint:sha-384", "a=fingerprint:sha-512"))]
        session.publish(stream, "\r\n".join(lines) + "\r\n", media_session)
    try:
        publisher._negotiate(send_with_another_fingerprint)
        frame = session.status(publisher.id, timeout=15)
        assert (frame["status"], frame["info"]) == ("FAILED", "Failed by DTLS fingerprint error")
    finally:
        publisher.close_media()


def test_a_peer_that_falls_silent_fails_by_keep_alive_and_its_players_are_told(make_node, client, background, aiortc, name):
    node = make_node("A", ice_consent_timeout=2000)
    session = client(node.ws)
    publisher = aiortc.publish(node, name, session=session)
    watcher = client(node.ws)
    player = aiortc.play(node, name, session=watcher)
    publisher.fall_silent()
    frame = session.status(publisher.id, "FAILED", "UNPUBLISHED", timeout=8)
    assert (frame["status"], frame["info"]) == ("FAILED", "Failed by ICE keep alive")
    assert watcher.status(player.id, "FAILED")["info"] == "Stopped by publisher stop"


# Life of streams.

def test_publishing_has_all_fields(live):
    frame = live.status
    assert frame["status"] == "PUBLISHING" and frame["name"] == live.name and frame["published"] is True
    for key, kind in STATUS_FIELDS.items():
        assert isinstance(frame.get(key), kind), (key, frame.get(key))
    assert (frame["videoCodec"], frame["audioCodec"].split("/")[0]) == ("VP8", "opus")
    assert frame["mediaType"] == "publish" and abs(frame["createDate"] / 1000 - time.time()) < 600
    assert frame["audioState"] == {"muted": False} and frame["videoState"] == {"muted": False}


def test_a_player_gets_one_answer_true_and_all_fields(a, client, aiortc, live):
    session = client(a.ws)
    player = aiortc.play(a, live.name, session=session)
    answers = [data for name, data, _ in session.frames if name == "setRemoteSDP"]
    assert len(answers) == 1 and answers[0][0] == player.id and answers[0][2] is True
    frame = player.status
    for key, kind in STATUS_FIELDS.items():
        assert isinstance(frame.get(key), kind), (key, frame.get(key))
    assert frame["published"] is False and frame["mediaType"] == "play"
    assert player.stop()["info"] == "Stopped by user"
    order = [name for name, data, _ in session.frames if name in ("setRemoteSDP", "notifyStreamStatusEvent")]
    assert order[0] == "setRemoteSDP"
    assert [frame["status"] for frame in session.statuses(player.id)] == ["PLAYING", "STOPPED"]


def test_answers_keep_the_rules(a, client, live):
    session = client(a.ws)
    answer = session.answer(session.play(live.name, offer("recvonly", line_end="\n")))[1]
    lines = answer.splitlines()
    assert "a=ice-lite" in lines and "a=group:BUNDLE 0 1" in lines
    assert sum(line.startswith("m=") for line in lines) == 2 and lines.count("a=rtcp-mux") == 2 and lines.count("a=sendonly") == 2
    assert any(line.startswith("a=candidate:") and "typ host" in line for line in lines)
    assert {line.split()[0] for line in lines if line.startswith("a=msid:")} != set()
    assert len({line.split()[0] for line in lines if line.startswith("a=msid:")}) == 1
    assert [line for line in lines if line.startswith("a=mid:")] == ["a=mid:0", "a=mid:1"]


def test_an_audio_only_player_gets_an_audio_only_answer(a, client, live):
    session = client(a.ws)
    answer = session.answer(session.play(live.name, offer("recvonly", kinds=("audio",))))[1]
    assert [line.split()[0] for line in answer.splitlines() if line.startswith("m=")] == ["m=audio"]


def test_an_unbundled_offer_gets_a_transport_per_line(a, client, live):
    session = client(a.ws)
    answer = session.answer(session.play(live.name, offer("recvonly", bundle=False)))[1]
    lines = answer.splitlines()
    assert not any(line.startswith("a=group:BUNDLE") for line in lines)
    assert len({line for line in lines if line.startswith("a=ice-ufrag:")}) == 2
    sections = answer.split("\nm=")[1:]
    assert all("a=candidate:" in section and "a=fingerprint:" in section for section in sections)


def test_stop_while_pending_ends_in_unpublished(a, session, name):
    media_session = session.publish(name, offer())
    session.stop(media_session, name, published=True)
    assert session.status(media_session)["status"] == "UNPUBLISHED"
    assert a.streams(name=name) == []


def test_stop_of_a_pending_player_ends_in_stopped(session, live):
    media_session = session.play(live.name, offer("recvonly"))
    session.stop(media_session, live.name)
    assert session.status(media_session)["status"] in ("STOPPED", "FAILED")


def test_a_second_stop_is_taken_in_silence(session, name):
    media_session = session.publish(name, offer())
    for _ in range(3):
        session.stop(media_session, name, published=True)
    session.stop("never-was", name)
    session.send("availableStream", {"mediaSessionId": "end", "name": name})
    session.wait_for("availableStream", id="end")
    assert [frame["status"] for frame in session.statuses(media_session)] == ["UNPUBLISHED"]


def test_a_name_is_free_again_after_its_stop(a, client, aiortc, name):
    session = client(a.ws)
    first = aiortc.publish(a, name, session=session, fps=5)
    assert first.stop()["info"] == "Stopped by user"
    second = aiortc.publish(a, name, session=session, fps=5)
    assert second.status["status"] == "PUBLISHING"


def test_two_streams_and_two_players_in_one_session(a, client, aiortc, name):
    session = client(a.ws)
    streams = [aiortc.publish(a, f"{name}-{index}", session=session, fps=5, width=160, height=128) for index in range(2)]
    players = [aiortc.play(a, streams[0].name, session=session) for _ in range(2)]
    for player in players:
        player.wait_for_frames(2)
    assert players[0].stop()["status"] == "STOPPED"
    before = players[1].frames
    players[1].wait_for_frames(before + 3)
    streams[0].stop()
    assert session.status(players[1].id, "FAILED")["info"] == "Stopped by publisher stop"
    assert a.has_stream(streams[1].name)


def test_losing_the_publishers_socket_ends_the_stream_for_its_players(a, client, aiortc, name):
    owner, watcher = client(a.ws), client(a.ws)
    aiortc.publish(a, name, session=owner)
    player = aiortc.play(a, name, session=watcher)
    owner.vanish()
    assert watcher.status(player.id, "FAILED", timeout=2)["info"] == "Stopped by publisher stop"
    a.wait_for_no_stream(name, 1)


def test_publishing_is_said_only_once_media_flows_and_is_playable_then(a, client, aiortc, name):
    session = client(a.ws)
    media_session = session.publish(name, offer())
    session.answer(media_session)
    holds_for(lambda: not session.statuses(media_session), 1.0, "PUBLISHING without media")
    session.stop(media_session, name, published=True)
    session.status(media_session, "UNPUBLISHED")
    aiortc.publish(a, name, session=session)
    assert session.answer(session.play(name, offer("recvonly")))


# Events and the rest.

def test_stream_events_reach_players_under_their_own_id(a, client, aiortc, live):
    watcher = client(a.ws)
    player = aiortc.play(a, live.name, session=watcher)
    live.client.send("sendStreamEvent", {"mediaSessionId": live.id, "type": "data", "payload": {"count": 23, "deep": [1, {"a": None}]}})
    event = watcher.wait_for("notifyStreamEvent", type="data")
    assert event["mediaSessionId"] == player.id and event["payload"] == {"count": 23, "deep": [1, {"a": None}]}
    assert live.client.of("notifyStreamEvent") == []


def test_only_the_owner_may_send_events(a, client, aiortc, live):
    watcher, stranger = client(a.ws), client(a.ws)
    aiortc.play(a, live.name, session=watcher)
    stranger.send("sendStreamEvent", {"mediaSessionId": live.id, "type": "data", "payload": {"from": "stranger"}})
    live.client.send("sendStreamEvent", {"mediaSessionId": live.id, "type": "data", "payload": {"from": "owner"}})
    assert watcher.wait_for("notifyStreamEvent", type="data")["payload"] == {"from": "owner"}


def test_late_joiners_learn_the_mute_state(a, client, aiortc, live):
    early = client(a.ws)
    player = aiortc.play(a, live.name, session=early)
    for kind in ("audioMuted", "videoMuted", "audioUnmuted"):
        live.client.send("sendStreamEvent", {"mediaSessionId": live.id, "type": kind})
    wait_until(lambda: len(early.of("notifyStreamEvent", mediaSessionId=player.id)) >= 3, 5, early.story)
    try:
        late = aiortc.play(a, live.name)
        assert late.status["audioState"] == {"muted": False} and late.status["videoState"] == {"muted": True}
    finally:
        live.client.send("sendStreamEvent", {"mediaSessionId": live.id, "type": "videoUnmuted"})
        early.wait_for("notifyStreamEvent", type="videoUnmuted")


def test_available_says_strings(session, live):
    session.send("availableStream", {"mediaSessionId": "yes", "name": live.name})
    session.send("availableStream", {"mediaSessionId": "no", "name": "nobody"})
    assert session.wait_for("availableStream", id="yes")["status"] == "true"
    no = session.wait_for("availableStream", id="no")
    assert no["status"] == "false" and no["info"] == "Stream not found"


def test_rates_are_reported_each_second(a, client, aiortc, live):
    watcher = client(a.ws)
    player = aiortc.play(a, live.name, session=watcher)
    def rates(session, message, media_session):
        return [(data[0], when) for name, data, when in session.frames if name == message and data[0]["mediaSessionId"] == media_session]
    wait_until(lambda: len(rates(watcher, "outboundVideoRate", player.id)) >= 4, 8, watcher.story)
    times = [when for _, when in rates(watcher, "outboundVideoRate", player.id)][1:]
    assert 0.7 < (times[-1] - times[0]) / (len(times) - 1) < 1.3
    assert rates(watcher, "outboundVideoRate", player.id)[-1][0]["videoRate"] > 5_000
    assert rates(live.client, "inboundVideoRate", live.id)[-1][0]["videoRate"] > 5_000
    playing = next(when for name, data, when in watcher.frames if name == "notifyStreamStatusEvent" and data[0]["status"] == "PLAYING")
    assert all(when >= playing for _, when in rates(watcher, "outboundVideoRate", player.id))


def test_send_data_is_accepted(session):
    session.send("sendData", {"operationId": "op-1", "payload": {"any": ["thing"]}})
    assert session.wait_for("DataStatusEvent", operationId="op-1")["status"] == "ACCEPTED"


def test_diagnostics_are_taken_at_any_time(a, client):
    session = client(a.ws, handshake=False)
    session.send("pushLogs", {"logs": "10:00:00 DEBUG core - \"early\"\n"})
    session.introduce()
    for index in range(500):
        session.send("pushLogs", {"logs": f"10:00:00 DEBUG core - \"line {index}\"\n"})
    session.send("submitBugReport", {"text": "it does not work", "type": "test"})
    session.send("sessionDebug", {"command": "start"})
    session.send("sessionDebug", {"command": "stop"})
    session.send("DataStatusEvent", {"operationId": "x", "status": "ACCEPTED"})
    session.send("sendData", {"operationId": "after", "payload": None})
    session.wait_for("DataStatusEvent", operationId="after")


def test_calls_are_declined_without_harm(session):
    session.send("call", {"callId": "c1", "callee": "1000", "sdp": ""})
    assert session.wait_for("fail")["info"]
    # The vendor's SDK only warns of `fail`; this is what its pages show.
    assert session.wait_for("finish", callId="c1")["status"] == "FAILED"
    session.send("sendData", {"operationId": "after", "payload": None})
    session.wait_for("DataStatusEvent", operationId="after")


def test_transcoding_wishes_do_not_hinder_playing(a, client, aiortc, live):
    session = client(a.ws)
    media_session = session.play(live.name, offer("recvonly"), width="640", height="360", bitrate="500", quality=50, custom={"a": 1})
    wait_until(lambda: any(name == "setRemoteSDP" and data[0] == media_session for name, data, _ in session.frames)
               or session.statuses(media_session), 5, session.story)
    statuses = session.statuses(media_session)
    assert not statuses or statuses[0]["info"] == "Transcoding required, but disabled", statuses


def test_unknown_fields_and_rates_as_text_are_tolerated(session, name):
    media_session = session.publish(name, offer(), bitrate="700", minBitrate="300", maxBitrate="900", rtmpUrl="", constraints={"x": 1}, transport="UDP", new=1)
    assert session.answer(media_session)
