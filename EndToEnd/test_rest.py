# SPDX-License-Identifier: Apache-2.0
"""Every REST status, on raw streams of aiortc (no browser needed)."""
import time

import pytest

from harness.ports import free_tcp_port
from harness.vendorlike import VendorLikeServer
from harness.waiting import wait_until
from harness.wcs import offer


def link(node, local, remote):
    return {"uri": node.ws, "localStreamName": local, "remoteStreamName": remote}


@pytest.fixture(scope="module")
def live(a, background):
    """A small stream on A for the whole file."""
    from harness.media import AiortcPublisher
    from harness.wcs import Client
    owner = Client(a.ws)
    publisher = AiortcPublisher(background, owner, "rest-live", width=192, height=144, fps=10)
    yield publisher.name
    publisher.stop()
    owner.close()


@pytest.fixture
def ends_agents(a, b):
    yield
    for node in (a, b):
        for record in node.pulls():
            node.rest("pull/terminate", {"uri": record["uri"], "localStreamName": record["localStreamName"],
                                         "remoteStreamName": record["remoteStreamName"]})
        wait_until(lambda: not node.pulls(), 5, f"no agents on {node.name}")
    wait_until(lambda: not any(record["sessionId"].startswith("/agent") for record in b.streams()), 5, "no streams of agents on B")


@pytest.fixture
def closed_port():
    return free_tcp_port()


# push

def test_push_200_has_an_empty_body_and_the_far_side_has_the_stream(a, b, live, name, ends_agents):
    reply = a.rest("pull/push", link(b, live, name))
    assert (reply.status, reply.body) == (200, None), reply
    assert b.has_stream(name), "200 was said before the far side had the stream"
    record = next(record for record in a.pulls() if record["remoteStreamName"] == name)
    assert set(record) >= {"uri", "localMediaSessionId", "remoteMediaSessionId", "localStreamName", "remoteStreamName", "status"}
    assert (record["uri"], record["localStreamName"], record["status"]) == (b.ws, live, "PROCESSED_LOCAL")
    far = b.streams(name=name, published=True)[0]
    assert record["remoteMediaSessionId"] == far["mediaSessionId"]
    local = a.streams(mediaSessionId=record["localMediaSessionId"])
    assert len(local) == 1 and local[0]["published"] is False
    a.rest("pull/terminate", link(b, live, name))
    b.wait_for_no_stream(name, 2)


def test_push_404_without_the_local_stream(a, b, name):
    reply = a.rest("pull/push", link(b, name, name))
    assert reply.status == 404 and name in reply.reason, reply


def test_push_404_while_the_local_stream_has_no_media(a, b, name, client):
    session = client(a.ws)
    session.answer(session.publish(name, offer()))
    assert a.rest("pull/push", link(b, name, name)).status == 404


def test_push_409_when_the_same_push_runs(a, b, live, name, ends_agents):
    assert a.rest("pull/push", link(b, live, name)).status == 200
    for path in ("", "/", "/websocket", "/socket", "/websocket/"):
        reply = a.rest("pull/push", {**link(b, live, name), "uri": b.ws + path})
        assert reply.status == 409 and name in reply.reason, (path, reply)
    assert len(a.pulls()) == 1
    assert a.rest("pull/push", link(b, live, name + "-other")).status == 200


def test_push_409_when_the_far_name_is_in_use(a, b, live, name, aiortc):
    aiortc.publish(b, name, fps=5)
    reply = a.rest("pull/push", link(b, live, name))
    assert reply.status == 409 and name in reply.reason and b.ws in reply.reason, reply
    assert a.pulls() == []


BAD_REQUESTS = [
    ("not JSON", "{uri", None), ("empty", "", None), ("an array", "[]", None), ("a string", '"x"', None), ("null", "null", None),
    ("no uri", None, {"localStreamName": "a", "remoteStreamName": "b"}),
    ("no local name", None, {"uri": "ws://127.0.0.1:1", "remoteStreamName": "b"}),
    ("no remote name", None, {"uri": "ws://127.0.0.1:1", "localStreamName": "a"}),
    ("an empty name", None, {"uri": "ws://127.0.0.1:1", "localStreamName": "", "remoteStreamName": "b"}),
    ("a number for a name", None, {"uri": "ws://127.0.0.1:1", "localStreamName": 5, "remoteStreamName": "b"}),
    ("http", None, {"uri": "http://127.0.0.1:1", "localStreamName": "a", "remoteStreamName": "b"}),
    ("no scheme", None, {"uri": "127.0.0.1:8080", "localStreamName": "a", "remoteStreamName": "b"}),
    ("no host", None, {"uri": "ws://", "localStreamName": "a", "remoteStreamName": "b"}),
    ("a port out of range", None, {"uri": "ws://127.0.0.1:99999", "localStreamName": "a", "remoteStreamName": "b"}),
    ("null for the uri", None, {"uri": None, "localStreamName": "a", "remoteStreamName": "b"}),
]


