# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium through Playwright: one process for the whole run, a context per test, and pages that publish and play."""
import contextlib
import os
import pathlib
import shutil

from .waiting import wait_until

PAGE_SCRIPT = pathlib.Path(__file__).with_name("page.js")
FLAGS = [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    # Without this the browser hides its own addresses from itself behind mDNS names.
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    # Pages that nobody looks at keep their pace.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
]
# What has to be taken out of an offer to be left with one video codec.
ONLY = {"H264": "VP8,VP9,AV1,H265", "VP8": "H264,VP9,AV1,H265", "VP9": "H264,VP8,AV1,H265", "AV1": "H264,VP8,VP9,H265"}


def executable():
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


def launch(playwright):
    path = executable()
    assert path, "no Chromium on this machine"
    return playwright.chromium.launch(executable_path=path, args=FLAGS)


@contextlib.contextmanager
def inside(playwright, network, folder, insecure_origin):
    """A Chromium that lives in `network`; `insecure_origin` may use the camera there."""
    program = pathlib.Path(folder) / "chromium-inside"
    program.write_text("#!/bin/sh\nexec " + " ".join(network.enter(executable())) + ' "$@"\n')
    program.chmod(0o755)
    browser = playwright.chromium.launch(
        executable_path=str(program), args=FLAGS + [f"--unsafely-treat-insecure-origin-as-secure={insecure_origin}"])
    yield browser
    browser.close()


@contextlib.contextmanager
def tab(browser, node, secure=False, base=None, through=None):
    """A `Tab` on a blank page of `node`, in a context of its own. `base`: the URL it is reached by, if not by loopback.
    `through`: a Relay that its media takes."""
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 900, "height": 700})
    context.set_default_timeout(20_000)
    try:
        made = Tab(context, node, secure, base)
        if through:
            made.run("reroute", through.ports)
        yield made
    finally:
        context.close()


class Tab:
    """One page with the SDK of `node` and page.js."""

    def __init__(self, context, node, secure=False, base=None):
        self.context = context
        self.page = context.new_page()
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        # A real answer of the node, so that the browser knows the page to be as local as the server: a page without scripts of its own.
        address = (base or (node.https if secure else node.http)) + "/flashphoner.js"
        self.page.goto(address)
        self.page.evaluate("document.body.replaceChildren()")
        self.page.add_script_tag(url=address)
        self.page.add_script_tag(path=str(PAGE_SCRIPT))

    def run(self, call, *arguments):
        """Calls `lab.<call>(…)` and waits for its result."""
        return self.page.evaluate(f"(values) => lab.{call}(...values)", list(arguments))

    def publish(self, url, name, codec=None, **options):
        if codec:
            options["stripCodecs"] = ONLY[codec]
        return Published(self, self.run("publish", url, name, options), name)

    def play(self, url, name, **options):
        return Played(self, self.run("play", url, name, options), name)

    def available(self, url, name):
        return self.run("available", url, name)

    def close(self):
        """As when a person closes the tab: the page is gone without a word."""
        self.page.close()


class Handle:
    def __init__(self, tab, key, name):
        self.tab, self.key, self.name = tab, key, name

    def figures(self):
        return self.tab.run("figures", self.key)

    def stop(self):
        return self.tab.run("stop", self.key)

    def ended(self, timeout=10):
        """The terminal status: {'status', 'info', 'error'}."""
        return self.tab.run("ended", self.key, timeout * 1000)

    def statuses(self):
        return self.tab.run("statuses", self.key)

    def events(self):
        return self.tab.run("events", self.key)

    def act(self, method, *values):
        self.tab.run("act", self.key, method, *values)


class Published(Handle):
    def encoded(self):
        return self.figures()["video"].get("framesEncoded", 0)


class Played(Handle):
    def decoded(self):
        return self.figures()["video"].get("framesDecoded", 0)

    def wait_for_frames(self, count=1, timeout=15):
        return wait_until(lambda: (self.decoded() >= count) and self.decoded(), timeout,
                          lambda: f"{count} frames of {self.name}; now {self.figures()}", pause=0.05)

    def picture(self):
        return self.tab.run("hash", self.key)

    def wait_for_change(self, timeout=5):
        """Waits until the picture is another one."""
        first = self.picture()
        wait_until(lambda: self.picture() != first, timeout, f"another picture of {self.name}", pause=0.05)

    def audio_energy(self):
        return self.figures()["audio"].get("totalAudioEnergy", 0)

    def offsets(self, seconds):
        """Milliseconds by which flashes come after their beeps."""
        return self.tab.run("offsets", self.key, seconds * 1000)

    def clock(self):
        return self.tab.run("clock", self.key)

    def state(self):
        return self.tab.run("state", self.key)

    def first_frame_ms(self):
        return wait_until(lambda: self.tab.run("first", self.key), 10, "a first frame")
