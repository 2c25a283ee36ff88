#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Figures of two nodes on this machine, by hand: .venv/bin/python EndToEnd/measure.py [--joins 30] [--json]

A test pattern is published to A, pushed to B by REST, and played in Chromium: how long the push takes, how long a player on B
waits for its first decoded picture, and how much later the same pictures arrive at B's players than at A's.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from playwright.sync_api import sync_playwright

from harness import chromium
from harness.background import Background
from harness.media import AiortcPlayer
from harness.node import Node
from harness.paths import MARTLET
from harness.wcs import Client


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure_pushes(a, b, name, count=20):
    """Milliseconds of /pull/push, each ended again."""
    took = []
    for index in range(count):
        body = {"uri": b.ws, "localStreamName": name, "remoteStreamName": f"{name}-{index}"}
        reply = a.rest("pull/push", body)
        assert reply.status == 200, reply
        took.append(reply.seconds * 1000)
        a.rest("pull/terminate", body)
    return took


def measure_joins(browser, node, name, count):
    """Milliseconds from the play request to the first decoded picture, each join in a page that has its session already."""
    took = []
    with chromium.tab(browser, node) as tab:
        for index in range(count + 1):
            played = tab.play(node.ws, name)
            milliseconds = played.first_frame_ms()
            played.stop()
            if index > 0:  # the first one also pays for the session and the browser's warming up
                took.append(milliseconds)
    return took


def measure_hop_in_chromium(browser, a, b, name, seconds=15):
    """Milliseconds between showing the same picture from A and from B in one page."""
    with chromium.tab(browser, a) as tab:
        near, far = tab.play(a.ws, name), tab.play(b.ws, name)
        near.wait_for_frames(30)
        far.wait_for_frames(30)
        readings = tab.page.evaluate(
            "([near, far, time]) => Promise.all([lab.readings(near, time), lab.readings(far, time)])", [near.key, far.key, seconds * 1000])
    first = {clock: shown for clock, shown in reversed(readings[0])}
    return [shown - first[clock] for clock, shown in readings[1] if clock in first]


def measure_hop_in_aiortc(background, a, b, name, seconds=15):
    """The same with decoders that show every picture at once, apart from a browser's own timing."""
    sessions = Client(a.ws), Client(b.ws)
    players = [AiortcPlayer(background, session, name) for session in sessions]
    for player in players:
        player.wait_for_frames(20)
    time.sleep(seconds)
    for player, session in zip(players, sessions):
        player.stop()
        session.close()
    first = dict(reversed(players[0].clocks))
    return [shown - first[clock] for clock, shown in players[1].clocks if clock in first]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--joins", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of words")
    parser.add_argument("--codec", default="vp8", help="video codec of the pattern (vp8: both players can be compared)")
    options = parser.parse_args()
    figures = {}
    state = tempfile.TemporaryDirectory(prefix="martlet-measure-")
    folder = pathlib.Path(state.name)
    a = Node("A", folder / "a", log_level="info").start()
    b = Node("B", folder / "b", log_level="info").start()
    background = Background()
    tool = subprocess.Popen(
        [str(MARTLET), "publish", a.ws, "measured", "--video", options.codec, "--size", "320x240", "--fps", "30"], stderr=subprocess.DEVNULL)
    try:
        a.wait_for_stream("measured")
        pushes = measure_pushes(a, b, "measured")
        figures["push_ms_p50"], figures["push_ms_max"] = statistics.median(pushes), max(pushes)
        say(f"push: median {figures['push_ms_p50']:.0f} ms, worst {figures['push_ms_max']:.0f} ms of {len(pushes)}")
        assert a.rest("pull/push", {"uri": b.ws, "localStreamName": "measured", "remoteStreamName": "measured"}).status == 200
        with sync_playwright() as playwright:
            browser = chromium.launch(playwright)
            joins = measure_joins(browser, b, "measured", options.joins)
            figures["first_frame_ms_p50"], figures["first_frame_ms_p95"] = statistics.median(joins), percentile(joins, 0.95)
            say(f"first picture on B: median {figures['first_frame_ms_p50']:.0f} ms, p95 {figures['first_frame_ms_p95']:.0f} ms of {len(joins)}")
            hops = measure_hop_in_chromium(browser, a, b, "measured")
            figures["hop_chromium_ms_p50"], figures["hop_chromium_pictures"] = statistics.median(hops), len(hops)
            say(f"hop in Chromium: median {figures['hop_chromium_ms_p50']:.1f} ms over {len(hops)} pictures")
            browser.close()
        if options.codec == "vp8":
            hops = measure_hop_in_aiortc(background, a, b, "measured")
            figures["hop_aiortc_ms_p50"], figures["hop_aiortc_pictures"] = statistics.median(hops), len(hops)
            say(f"hop in aiortc: median {figures['hop_aiortc_ms_p50']:.1f} ms over {len(hops)} pictures")
    finally:
        tool.terminate()
        tool.wait(10)
        background.close()
        a.stop()
        b.stop()
        state.cleanup()
    if options.json:
        print(json.dumps({key: round(value, 1) for key, value in figures.items()}))


if __name__ == "__main__":
    main()
