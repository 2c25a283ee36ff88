# SPDX-License-Identifier: Apache-2.0
"""What the SDK says to a server, and what a page hears from the SDK."""


def run(page, body):
    return page.evaluate("async () => {" + body + "}")


PUBLISH = """
    const publisher = session.createStream({name: "a1", display: display(), receiveVideo: false, receiveAudio: false});
    const publishing = reached(publisher, "PUBLISHING", "FAILED");
    publisher.publish();
    await publishing;
"""
PLAY = """
    const player = session.createStream({name: "a1", display: display()});
    const playing = reached(player, "PLAYING", "FAILED");
    player.play();
    await playing;
"""


def test_a_session_introduces_itself_as_the_protocol_says(sdk):
    first = run(sdk, "return [fakeServer.frames[0], fakeServer.sockets[0].protocols]")
    assert first[0]["message"] == "connection" and first[1] is None
    [data] = first[0]["data"]
    assert data["appKey"] == "defaultApp"
    assert data["mediaProviders"] == ["WebRTC"]
    assert data["msePacketizationVersion"] == 2
    assert "keepAlive" not in data and "custom" not in data and "authToken" not in data


def test_options_of_a_session_travel_with_its_introduction(sdk):
    data = run(sdk, """
        await connect({appKey: "roomApp", keepAlive: true, authToken: "x", custom: {login: "alice"}});
        return fakeServer.sent("connection")[1];
    """)
    assert (data["appKey"], data["keepAlive"], data["authToken"], data["custom"]) == ("roomApp", True, "x", {"login": "alice"})


def test_a_ping_is_answered_with_a_pong(sdk):
    run(sdk, 'fakeServer.tell("ping")')
    assert run(sdk, "return fakeServer.frames.at(-1)") == {"message": "pong", "data": [None]}


def test_frames_nobody_expects_do_no_harm(sdk):
    run(sdk, """
        const socket = fakeServer.sockets.at(-1);
        for (const data of ["no json", "{}", "[]", "null", '{"message":"ping"}', '{"message":"notifyStreamStatusEvent","data":[null]}',
                            '{"message":"setRemoteSDP","data":["unknown","v=0"]}', new Blob(["x"])]) socket.onmessage({data});
    """)
    assert run(sdk, "return session.status()") == "ESTABLISHED"
    assert run(sdk, "return fakeServer.frames.at(-1).message") == "pong"


def test_publishing_sends_an_offer_and_reaches_publishing(sdk):
    status, request = run(sdk, PUBLISH + 'return [publisher.status(), fakeServer.sent("publishStream")[0]];')
    assert status == "PUBLISHING"
    sdp = request.pop("sdp")
    assert request.pop("mediaSessionId")
    assert request == {
        "name": "a1", "published": True, "hasVideo": True, "hasAudio": True, "status": "PENDING", "record": False,
        "mediaProvider": "WebRTC", "bitrate": 0, "minBitrate": 0, "maxBitrate": 0,
    }
    assert sdp.count("a=sendonly") == 2 and "a=candidate" not in sdp and "\r\n" in sdp


def test_a_played_stream_shows_moving_pictures_with_one_media_stream(sdk):
    status, width, tracks, request = run(sdk, PUBLISH + PLAY + """
        const video = document.getElementById(player.id());
        await new Promise((resolve) => video.requestVideoFrameCallback(() => video.requestVideoFrameCallback(resolve)));
        return [player.status(), player.videoResolution().width, video.srcObject.getTracks().map((track) => track.kind).sort(),
                fakeServer.sent("playStream")[0]];
    """)
    assert status == "PLAYING" and width > 0 and tracks == ["audio", "video"]
    assert request["published"] is False and request["hasVideo"] is True and request["hasAudio"] is True
    assert (request["width"], request["height"], request["quality"]) == (0, 0, 0)
    assert request["sdp"].count("a=recvonly") == 2 and "a=candidate" not in request["sdp"]


def test_pending_is_told_once_the_element_of_a_player_exists(sdk):
    assert run(sdk, """
        const player = session.createStream({name: "none", display: display()});
        const seen = [];
        player.on("PENDING", (stream) => seen.push(stream.status(), document.getElementById(stream.id()).tagName));
        const failed = reached(player, "FAILED");
        player.play();
        seen.push("returned");
        await failed;
        return seen;
    """) == ["returned", "PENDING", "VIDEO"]


