# SPDX-License-Identifier: Apache-2.0
"""Which addresses clients are told, IPv6, and what is said when media finds no way."""
import re

import pytest

from harness import chromium
from harness.waiting import wait_until
from harness.wcs import offer


def hosts(answer):
    return set(re.findall(r"a=candidate:\S+ 1 \w+ \d+ (\S+) \d+ typ host", answer))


def test_public_addresses_and_names_replace_the_machines_own(make_node, client, name):
    node = make_node("A", ip="203.0.113.7, 2001:db8::7, localhost")
    session = client(node.ws)
    answer = session.answer(session.publish(name, offer()))[1]
    assert {"203.0.113.7", "2001:db8::7"} < hosts(answer) <= {"203.0.113.7", "2001:db8::7", "127.0.0.1", "::1"}
    line = next(line for line in node.log().splitlines() if "is ready" in line)
    first = node.settings["media_port_from"]
    assert "candidates=203.0.113.7,[2001:db8::7]," in line and f"media_ports={first}-{first + 1}/udp+tcp" in line


def test_an_unreachable_address_is_named_in_log_and_status(make_node, client, name):
    node = make_node("A", ip="203.0.113.7", ice_timeout=1000)
    session = client(node.ws)
    failed = session.status(session.publish(name, offer()), "FAILED", timeout=10)
    assert failed["info"] == "Failed by ICE timeout"
    assert "setting ip" in failed["explanation"] and "no packet of the client" in failed["explanation"]
    assert re.search(r"WARNING .*setting ip.*candidates=203\.0\.113\.7", node.log())


def test_media_flows_by_ipv6(make_node, playwright, network, tmp_path, name):
    node = make_node("A", ip=network.host6)
    base, ws = node.http.replace("127.0.0.1", f"[{network.host6}]"), node.ws.replace("127.0.0.1", f"[{network.host6}]")
    with chromium.inside(playwright, network, tmp_path, base) as browser, chromium.tab(browser, node, base=base) as page:
        published = page.publish(ws, name)
        played = page.play(ws, name)
        played.wait_for_frames(30)
        for stream in (published, played):
            wait_until(lambda: stream.figures()["way"] == {**stream.figures()["way"], "protocol": "udp", "address": network.host6}, 5, stream.figures)


@pytest.mark.parametrize("kind", ["ipv4", "ipv4 alone", "ipv6"])
def test_it_starts_where_there_are_addresses_of_one_kind_only(make_node, isolated, kind):
    machine = isolated(kind)
    node = make_node("A", start=False, ip=None, bind_address="*")
    node.inside = machine.enter()
    node.spawn()
    host = f"[{machine.host}]" if ":" in machine.host else machine.host
    wait_until(lambda: machine.fetch(f"http://{host}:{node.settings['http.port']}/health") or node.process.poll() is not None, 15, node.log_tail)
    assert "UP" in machine.fetch(f"http://{host}:{node.settings['http.port']}/health"), node.log_tail()
    line = [line for line in node.log().splitlines() if "is ready" in line][-1]
    assert host in line, line
    assert node.stop()[0] == 0