@pytest.mark.parametrize("method", ["push", "pull"])
@pytest.mark.parametrize("data, body", [case[1:] for case in BAD_REQUESTS], ids=[case[0] for case in BAD_REQUESTS])
def test_400_says_what_is_wrong(a, method, data, body):
    reply = a.rest(f"pull/{method}", body, data=data, method="POST", headers={"Content-Type": "application/json"})
    assert reply.status == 400 and reply.reason, reply
    assert reply.body["status"] == 400 and reply.body["path"].endswith(f"pull/{method}")


@pytest.mark.parametrize("method", ["push", "pull"])
def test_400_for_wss_names_the_key(a, live, name, method):
    local = live if method == "push" else name
    reply = a.rest(f"pull/{method}", {"uri": "wss://127.0.0.1:8443", "localStreamName": local, "remoteStreamName": name})
    assert reply.status == 400 and "wcs_agent_ssl" in reply.reason, reply


@pytest.mark.parametrize("method", ["push", "pull"])
def test_500_names_a_far_side_that_is_not_there(a, live, name, method, closed_port):
    uri = f"ws://127.0.0.1:{closed_port}"
    local = live if method == "push" else name
    reply = a.rest(f"pull/{method}", {"uri": uri, "localStreamName": local, "remoteStreamName": name})
    assert reply.status == 500 and f"127.0.0.1:{closed_port}" in reply.reason, reply
    assert a.pulls() == [] and reply.seconds < 5


@pytest.mark.parametrize("method", ["push", "pull"])
def test_500_when_the_far_side_is_no_websocket_server(a, b, live, name, method):
    uri = b.http.replace("http", "ws")
    local = live if method == "push" else name
    reply = a.rest(f"pull/{method}", {"uri": uri, "localStreamName": local, "remoteStreamName": name})
    assert reply.status == 500 and reply.reason, reply


@pytest.mark.parametrize("method", ["push", "pull"])
def test_500_when_the_far_side_never_answers(make_node, aiortc, name, method):
    import socket
    node = make_node("A", wcs_agent_timeout=1000)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        local = aiortc.publish(node, name, fps=5).name if method == "push" else name
        uri = f"ws://127.0.0.1:{mute.getsockname()[1]}"
        reply = node.rest(f"pull/{method}", {"uri": uri, "localStreamName": local, "remoteStreamName": name + "-far"})
    assert reply.status == 500 and 0.8 < reply.seconds < 2.5, reply
    assert node.pulls() == []


# pull

def test_pull_200_has_an_empty_body_and_the_stream_is_here(a, b, live, name, ends_agents):
    reply = b.rest("pull/pull", link(a, name, live))
    assert (reply.status, reply.body) == (200, None), reply
    b.wait_for_stream(name, 2)
    record = next(record for record in b.pulls() if record["localStreamName"] == name)
    assert (record["uri"], record["remoteStreamName"], record["status"]) == (a.ws, live, "PROCESSED_REMOTE")
    assert b.streams(name=name, published=True)[0]["mediaSessionId"] == record["localMediaSessionId"]
    assert any(player["mediaSessionId"] == record["remoteMediaSessionId"] for player in a.streams(name=live, published=False))
    assert b.rest("pull/terminate", {"localStreamName": name}).status == 200
    b.wait_for_no_stream(name, 2)
    wait_until(lambda: not a.streams(name=live, published=False), 2, "no player is left on A")


def test_pull_404_without_the_remote_stream(a, b, name):
    reply = b.rest("pull/pull", link(a, name, "nobody"))
    assert reply.status == 404 and "nobody" in reply.reason, reply
    assert b.pulls() == [] and b.streams(name=name) == []


def test_pull_409_when_the_local_name_is_taken(a, b, live, name, aiortc, ends_agents):
    aiortc.publish(b, name, fps=5)
    assert b.rest("pull/pull", link(a, name, live)).status == 409
    assert b.rest("pull/pull", link(a, name + "-2", live)).status == 200
    reply = b.rest("pull/pull", link(a, name + "-2", live))
    assert reply.status == 409 and name in reply.reason, reply


