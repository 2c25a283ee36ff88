# SPDX-License-Identifier: Apache-2.0
"""Media over TCP (ICE-TCP): where it is offered, chosen and left alone; behind a firewall; and a viewer that takes nothing more."""
import os
import re
import socket
import statistics
import struct
import time

import pytest

from harness import chromium
from harness.wcs import offer
from harness.waiting import wait_until


def candidates(answer):
    return re.findall(r"a=candidate:\S+ 1 (\w+) (\d+) (\S+) (\d+) typ host(?: tcptype (\w+))?", answer)


def media(node):
    return node.statistics()["media_stats"]


@pytest.mark.parametrize("settings, wanted, transports", [
    ({}, None, {"udp", "tcp"}), ({}, "UDP", {"udp"}), ({}, "TCP", {"tcp"}),
    ({"ice_tcp_transport": True}, None, {"tcp"}), ({"ice_tcp_transport": True}, "UDP", {"udp"}),
    ({"ice_tcp": False}, None, {"udp"}), ({"ice_tcp": False}, "TCP", {"udp"}),
])
def test_candidates_are_those_asked_for(make_node, client, name, settings, wanted, transports):
    node = make_node("A", **settings)
    session = client(node.ws)
    fields = {"transport": wanted} if wanted else {}
    answer = session.answer(session.publish(name, offer(), **fields))[1]
    found = candidates(answer)
    assert {transport for transport, *_ in found} == transports
    assert all(kind == ("passive" if transport == "tcp" else "") for transport, _, _, _, kind in found)
    ports = {int(port) for _, _, _, port, _ in found}
    assert ports <= {node.settings["media_port_from"] + index for index in range(node.settings["reactors"])}
    udp, tcp = ([int(priority) for transport, priority, *_ in found if transport == kind] for kind in ("udp", "tcp"))
    assert not udp or not tcp or min(udp) > max(tcp), "UDP is preferred"


def test_chromium_publishes_and_plays_over_tcp(a, tab, name):
    published = tab(a).publish(a.ws, name, transport="TCP")
    played = tab(a).play(a.ws, name, transport="TCP")
    played.wait_for_frames(30)
    played.wait_for_change()
    wait_until(lambda: played.audio_energy() > 0, 5, played.figures, pause=0.1)
    for stream in (published, played):
        assert stream.figures()["way"]["protocol"] == "tcp"
    assert {record["transport"] for record in a.streams(name=name)} == {"TCP"}
    assert media(a)["media_tcp_packets_dropped"] == 0
    assert played.stop() == "STOPPED" and published.stop() == "UNPUBLISHED"
    wait_until(lambda: media(a)["media_tcp_connections"] == 0, 10, "connections are closed with their streams")


def test_udp_is_used_where_it_works(a, tab, name):
    published = tab(a).publish(a.ws, name)
    played = tab(a).play(a.ws, name)
    played.wait_for_frames(10)
    for stream in (published, played):
        wait_until(lambda: stream.figures()["way"]["protocol"] == "udp", 5, stream.figures)
    wait_until(lambda: {record["transport"] for record in a.streams(name=name)} == {"UDP"}, 5, lambda: a.streams(name=name))


def test_firefox_plays_over_tcp(a, tab, fox, name):
    published = tab(a).publish(a.ws, name, "VP8")
    played = fox(a).play(a.ws, name, transport="TCP")
    played.wait_for_frames(15, timeout=20)
    assert {record["transport"] for record in a.streams(name=name, published=False)} == {"TCP"}
    published.stop()


def test_behind_a_firewall_without_udp_everything_goes_by_tcp(make_node, playwright, network, tmp_path, name):
    network.block_udp()
    node = make_node("A")
    base, ws = node.http.replace("127.0.0.1", network.host), node.ws.replace("127.0.0.1", network.host)
    with chromium.inside(playwright, network, tmp_path, base) as browser:
        with chromium.tab(browser, node, base=base) as publisher, chromium.tab(browser, node, base=base) as viewer:
            published = publisher.publish(ws, name)
            played = viewer.play(ws, name)
            played.wait_for_frames(60)
            played.wait_for_change()
            wait_until(lambda: played.audio_energy() > 0, 5, played.figures, pause=0.1)
            for stream in (published, played):
                way = stream.figures()["way"]
                assert way["protocol"] == "tcp" and way["address"] in (network.host, network.host6)
            assert {record["transport"] for record in node.streams(name=name)} == {"TCP"}
            assert media(node)["media_datagrams_in"] == 0, "UDP got through: the test shows nothing"


