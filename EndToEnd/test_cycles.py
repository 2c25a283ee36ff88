# SPDX-License-Identifier: Apache-2.0
"""Publish, play, stop, over and over: the server is as before. MARTLET_TEST_CYCLES sets how often (50 here, 500 for the long form)."""
import os

import pytest

from harness.waiting import wait_until
from harness.wcs import offer

CYCLES = int(os.environ.get("MARTLET_TEST_CYCLES", "50"))
pytestmark = pytest.mark.timeout(120 + 2 * CYCLES)


def assert_as_before(before, after):
    """A few descriptors and threads of pools may come and go; what leaks once per cycle is more than that."""
    assert after["files"] <= before["files"] + 2 and after["threads"] <= before["threads"] + 2, (before, after)
    assert after["memory"] < before["memory"] + 8_000, (before, after)


def settled(node):
    """Resources once nothing is going on."""
    wait_until(lambda: not node.streams() and not node.sessions(), 10, "no streams, no sessions")
    counts = lambda: {key: node.resources()[key] for key in ("files", "threads")}
    last = counts()
    def same():
        nonlocal last
        now, before = counts(), last
        last = now
        return now == before
    wait_until(same, 10, "resources come to rest", pause=0.3)
    return node.resources()


def test_cycles_in_a_browser_leave_nothing_behind(make_node, tab, name):
    node = make_node("A", log_level="info")
    page = tab(node)
    cycle = """async ([url, name, count]) => {
        for (let i = 0; i < count; i++) {
            const publisher = await lab.publish(url, name, {constraints: {audio: true, video: {width: 160, height: 120}}});
            const player = await lab.play(url, name);
            const ends = [await lab.stop(player), await lab.stop(publisher)];
            if (ends.join() !== "STOPPED,UNPUBLISHED") throw new Error(ends.join());
        }
        lab.disconnect(url);
    }"""
    page.page.evaluate(cycle, [node.ws, name, 5])
    before = settled(node)
    done = 0
    while done < CYCLES:
        page.page.evaluate(cycle, [node.ws, name, 10])
        done += 10
    assert_as_before(before, settled(node))
    assert node.statistics()["media_stats"]["media_endpoints"] in (0, "0")


def test_cycles_of_a_push_leave_nothing_behind(make_node, aiortc, name):
    a, b = make_node("A", log_level="info"), make_node("B", log_level="info")
    aiortc.publish(a, name, fps=10)
    def cycle():
        body = {"uri": b.ws, "localStreamName": name, "remoteStreamName": name}
        assert a.rest("pull/push", body).status == 200
        assert a.rest("pull/terminate", body).status == 200
        b.wait_for_no_stream(name, 3)
    for _ in range(5):
        cycle()
    before = a.resources(), settled(b)
    for _ in range(CYCLES // 2):
        cycle()
    after_b = settled(b)
    wait_until(lambda: a.resources()["files"] <= before[0]["files"] + 2, 5, lambda: (before, a.resources()))
    assert_as_before(before[0], a.resources())
    assert_as_before(before[1], after_b)


def test_sessions_that_come_and_vanish_leave_nothing_behind(make_node, client, name):
    node = make_node("A", log_level="info")
    def cycle(index):
        session = client(node.ws)
        media_session = session.publish(f"{name}-{index}", offer())
        session.answer(media_session)
        session.vanish() if index % 2 else session.close()
    for index in range(10):
        cycle(index)
    before = settled(node)
    for index in range(4 * CYCLES):
        cycle(index)
    assert_as_before(before, settled(node))