def test_a_name_being_pulled_cannot_be_published(a, b, live, name, client, ends_agents):
    assert b.rest("pull/pull", link(a, name, live)).status == 200
    session = client(b.ws)
    assert session.status(session.publish(name, offer()))["info"] == "Stream name is already in use"


def test_one_stream_is_pulled_under_several_names(a, b, live, name, ends_agents):
    names = [f"{name}-{index}" for index in range(3)]
    for local in names:
        assert b.rest("pull/pull", link(a, local, live)).status == 200
    for local in names:
        b.wait_for_stream(local)
    assert {record["localStreamName"] for record in b.pulls()} == set(names)


# find_all and terminate

def test_find_all_404_when_there_is_none(a):
    for method in ("GET", "POST"):
        reply = a.rest("pull/find_all", method=method)
        assert reply.status == 404 and reply.reason, reply


@pytest.mark.parametrize("fields", [
    ("uri",), ("localStreamName",), ("remoteStreamName",), ("uri", "localStreamName", "remoteStreamName"), ("uri", "remoteStreamName")])
def test_terminate_by_any_field(a, b, live, name, fields, ends_agents):
    body = link(b, live, name)
    assert a.rest("pull/push", body).status == 200
    reply = a.rest("pull/terminate", {key: body[key] for key in fields})
    assert (reply.status, reply.body) == (200, None), reply
    b.wait_for_no_stream(name, 2)
    assert a.rest("pull/terminate", {key: body[key] for key in fields}).status == 404


def test_terminate_takes_the_uri_with_or_without_a_path(a, b, live, name, ends_agents):
    assert a.rest("pull/push", {**link(b, live, name), "uri": b.ws + "/websocket"}).status == 200
    assert a.rest("pull/terminate", {"uri": b.ws}).status == 200


def test_terminate_404_unless_all_fields_match(a, b, live, name, ends_agents):
    assert a.rest("pull/push", link(b, live, name)).status == 200
    assert a.rest("pull/terminate", {"uri": b.ws, "remoteStreamName": "another"}).status == 404
    assert a.rest("pull/terminate", {"uri": "ws://127.0.0.1:9"}).status == 404
    assert b.has_stream(name)


@pytest.mark.parametrize("data", ["", "{}", "[", '{"uri":"http://x"}', '{"localStreamName":7}'])
def test_terminate_400(a, data):
    reply = a.rest("pull/terminate", data=data, method="POST", headers={"Content-Type": "application/json"})
    assert reply.status == 400 and reply.reason, reply


def test_a_push_of_a_push_makes_a_chain(a, b, make_node, live, name, aiortc, ends_agents):
    third = make_node("C")
    assert a.rest("pull/push", link(b, live, name)).status == 200
    assert b.rest("pull/push", link(third, name, name)).status == 200
    player = aiortc.play(third, name)
    player.wait_for_frames(5)
    a.rest("pull/terminate", {"remoteStreamName": name})
    third.wait_for_no_stream(name, 3)


# stream/*

def test_streams_are_found_by_filters_with_metrics(a, live, aiortc):
    player = aiortc.play(a, live)
    player.wait_for_frames(10)
    everything = a.rest("stream/find_all")
    assert everything.status == 200 and a.rest("stream/find_all", method="POST").status == 200
    assert {record["name"] for record in everything.body} == {live}
    published = a.streams(name=live, published=True)
    assert len(published) == 1 and published[0]["mediaType"] == "publish"
    assert set(published[0]) >= {"appKey", "sessionId", "mediaSessionId", "name", "published", "hasVideo", "hasAudio", "status", "audioCodec",
                                 "videoCodec", "record", "width", "height", "createDate", "mediaType", "mediaProvider"}
    assert "metrics" not in published[0]
    assert [record["mediaSessionId"] for record in a.streams(mediaSessionId=player.id)] == [player.id]
    assert a.streams(published=False, status="PLAYING", name=live) and a.rest("stream/find", {}).status == 200
    def figures():
        found = a.metrics(name=live, published=True)
        return found if found.get("VIDEO_RATE", 0) > 5_000 and found.get("VIDEO_FPS", 0) > 0 else None
    metrics = wait_until(figures, 5, lambda: a.metrics(name=live, published=True))
    assert (metrics["VIDEO_WIDTH"], metrics["VIDEO_HEIGHT"]) == (192, 144) and 7 < metrics["VIDEO_FPS"] < 13
    assert metrics["VIDEO_K_FRAMES"] >= 1 and metrics["VIDEO_LOST"] == 0 and metrics["AUDIO_RATE"] > 0
    wait_until(lambda: a.metrics(mediaSessionId=player.id)["VIDEO_RATE"] > 5_000, 5, lambda: a.metrics(mediaSessionId=player.id))