def test_a_player_of_an_unknown_name_fails_with_the_servers_reason(sdk):
    assert run(sdk, PLAY + "return [player.status(), player.getInfo(), session.getStreams().length]") == [
        "FAILED", "Session does not exist", 0]


def test_an_audio_only_player_offers_no_video(sdk):
    sdp = run(sdk, """
        const player = session.createStream({name: "x", constraints: {audio: true, video: false}});
        const failed = reached(player, "FAILED");
        player.play();
        await failed;
        return fakeServer.sent("playStream")[0].sdp;
    """)
    assert "m=audio" in sdp and "m=video" not in sdp


def test_stopping_waits_for_the_servers_confirmation(sdk):
    message, before, after = run(sdk, PUBLISH + """
        const unpublished = reached(publisher, "UNPUBLISHED");
        publisher.stop();
        const before = publisher.status();
        await unpublished;
        publisher.stop();
        return [fakeServer.frames.at(-1), before, publisher.status()];
    """)
    assert message["message"] == "unPublishStream" and message["data"][0]["published"] is True
    assert (before, after) == ("PUBLISHING", "UNPUBLISHED")


def test_publish_and_stop_in_one_tick_end_in_unpublished(sdk):
    assert run(sdk, """
        const stream = session.createStream({name: "a1", display: display()});
        const end = reached(stream, "UNPUBLISHED", "FAILED");
        stream.publish();
        stream.stop();
        return [await end, session.getStreams().length, document.querySelectorAll("video").length];
    """) == ["UNPUBLISHED", 0, 0]


def test_a_stop_does_not_wait_for_the_browsers_question_to_be_answered(sdk):
    assert run(sdk, """
        const capture = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        let allow;
        navigator.mediaDevices.getUserMedia = (wanted) => new Promise((resolve) => { allow = () => resolve(capture(wanted)); });
        const stream = session.createStream({name: "a1", display: display(), cacheLocalResources: true});
        const end = reached(stream, "UNPUBLISHED", "FAILED");
        stream.publish();
        stream.stop();
        const status = await end;
        const stopped = new Promise((resolve) => {
            const stop = MediaStreamTrack.prototype.stop;
            MediaStreamTrack.prototype.stop = function () { stop.call(this); resolve(this.readyState); };
        });
        allow();
        return [status, await stopped, document.querySelectorAll("video").length, fakeServer.sent("publishStream").length];
    """) == ["UNPUBLISHED", "ended", 0, 0]


def test_a_stop_while_the_offer_is_with_the_server_goes_out_with_the_first_status(sdk):
    assert run(sdk, """
        const stream = session.createStream({name: "a1", display: display()});
        const end = reached(stream, "UNPUBLISHED", "FAILED");
        stream.publish();
        while (fakeServer.sent("publishStream").length === 0) await new Promise(requestAnimationFrame);
        stream.stop();
        return [await end, fakeServer.sent("unPublishStream").length];
    """) == ["UNPUBLISHED", 1]


def test_a_player_hears_that_its_publisher_stopped(sdk):
    assert run(sdk, PUBLISH + PLAY + """
        const failed = reached(player, "FAILED");
        publisher.stop();
        await failed;
        return player.getInfo();
    """) == "Stopped by publisher stop"


def test_an_answer_the_browser_refuses_fails_the_stream_and_tells_the_server(sdk):
    status, info, words, told = run(sdk, "fakeServer.options.badAnswer = true;" + PUBLISH + """
        return [publisher.status(), publisher.getInfo(), publisher.getErrorInfo(), fakeServer.sent("unPublishStream").length];
    """)
    assert (status, info, told) == ("FAILED", "Local error", 1)
    assert words.startswith("The browser did not accept the server's answer")


def test_a_second_answer_is_ignored(sdk):
    assert run(sdk, PUBLISH + """
        fakeServer.tell("setRemoteSDP", publisher.id(), "v=0", true);
        await new Promise(requestAnimationFrame);
        return publisher.status();
    """) == "PUBLISHING"


def test_a_refused_camera_fails_in_words_and_sends_nothing(sdk):
    info, words, frames = run(sdk, """
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("Permission denied", "NotAllowedError"));
    """ + PUBLISH + 'return [publisher.getInfo(), publisher.getErrorInfo(), fakeServer.sent("publishStream").length];')
    assert info == "Local error" and frames == 0
    assert words == "The use of the camera or microphone was not allowed. Allow it in the browser's settings for this page and try again."


