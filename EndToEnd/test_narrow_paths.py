# SPDX-License-Identifier: Apache-2.0
"""Viewers whose path carries less than the publisher's packets are long."""
import json
import re
import subprocess

import pytest
import requests

from harness.network import Network
from harness.paths import MARTLET


@pytest.fixture
def narrow():
    networks = []

    def make(mtu):
        networks.append(Network(mtu=mtu))
        return networks[-1]
    yield make
    for network in networks:
        network.close()


@pytest.fixture
def published(name):
    """`published(node)`: a stream of packets of some 1200 bytes, at the server's own address."""
    publishers = []

    def make(node):
        publishers.append(subprocess.Popen(
            [str(MARTLET), "publish", node.ws, name, "--size", "640x360", "--bitrate", "2500"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        node.wait_for_stream(name, timeout=20)
    yield make
    for publisher in publishers:
        publisher.terminate()
        publisher.wait()


def played(node, network, name, seconds=4):
    """What a viewer inside the network got."""
    ws = node.ws.replace("127.0.0.1", network.host)
    result = subprocess.run(
        network.enter(str(MARTLET), "play", ws, name, "--seconds", str(seconds), "--json"), capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.strip().splitlines()[-1])


def figure(node, key):
    return int(re.search(rf"{key}=(\d+)", requests.get(node.http + "/?action=stat", timeout=10).text).group(1))


@pytest.mark.parametrize("mtu", (1000, 1200))
def test_a_viewer_behind_a_narrow_path_sees_everything_and_the_operator_is_told(make_node, narrow, published, name, mtu):
    network = narrow(mtu)
    node = make_node("A", ip=network.host)
    published(node)
    figures = played(node, network, name)
    assert figures["frames_decoded"] > 60, figures
    # MTU 1200 takes most packets whole; which are too long depends on the pictures.
    assert figure(node, "media_packets_too_large") == 0
    if mtu == 1000:
        assert figure(node, "media_packets_fragmented") > 0
        warnings = [line for line in node.log().splitlines() if "larger than the path to this peer carries" in line]
        assert len(warnings) == 1 and f"stream={name}" in warnings[0], warnings


def test_nothing_is_cut_where_the_path_is_wide(make_node, narrow, published, name):
    network = narrow(1500)
    node = make_node("A", ip=network.host)
    published(node)
    assert played(node, network, name)["frames_decoded"] > 60
    assert figure(node, "media_packets_fragmented") == 0


def test_a_router_on_the_way_may_cut_packets(make_node, narrow, published, name):
    """The server's own link is wide; the next one isn't, and whoever stands there tells nobody."""
    network = narrow(1500)
    far = network.behind_router(mtu=1000)
    node = make_node("A", ip=network.host)
    published(node)
    figures = played(node, far, name)
    assert figures["frames_decoded"] > 60, figures
    assert figure(node, "media_packets_too_large") == 0