def test_stream_find_404_and_400(a):
    assert a.rest("stream/find", {"name": "nobody"}).status == 404
    assert a.rest("stream/find", data="{", method="POST").status == 400
    assert a.rest("stream/find", {"published": "perhaps"}).status == 400
    assert a.rest("stream/terminate", {"name": "nobody"}).status == 404
    assert a.rest("stream/terminate", data="", method="POST").status == 400


def test_terminating_a_publisher_tells_it_and_its_players(a, client, aiortc, name):
    owner, watcher = client(a.ws), client(a.ws)
    publisher = aiortc.publish(a, name, session=owner, fps=5)
    player = aiortc.play(a, name, session=watcher)
    reply = a.rest("stream/terminate", {"mediaSessionId": publisher.id})
    assert (reply.status, reply.body) == (200, None)
    ended = owner.status(publisher.id, "FAILED", "UNPUBLISHED")
    assert (ended["status"], ended["info"]) == ("FAILED", "Stopped by rest /terminate")
    assert watcher.status(player.id, "FAILED")["info"] == "Stopped by publisher stop"
    assert a.streams(name=name) == [] and not owner.is_closed


def test_terminating_players_leaves_the_publisher(a, client, aiortc, live):
    watcher = client(a.ws)
    player = aiortc.play(a, live, session=watcher)
    assert a.rest("stream/terminate", {"published": False, "name": live}).status == 200
    assert watcher.status(player.id, "FAILED")["info"] == "Stopped by rest /terminate"
    assert a.has_stream(live)


def test_terminating_everything_takes_agents_along(make_node, b, aiortc, name):
    node = make_node("A")
    aiortc.publish(node, name, fps=5)
    assert node.rest("pull/push", link(b, name, name)).status == 200
    assert node.rest("stream/terminate", {}).status == 200
    wait_until(lambda: not node.streams() and not node.pulls(), 3, "everything is gone")
    b.wait_for_no_stream(name, 3)


def test_terminating_the_stream_of_a_push_on_the_far_side_ends_the_push(a, b, live, name, ends_agents):
    assert a.rest("pull/push", link(b, live, name)).status == 200
    assert b.rest("stream/terminate", {"name": name, "published": True}).status == 200
    wait_until(lambda: not a.pulls(), 3, "the push is over")


# connection/*

def test_connections_are_found_and_terminated(a, client):
    session = client(a.ws, appKey="myApp", clientVersion="9.9")
    found = a.rest("connection/find", {"clientVersion": "9.9"})
    assert found.status == 200 and len(found.body) == 1 and found.body[0]["appKey"] == "myApp"
    assert any(record["sessionId"] == found.body[0]["sessionId"] for record in a.rest("connection/find_all").body)
    assert a.rest("connection/find", {"clientVersion": "none such"}).status == 404
    reply = a.rest("connection/terminate", {"sessionId": found.body[0]["sessionId"]})
    assert (reply.status, reply.body) == (200, None)
    wait_until(lambda: session.is_closed, 2, "the socket is closed")
    assert a.rest("connection/terminate", {"sessionId": found.body[0]["sessionId"]}).status == 404
    assert a.rest("connection/terminate", {}).status == 400


def test_connection_find_all_404_when_there_is_none(make_node):
    node = make_node("A")
    assert node.rest("connection/find_all").status == 404
    assert node.rest("stream/find_all").status == 404


def test_a_terminated_connection_takes_its_streams_along(a, client, aiortc, name):
    session = client(a.ws, clientVersion="to-be-ended")
    aiortc.publish(a, name, session=session, fps=5)
    record = a.rest("connection/find", {"clientVersion": "to-be-ended"}).body[0]
    assert a.rest("connection/terminate", {"sessionId": record["sessionId"]}).status == 200
    a.wait_for_no_stream(name, 2)


# The frame

def test_unknown_methods_and_verbs(a):
    reply = a.rest("pull/pusch", {})
    assert reply.status == 404 and "pull/push" in reply.reason
    assert a.rest("pull/push", method="GET").status == 405
    assert a.rest("pull/push", method="DELETE").status == 405


def test_cross_origin_requests_are_allowed(a):
    reply = a.rest("pull/push", method="OPTIONS", headers={"Origin": "http://elsewhere", "Access-Control-Request-Method": "POST"})
    assert reply.status in (200, 204) and reply.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in reply.headers["Access-Control-Allow-Methods"]
    assert "content-type" in reply.headers["Access-Control-Allow-Headers"].lower()
    assert a.rest("stream/find", {"name": "none"}).headers["Access-Control-Allow-Origin"] == "*"


