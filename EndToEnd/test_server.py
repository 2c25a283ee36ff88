# SPDX-License-Identifier: Apache-2.0
"""Start and end of a server, its settings, its listeners."""
import os
import re
import signal
import socket
import ssl
import subprocess

import pytest
import requests

from harness.certificates import Authority
from harness.node import Node
from harness.paths import MARTLET
from harness.ports import free_tcp_port
from harness.waiting import wait_until
from harness.wcs import Client


def martlet(*arguments, timeout=20, **environment):
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MARTLET")}
    return subprocess.run([str(MARTLET), *arguments], capture_output=True, text=True, timeout=timeout, env={**clean, **environment})


def test_sigterm_tells_players_and_ends_with_0_within_5_seconds(make_node, client, aiortc, name):
    node = make_node("A")
    aiortc.publish(node, name)
    watcher = client(node.ws)
    player = aiortc.play(node, name, session=watcher)
    player.wait_for_frames(1)
    code, seconds = node.stop()
    assert code == 0 and seconds < 5, (code, seconds, node.log_tail())
    wait_until(lambda: watcher.is_closed, 2, "the socket is closed")
    ends = [frame["info"] for frame in watcher.statuses(player.id) if frame["status"] == "FAILED"]
    assert ends or watcher.close_code == 1001, watcher.story()


def test_an_idle_server_ends_at_once_and_frees_its_ports(make_node):
    node = make_node("A")
    code, seconds = node.stop()
    assert code == 0 and seconds < 2, (code, seconds)
    node.start()
    node.signal(signal.SIGINT)
    assert node.wait_for_exit(5) == 0


def test_every_listener_answers(make_node, client):
    node = make_node("A")
    assert requests.get(node.http + "/health").json() == {"status": "UP"}
    assert requests.get(node.https + "/health", verify=False).json() == {"status": "UP"}
    untrusting = ssl._create_unverified_context()
    assert client(node.ws).user_data["status"] == "ESTABLISHED"
    assert client(node.wss, ssl=untrusting).user_data["status"] == "ESTABLISHED"
    info = node.rest("server/info").body
    assert [info[key] for key in ("ws", "wss", "http", "https")] == [
        node.settings[key + ".port"] for key in ("ws", "wss", "http", "https")]


def test_listeners_can_be_switched_off(make_node):
    node = make_node("A", wss__port=-1, https__port=-1)
    info = node.rest("server/info").body
    assert info["wss"] is None and info["https"] is None and info["ws"] == node.settings["ws.port"]


def test_the_certificate_made_at_first_start_is_kept(make_node):
    node = make_node("A")
    port = node.settings["https.port"]
    first = ssl.get_server_certificate(("127.0.0.1", port))
    node.stop()
    node.start()
    assert ssl.get_server_certificate(("127.0.0.1", port)) == first


def test_own_certificates_are_used(make_node, tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost", "127.0.0.1")
    node = make_node("A", ssl_certificate_file=certificate, ssl_private_key_file=key)
    context = ssl.create_default_context(cafile=authority.file)
    assert requests.get(node.https + "/health", verify=str(authority.file)).status_code == 200
    with Client(node.wss.replace("127.0.0.1", "localhost"), ssl=context) as session:
        assert session.user_data["status"] == "ESTABLISHED"


def test_settings_come_from_file_environment_and_command_line(tmp_path):
    (tmp_path / "martlet.properties").write_text("ws.port=1001\nwss.port=1002\n# pages\nhttp.port = 1003\n")
    result = martlet("config", "--config", str(tmp_path / "martlet.properties"), "--set", "http.port=3003",
                     MARTLET_WSS_PORT="2002", MARTLET_HTTP_PORT="2003")
    assert result.returncode == 0, result.stderr
    def line(key):
        return next(line for line in result.stdout.splitlines() if line.startswith(key + "=") or line.startswith(key + " "))
    assert "1001" in line("ws.port") and "2002" in line("wss.port") and "3003" in line("http.port")


@pytest.mark.parametrize("setting, key", [
    ("ws.port=banana", "ws.port"), ("ws.port=70000", "ws.port"), ("ice_timeout=-5", "ice_timeout"), ("codecs_video=MPEG1", "codecs_video"),
    ("wcs_agent_ssl=perhaps", "wcs_agent_ssl"), ("ssl_certificate_file=/nowhere.pem", "ssl_"),
])
def test_a_wrong_setting_stops_the_start_with_a_sentence_naming_it(setting, key, tmp_path):
    result = martlet("run", "--set", setting, "--set", f"state_dir={tmp_path}", "--set", "http.port=0", "--set", "https.port=0")
    assert result.returncode not in (0, -6, -11, 139), result
    assert key in result.stderr and "martlet:" in result.stderr, result.stderr


def test_an_unknown_setting_is_warned_about_with_the_nearest_name(make_node):
    node = make_node("A", ice_timout=5000)
    wait_until(lambda: "ice_timout" in node.log() and "ice_timeout" in node.log(), 5, node.log)


@pytest.mark.parametrize("key, kind", [
    ("ws.port", "tcp"), ("wss.port", "tcp"), ("http.port", "tcp"), ("https.port", "tcp"), ("rtmp.port", "tcp"), ("rtsp.port", "tcp"),
    ("media_port_from", "udp"), ("media_port_from", "tcp"),
])
def test_a_taken_port_is_named_in_one_sentence_that_says_what_to_do(tmp_path, key, kind):
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as taken:
        taken.bind(("::", free_tcp_port()))
        if kind == "tcp":
            taken.listen()
        port = taken.getsockname()[1]
        node = Node("A", tmp_path / "a", **{key.replace(".", "__"): port})
        node.settings["media_port_to"] = node.settings["media_port_from"] + 1
        node.spawn()
        assert node.wait_for_exit(10) == 1
        said = node.log_tail()
    problem = said.split("can't start:", 1)[1].strip().splitlines()
    assert len(problem) == 1, said
    assert key in problem[0] and str(port) in problem[0] and "in use by another program" in problem[0] and "set " in problem[0]
    assert not re.search(r"errno|Error\(|NIO|ERROR", said), said


def test_a_crash_ends_the_process_at_once(make_node):
    node = make_node("A")
    node.signal(signal.SIGILL)
    # With a backtrace it stands still for up to half a minute while its ports are open.
    assert node.wait_for_exit(2) == -signal.SIGILL
    node.start()
    assert requests.get(node.http + "/health").ok


def test_version_and_help_speak():
    assert martlet("--help").returncode == 0
    for command in ("run", "config", "version"):
        assert martlet(command, "--help").returncode == 0
    assert martlet("version").stdout.strip()
    assert martlet("nonsense").returncode != 0


def test_json_logs_are_json_with_stream_session_and_peer(make_node, aiortc, name):
    import json
    node = make_node("A", log_format="json", log_level="info")
    aiortc.publish(node, name).stop()
    lines = [json.loads(line) for line in node.log().splitlines() if line.strip()]
    about = [line for line in lines if name in json.dumps(line)]
    assert about and any("session" in json.dumps(line) for line in about), lines
