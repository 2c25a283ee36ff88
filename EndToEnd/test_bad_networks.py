# SPDX-License-Identifier: Apache-2.0
"""Real Chromium on both ends of bad networks: what is decoded, what freezes, what the player is told."""
import os
import time

import pytest

from harness.waiting import wait_until

SECONDS = int(os.environ.get("MARTLET_TEST_SECONDS", 10))
IN_FLIGHT = 4
# All of its bitrate is needed.
NOISE = {"width": 640, "height": 480, "fps": 25, "noise": True}


def stream(a, tab, relay, name, publisher_network, player_network, pattern=None):
    """A publisher and a player, each behind a network of its own, with media flowing."""
    up = relay(a, both=publisher_network, seed=1)
    down = relay(a, both=player_network, seed=2)
    published = tab(a, through=up).publish(a.ws, name, pattern=pattern or {"width": 640, "height": 360, "fps": 25})
    played = tab(a, through=down).play(a.ws, name)
    # By then the browser's buffer has found its depth; what it still holds back in the first seconds is not lost.
    played.wait_for_frames(100)
    return published, played, up, down


def measure(published, played, seconds=SECONDS):
    """What the player had whole of what the publisher encoded, per cent; and its freezes.

    Not what it has decoded: what the browser's buffer holds back for longer and longer, as it learns of the delays, isn't lost, and
    that what it has is also shown is what the longest gap says."""
    encoded, before = published.encoded(), played.figures()["video"]
    longest = played.tab.run("longestGap", played.key, seconds * 1000)
    sent, after = published.encoded() - encoded, played.figures()["video"]
    whole = after["framesReceived"] - before["framesReceived"] - (after["framesDropped"] - before["framesDropped"])
    figures = {
        "sent": sent, "whole": whole, "decoded": after["framesDecoded"] - before["framesDecoded"],
        # Some frames are on their way at each end of the measurement.
        "share": 100 * (whole + IN_FLIGHT) / max(1, sent), "longest_gap_ms": round(longest),
        "freezes": after["freezeCount"] - before["freezeCount"], "nacks": after["nackCount"] - before["nackCount"],
        "plis": after["pliCount"] - before["pliCount"], "lost": after["packetsLost"] - before["packetsLost"],
        "retransmitted": after.get("retransmittedPacketsReceived", 0) - before.get("retransmittedPacketsReceived", 0),
    }
    print(figures)
    return figures


def test_five_per_cent_of_random_loss_both_ways(a, tab, relay, name):
    published, played, *_ = stream(a, tab, relay, name, "delay=25,loss=5", "delay=25,loss=5")
    figures = measure(published, played)
    assert figures["share"] >= 97 and figures["longest_gap_ms"] <= 500, figures


def test_loss_in_bursts_over_a_long_way(a, tab, relay, name):
    published, played, *_ = stream(a, tab, relay, name, "delay=75,burst=2", "delay=75,burst=2")
    figures = measure(published, played)
    assert figures["share"] >= 93, figures


def test_reordered_and_doubled_packets_cause_no_storm(a, tab, relay, name):
    bad = "delay=20,reorder=5,reorder-delay=15,duplicate=5"
    published, played, up, down = stream(a, tab, relay, name, bad, bad)
    before = a.metrics(name=name, published=True)
    packets = up.counters()["up"]["sent"]
    figures = measure(published, played)
    after = a.metrics(name=name, published=True)
    packets = up.counters()["up"]["sent"] - packets
    assert figures["share"] >= 95, figures
    # Nothing is lost, so nothing had to be asked for.
    asked = after["VIDEO_NACK"] - before["VIDEO_NACK"]
    assert asked <= packets / 100, (asked, packets, after)
    assert after["VIDEO_PLI"] - before["VIDEO_PLI"] <= 1
    assert a.metrics(name=name, published=False)["VIDEO_RTX"] <= packets / 20


def test_a_line_of_half_the_stream_is_told_and_untold(a, tab, relay, name):
    published, played, _, down = stream(a, tab, relay, name, "delay=10", "delay=20", NOISE)
    metrics = lambda: a.metrics(name=name, published=False)
    # A browser that publishes takes some seconds to its rate.
    rate = wait_until(lambda: settled(metrics), 20, lambda: f"a steady rate: {metrics()}", pause=0.5)
    assert not told(played)
    down.down(f"rate={rate // 2000}")
    start = time.monotonic()
    wait_until(lambda: told(played), 3, lambda: f"an event: {metrics()}", pause=0.05)
    bitrate, bandwidth = map(int, told(played)[0]["payload"]["info"].split("/"))
    assert bandwidth < bitrate and bandwidth < 0.75 * rate, (bitrate, bandwidth, rate)
    assert any(status["status"] == "NOT_ENOUGH_BANDWIDTH" and "/" in (status["info"] or "") for status in played.statuses())
    assert played.figures()["video"]["framesDecoded"] > 0
    assert time.monotonic() - start < 3.5
    wait_until(lambda: time.monotonic() - start > 6, 8, pause=0.2)
    assert metrics()["NOT_ENOUGH_BANDWIDTH"] is True
    down.down("rate=0")
    wait_until(lambda: metrics()["NOT_ENOUGH_BANDWIDTH"] is False, 10, lambda: f"enough bandwidth: {metrics()}", pause=0.2)
    played.wait_for_change()


def outgoing(published, seconds=3):
    """bit/s of video that leave the browser, over some seconds."""
    first = published.figures()["video"]
    published.tab.page.wait_for_timeout(seconds * 1000)
    last = published.figures()["video"]
    return (last["bytesSent"] + last["headerBytesSent"] - first["bytesSent"] - first["headerBytesSent"]) * 8000 / (last["timestamp"] - first["timestamp"])


@pytest.mark.parametrize("settings, video, limit", [
    ({}, {}, None), ({"webrtc_cc_max_bitrate": 400_000}, {}, 400_000), ({}, {"maxBitrate": 300}, 300_000)])
def test_publishers_keep_below_their_limits(make_node, tab, name, settings, video, limit):
    node = make_node("limits", **settings)
    page = tab(node)
    # The SDK holds the browser to maxBitrate as well: here only what the server says counts.
    page.page.evaluate("RTCRtpSender.prototype.setParameters = async () => {}")
    published = page.publish(node.ws, name, "VP8", pattern=NOISE, constraints={"video": video})
    if limit is None:
        wait_until(lambda: outgoing(published, 1) > 600_000, 15, "more than the limits of the other cases", pause=0)
    else:
        # Browsers begin with 300 kbit/s; whatever overshoots has had its time.
        published.tab.page.wait_for_timeout(5000)
        # Below, a browser short of processor time may be as it likes.
        assert 0.2 * limit < outgoing(published) < 1.15 * limit
    published.stop()


def told(played):
    return [event for event in played.events() if event["type"] == "notEnoughBandwidth"]


def settled(metrics, seen=[]):
    """The video's rate once two looks are within a tenth."""
    seen.append(metrics()["VIDEO_RATE"])
    return seen[-1] if len(seen) > 2 and seen[-1] > 300_000 and abs(seen[-1] - seen[-3]) < seen[-1] / 10 else None