def test_a_viewer_that_stops_reading_harms_nobody(make_node, aiortc, tunnel, name):
    node = make_node("A", reactors=1, ice_tcp_channel_high_water_mark=65_536, ice_tcp_channel_low_water_mark=16_384, ice_tcp_channel_max_delay=1000)
    port = node.settings["media_port_from"]
    aiortc.publish(node, name, width=640, height=480)
    healthy = aiortc.play(node, name)
    by_tcp = aiortc.play(node, name, tunnel=tunnel("127.0.0.1", port), fields={"transport": "TCP"})
    dead_line = tunnel("127.0.0.1", port, room=8192)
    stuck = aiortc.play(node, name, tunnel=dead_line, fields={"transport": "TCP"})
    for player in (healthy, by_tcp, stuck):
        player.wait_for_frames(10)

    def watch(player, seconds):
        """Latencies in ms of the frames of the next seconds, and the longest pause between two of them."""
        start = len(player.clocks)
        time.sleep(seconds)  # the length of a measurement, not a wait for something
        seen = player.clocks[start:]
        latencies = [shown - drawn for drawn, shown in seen]
        gaps = [later[1] - earlier[1] for earlier, later in zip(seen, seen[1:])]
        return statistics.median(latencies), max(gaps), len(seen)

    before = {player: watch(player, 4) for player in (healthy, by_tcp)}
    dead_line.stop_reading()
    wait_until(lambda: media(node)["media_tcp_stalls"] == 1, 30, lambda: media(node))
    wait_until(lambda: media(node)["media_tcp_packets_dropped"] > 0, 10, lambda: media(node))
    frozen = stuck.frames
    memory = node.resources()["memory"]
    during = {player: watch(player, 4) for player in (healthy, by_tcp)}
    print("median latency, longest pause (ms), frames; before and during the stall:", [(before[p], during[p]) for p in before])
    for player in (healthy, by_tcp):
        assert during[player][0] < before[player][0] + 60, (before, during)
        assert during[player][1] < 600, (before, during)
        assert during[player][2] > 0.8 * before[player][2], (before, during)
    assert stuck.frames <= frozen + 1
    assert node.resources()["memory"] < memory + 2000, "what nobody takes piles up"
    assert media(node)["media_tcp_stalls"] == 1, "a line that takes nothing is left alone"

    # And it comes back to the present when it reads again.
    dead_line.go_on_reading()
    wait_until(lambda: stuck.clocks[-1][1] - stuck.clocks[-1][0] < 1000, 20, lambda: (stuck.clocks[-1], stuck.frames, frozen, media(node)))


def frame(packet):
    return struct.pack("!H", len(packet)) + packet


def test_strangers_on_the_tcp_port_are_closed_and_disturb_nobody(make_node, aiortc, tunnel, name):
    node = make_node("A", reactors=1)
    port = node.settings["media_port_from"]
    aiortc.publish(node, name)
    player = aiortc.play(node, name, tunnel=tunnel("127.0.0.1", port), fields={"transport": "TCP"})
    player.wait_for_frames(5)
    check = bytes.fromhex("000100182112a442") + b"x" * 12 + bytes.fromhex("00060011") + b"unknown:whatever1\0\0\0"
    for first in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(3000), frame(os.urandom(100)), frame(b"\x80\x60" + b"x" * 30), frame(check), b"\xff\xff"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as stranger:
            stranger.sendall(first)
            try:
                assert stranger.recv(100) == b"", first
            except ConnectionResetError:
                pass
    # Those who say nothing are closed after a while, and make room for each other before.
    silent = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(200)]
    try:
        wait_until(lambda: media(node)["media_tcp_connections"] <= 65, 10, lambda: media(node))
        before = player.frames
        player.wait_for_frames(before + 20)
        wait_until(lambda: media(node)["media_tcp_connections"] == 1, 15, lambda: media(node))
        assert all(one.recv(10) == b"" for one in silent)
    finally:
        for one in silent:
            one.close()


def test_connections_beyond_the_limit_are_refused(make_node, aiortc, tunnel, name):
    node = make_node("A", reactors=1, ice_tcp_max_connections_per_address=3)
    port = node.settings["media_port_from"]
    aiortc.publish(node, name)
    player = aiortc.play(node, name, tunnel=tunnel("127.0.0.1", port), fields={"transport": "TCP"})
    player.wait_for_frames(5)
    others = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(4)]
    try:
        for refused in others[2:]:
            try:
                assert refused.recv(10) == b""
            except ConnectionResetError:
                pass
        assert media(node)["media_tcp_refused"] == 2
        before = player.frames
        player.wait_for_frames(before + 10)
    finally:
        for one in others:
            one.close()