def test_muting_switches_the_track_off_and_tells_the_players(sdk):
    assert run(sdk, PUBLISH + PLAY + """
        const heard = new Promise((resolve) => player.on(STREAM_EVENT, resolve));
        const before = publisher.isAudioMuted();
        publisher.muteAudio();
        const event = await heard;
        return [before, publisher.isAudioMuted(), publisher.isVideoMuted(), event.type, event.mediaSessionId === player.id(),
                player.getAudioState().muted, fakeServer.sent("sendStreamEvent").map((frame) => frame.type)];
    """) == [False, True, False, "audioMuted", True, True, ["audioMuted"]]


def test_data_of_a_publisher_reaches_its_players(sdk):
    assert run(sdk, PUBLISH + PLAY + """
        const heard = new Promise((resolve) => player.on(STREAM_EVENT, resolve));
        publisher.sendData({count: 23});
        const {type, payload} = await heard;
        return [type, payload];
    """) == ["data", {"count": 23}]


def test_available_resolves_and_rejects_with_the_stream_and_leaves_nothing_behind(sdk):
    assert run(sdk, PUBLISH + """
        const yes = await session.createStream({name: "a1"}).available();
        const no = await session.createStream({name: "b2"}).available().catch((stream) => stream);
        return [yes.name(), no.name(), no.getInfo(), session.getStreams().length];
    """) == ["a1", "b2", "Stream not found", 1]


def test_a_snapshot_comes_as_event_and_in_the_older_form(sdk):
    assert run(sdk, PUBLISH + """
        const seen = [];
        const stream = session.createStream({name: "a1"});
        stream.on(STREAM_EVENT, ({type}) => seen.push(type));
        const done = new Promise((resolve) => stream.on(STREAM_STATUS.SNAPSHOT_COMPLETE, resolve));
        stream.snapshot();
        seen.push((await done).getInfo(), stream.status());
        stream.stop();
        return [...seen, stream.status()];
    """) == ["snapshotCompleted", "UE5H", "NEW", "STOPPED"]


def test_a_snapshot_of_an_unknown_stream_fails_with_the_reason(sdk):
    assert run(sdk, """
        const stream = session.createStream({name: "none"});
        const failed = reached(stream, "FAILED");
        stream.snapshot();
        return [await failed, stream.getInfo()];
    """) == ["FAILED", "Stream not found"]


def test_session_data_is_accepted_or_refused(sdk):
    assert run(sdk, """
        const first = await session.sendData({greeting: "hello"});
        fakeServer.options.data = "FAILED";
        const second = await session.sendData(1).catch((reason) => reason);
        return [first.status, second.status, fakeServer.sent("sendData")[0].payload];
    """) == ["ACCEPTED", "FAILED", {"greeting": "hello"}]


def test_losing_the_connection_fails_streams_before_the_session(sdk):
    assert run(sdk, PUBLISH + """
        const order = [];
        publisher.on("FAILED", (stream) => order.push("stream " + stream.getErrorInfo()));
        const ended = new Promise((resolve) => session.on("DISCONNECTED", () => { order.push("session"); resolve(); }));
        fakeServer.sockets.at(-1).close();
        await ended;
        return [...order, Flashphoner.getSessions().length];
    """) == ["stream The connection to the server was lost.", "session", 0]


def test_a_server_that_is_not_there_is_named(sdk):
    assert run(sdk, "fakeServer.options.refuse = true; return connect().catch((words) => words)") == (
        "No connection to ws://example.org:8080: no server answers there.")
    assert "is not a WebSocket address" in run(sdk, 'return connect({urlServer: "nonsense"}).catch((words) => words)')


def test_missing_pings_end_the_session(sdk):
    assert run(sdk, """
        const session = await connect({receiveProbes: "2", probesInterval: "20"});
        await new Promise((resolve) => session.on("FAILED", resolve));
        return session.getErrorInfo();
    """) == "The server has stopped answering."


def test_stripped_codecs_leave_the_offer_with_their_retransmission(sdk):
    sdp = run(sdk, """
        const stream = session.createStream({name: "a1", display: display(), stripCodecs: "vp8,G722"});
        const publishing = reached(stream, "PUBLISHING", "FAILED");
        stream.publish();
        await publishing;
        return [stream.status(), fakeServer.sent("publishStream")[0].sdp];
    """)
    assert sdp[0] == "PUBLISHING"
    types = {line.split(":")[1].split(" ")[0] for line in sdp[1].splitlines() if line.startswith("a=rtpmap:")}
    assert "VP8" not in sdp[1] and "G722" not in sdp[1] and "VP9" in sdp[1]
    for line in sdp[1].splitlines():
        if line.startswith(("a=fmtp:", "a=rtcp-fb:")):
            assert line.split(":")[1].split(" ")[0] in types
        if "apt=" in line:
            assert line.split("apt=")[1] in types