def test_rest_over_https(a):
    assert a.rest("server/info", base=a.https).status == 200


def test_basic_authentication_when_asked_for(make_node, tmp_path):
    users = tmp_path / "users"
    users.write_text("ann:secret\n")
    node = make_node("A", disable_rest_auth="false", rest_users=users)
    import base64
    def credentials(text):
        return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}
    assert node.rest("server/info").status == 401
    assert node.rest("server/info", headers=credentials("ann:wrong")).status == 401
    assert node.rest("server/info", headers=credentials("ann:secret")).status == 200


def test_the_statistics_page_has_the_form_the_console_reads(a, live):
    import requests
    text = requests.get(a.http + "/?action=stat&preventCache=Sat Nov 21 2026").text
    lines = text.split("\n")
    assert lines[0].startswith("-") and "\r" not in text
    assert not any(line and set(line) == {"-"} for line in lines)
    sections, key = {}, None
    for line in lines:
        if line.startswith("-"):
            key = line.strip("-").split()[0].lower()
            sections[key] = {}
        elif "=" in line:
            sections[key][line.split("=")[0]] = line.split("=", 1)[1]
    assert int(sections["connection"]["connections_websocket"]) >= 1
    assert sections["stream"]["streams_webrtc_in"] == "1"
    for wanted in ("streams_rtmfp_in", "streams_rtmp_out", "streams_rtsp_in", "streams_webrtc_out"):
        assert wanted in sections["stream"]
    assert int(sections["system"]["system_memory_total"]) > 0 and "system_java_cpu_usage" in sections["system"]
    assert int(sections["core"]["core_threads"]) > 0
    groups = requests.get(a.http + "/?action=stat&format=json&groups=transcoding_stats").json()
    assert "distributors" in groups["transcoding_stats"]["transcoding_video_full_info"][live]


# A far side that is not Martlet

@pytest.fixture
def vendor(background):
    server = VendorLikeServer(background, streams=["there"])
    yield server
    server.close()


def test_a_push_works_towards_a_server_that_answers_like_the_vendors(a, live, name, vendor):
    reply = a.rest("pull/push", {"uri": vendor.url + "/websocket", "localStreamName": live, "remoteStreamName": name})
    assert reply.status == 200, reply
    # Of a damaged picture the clock can't be read.
    wait_until(lambda: len(vendor.received.clocks) > 10 and vendor.received.audio_energy > 0, 10,
               lambda: f"media; {vendor.received.frames} frames, {len(vendor.received.clocks)} clocks, energy {vendor.received.audio_energy}")
    assert vendor.paths == ["/websocket"]
    request = next(argument for message, argument in vendor.requests if message == "publishStream")
    assert request["published"] is True and request["name"] == name and request["mediaProvider"] == "WebRTC"
    wait_until(lambda: any(message == "pong" for message, _ in vendor.requests), 5, "a pong")
    assert a.rest("pull/terminate", {"remoteStreamName": name}).status == 200
    wait_until(lambda: any(message == "unPublishStream" for message, _ in vendor.requests), 3, "unPublishStream")


def test_a_pull_works_from_a_server_that_answers_like_the_vendors(a, name, vendor, aiortc):
    reply = a.rest("pull/pull", {"uri": vendor.url, "localStreamName": name, "remoteStreamName": "there"})
    assert reply.status == 200, reply
    a.wait_for_stream(name)
    player = aiortc.play(a, name, codec=a.streams(name=name, published=True)[0]["videoCodec"])
    player.wait_for_frames(15)
    wait_until(lambda: player.audio_energy > 0, 5, "sound")
    assert a.rest("pull/terminate", {"localStreamName": name}).status == 200
    wait_until(lambda: any(message == "stopStream" for message, _ in vendor.requests), 3, "stopStream")


def test_a_pull_of_what_the_vendor_does_not_have_is_404(a, name, vendor):
    reply = a.rest("pull/pull", {"uri": vendor.url, "localStreamName": name, "remoteStreamName": "absent"})
    assert reply.status == 404, reply


def test_pushes_are_quick(a, b, live, name, ends_agents):
    took = []
    for index in range(5):
        start = time.monotonic()
        assert a.rest("pull/push", link(b, live, f"{name}-{index}")).status == 200
        took.append(time.monotonic() - start)
    assert sorted(took)[2] < 0.4, took
