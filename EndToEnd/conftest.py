# SPDX-License-Identifier: Apache-2.0
"""What all end-to-end tests share: nodes, browsers, clients; logs of the nodes on failure; nothing left running at the end."""
import contextlib
import shutil

import pytest
from playwright.sync_api import sync_playwright

from harness import chromium, odd_inputs
from harness.background import Background
from harness.firefox import Firefox
from harness.media import AiortcPlayer, AiortcPublisher
from harness.network import Isolated, Network
from harness.node import Node
from harness.paths import MARTLET, OUT
from harness.relay import Relay
from harness.rtmp import Encoder
from harness.tunnel import Tunnel
from harness.wcs import Client


# Browsers and loops: one for the whole run.

@pytest.fixture(scope="session")
def playwright():
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright):
    browser = chromium.launch(playwright)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def firefox():
    OUT.mkdir(parents=True, exist_ok=True)
    firefox = Firefox(OUT / "firefox.log")
    yield firefox
    firefox.close()


@pytest.fixture(scope="session")
def background():
    background = Background()
    yield background
    background.close()


# Nodes.

@pytest.fixture(scope="session")
def nodes_folder(tmp_path_factory):
    assert MARTLET.exists(), f"{MARTLET} is missing; ./dev build makes it"
    return tmp_path_factory.mktemp("nodes")


@pytest.fixture(scope="session")
def a(nodes_folder):
    """The node that most tests publish to. Shared: leave nothing on it."""
    node = Node("A", nodes_folder / "a").start()
    yield node
    node.stop()


@pytest.fixture(scope="session")
def b(nodes_folder):
    """The far node. Shared as well."""
    node = Node("B", nodes_folder / "b").start()
    yield node
    node.stop()


@pytest.fixture
def make_node(nodes_folder, request):
    """Nodes of one test alone: `make_node("B", ping_interval=…)`; dots of keys are written `__`."""
    made = []

    def make(name, start=True, **settings):
        folder = nodes_folder / f"{request.node.name[:60].replace('/', '_')}-{name}-{len(made)}"
        node = Node(name, folder, **settings)
        made.append(node)
        return node.start() if start else node
    yield make
    for node in made:
        node.kill() if node.process and node.process.poll() is None and getattr(request.node, "failed", False) else node.stop()


@pytest.fixture
def network():
    """A second network, reached over virtual interfaces; tests that need root are left out elsewhere."""
    network = Network()
    yield network
    network.close()


@pytest.fixture
def isolated():
    """`isolated(kind)`: a machine that has addresses of one kind only."""
    made = []

    def make(kind):
        made.append(Isolated(kind))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture
def relay():
    """`relay(node, both="loss=5,delay=25")`: a bad network in front of a node, for `tab(node, through=…)`."""
    relays = []

    def make(node, **options):
        relays.append(Relay(node, **options))
        return relays[-1]
    yield make
    for one in relays:
        one.close()


# Sources.

@pytest.fixture(scope="session")
def large_file(tmp_path_factory):
    """An FLV file of 8192x8192."""
    return odd_inputs.make_large_file(tmp_path_factory.mktemp("large") / "large.flv")


# Clients.

@pytest.fixture
def tab(browser):
    """`tab(node)`: a Chromium page on a node, in a context of its own, closed with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda node, **options: stack.enter_context(chromium.tab(browser, node, **options))


@pytest.fixture
def fox(firefox):
    """`fox(node)`: a Firefox page on a node."""
    tabs = []

    def make(node):
        tabs.append(firefox.tab(node))
        return tabs[-1]
    yield make
    for tab in tabs:
        tab.close()


@pytest.fixture
def client():
    """`client(url, …)`: a raw WCS session."""
    clients = []

    def make(url, **options):
        clients.append(Client(url, **options))
        return clients[-1]
    yield make
    for one in clients:
        one.close()


@pytest.fixture
def aiortc(background, client):
    """`aiortc.publish(node, name)` and `aiortc.play(node, name)`."""
    streams = []

    class Aiortc:
        @staticmethod
        def publish(node, name, session=None, **options):
            streams.append(AiortcPublisher(background, session or client(node.ws), name, **options))
            return streams[-1]

        @staticmethod
        def play(node, name, session=None, **options):
            streams.append(AiortcPlayer(background, session or client(node.ws), name, **options))
            return streams[-1]
    yield Aiortc
    for stream in streams:
        stream.close_media()


@pytest.fixture
def tunnel(background):
    """`tunnel(node)`: a way to the media port by TCP for clients that know only UDP."""
    tunnels = []

    def make(host, port, **options):
        tunnels.append(Tunnel(background, host, port, **options))
        return tunnels[-1]
    yield make
    for one in tunnels:
        one.close()


@pytest.fixture
def name(request):
    """A stream name of this test."""
    import secrets
    return f"{request.node.originalname.removeprefix('test_')[:40]}-{secrets.token_hex(3)}"


# Logs.

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    item.log_starts = {node: node.log_size() for node in Node.alive}
    item.failed = False
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and call.when in ("setup", "call"):
        item.failed = True
        folder = OUT / "logs" / item.name.replace("/", "_")[:100]
        for index, node in enumerate(list(Node.alive)):
            since = getattr(item, "log_starts", {}).get(node, 0)
            report.sections.append((f"log of node {node.name}", node.log_tail(since, 3000)))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{index}-{node.name}.log").write_text(node.log_tail(since, 2_000_000))
    return report


def pytest_sessionstart(session):
    shutil.rmtree(OUT / "logs", ignore_errors=True)


def pytest_sessionfinish(session, exitstatus):
    for node in list(Node.alive):
        node.kill()


@pytest.fixture
def encoder(tmp_path):
    """`encoder(url, bframes=2, …)`: ffmpeg that publishes."""
    made = []

    def make(url, **options):
        made.append(Encoder(url, tmp_path / f"encoder-{len(made)}.log", **options))
        return made[-1]
    yield make
    for one in made:
        one.stop()