def test_rates_and_custom_fields_travel_with_a_publish_request(sdk):
    request = run(sdk, """
        const stream = session.createStream({name: "r", display: display(), record: true, custom: {name: "room"}, transport: "TCP",
            cvoExtension: true, rtmpUrl: "rtmp://x/y", constraints: {audio: true, video: {width: "320", height: 240, maxBitrate: 500}}});
        const publishing = reached(stream, "PUBLISHING", "FAILED");
        stream.publish();
        await publishing;
        return fakeServer.sent("publishStream")[0];
    """)
    assert (request["record"], request["custom"], request["transport"], request["cvoExtension"]) == (True, {"name": "room"}, "TCP", True)
    assert request["maxBitrate"] == 500 and request["rtmpUrl"] == "rtmp://x/y" and request["constraints"]["video"]["width"] == "320"


def test_captured_media_is_kept_and_released_as_asked(sdk):
    assert run(sdk, """
        const place = display();
        await Flashphoner.getMediaAccess({audio: true, video: true}, place);
        let captures = 0;
        const original = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = (constraints) => { captures += 1; return original(constraints); };
        const stream = session.createStream({name: "a1", display: place, cacheLocalResources: true});
        const publishing = reached(stream, "PUBLISHING", "FAILED");
        stream.publish();
        await publishing;
        const unpublished = reached(stream, "UNPUBLISHED");
        stream.stop();
        await unpublished;
        const track = place.querySelector("video").srcObject.getVideoTracks()[0];
        const kept = track.readyState;
        return [captures, kept, Flashphoner.releaseLocalMedia(place), track.readyState, place.childElementCount,
                Flashphoner.releaseLocalMedia(place)];
    """) == [0, "live", True, "ended", 0, False]


def test_volume_goes_from_0_to_100(sdk):
    assert run(sdk, PUBLISH + PLAY + """
        player.setVolume("30");
        const volume = player.getVolume();
        player.muteRemoteAudio();
        const muted = player.isRemoteAudioMuted();
        player.unmuteRemoteAudio();
        return [volume, muted, player.isRemoteAudioMuted()];
    """) == [30, True, False]


def test_sound_refused_by_the_browser_starts_muted_and_says_so(sdk):
    assert run(sdk, """
        const play = HTMLMediaElement.prototype.play;
        HTMLMediaElement.prototype.play = function () {
            return this.muted ? play.call(this) : Promise.reject(new DOMException("no gesture", "NotAllowedError"));
        };
    """ + PUBLISH + """
        const player = session.createStream({name: "a1", display: display()});
        const hindered = new Promise((resolve) => player.on(STREAM_EVENT, resolve));
        player.play();
        return [(await hindered).type, player.isRemoteAudioMuted()];
    """) == ["playbackMuted", True]


def test_figures_have_both_kinds_under_the_direction(sdk):
    kinds, codec = run(sdk, PUBLISH + """
        const stats = await new Promise((resolve) => publisher.getStats(resolve));
        return [Object.keys(stats.outboundStream).sort(), stats.outboundStream.audio.codec];
    """)
    assert kinds == ["audio", "video"] and codec == "opus"


def test_the_camera_can_be_switched_while_publishing(sdk):
    assert run(sdk, PUBLISH + """
        const before = document.getElementById(publisher.id()).srcObject.getVideoTracks()[0];
        await publisher.switchCam();
        const after = document.getElementById(publisher.id()).srcObject.getVideoTracks();
        return [before.readyState, after.length, after[0].readyState];
    """) == ["ended", 1, "live"]


def test_the_classic_script_sets_the_global_at_once(page, origin):
    page.goto(origin + "/player.html")
    page.set_content('<script src="/client2/flashphoner.js"></script>'
                     "<script>window.seen = typeof Flashphoner.createSession; Flashphoner.init();</script>")
    assert page.evaluate("[seen, Flashphoner.constants.STREAM_STATUS.PLAYING, Flashphoner.getMediaProviders()]") == [
        "function", "PLAYING", ["WebRTC"]]
