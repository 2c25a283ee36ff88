# SPDX-License-Identifier: Apache-2.0
"""Headless Firefox driven over WebDriver BiDi (a WebSocket and JSON): enough to open a page and run scripts in it."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from websockets.sync.client import connect

from .chromium import PAGE_SCRIPT
from .ports import free_tcp_port
from .waiting import wait_until

PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    # H.264 is a plugin that would be downloaded.
    "media.gmp-manager.updateEnabled": False,
    "media.gmp-gmpopenh264.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "extensions.update.enabled": False,
    "services.settings.server": "data:,",
    "remote.log.level": "Warn",
}


class Firefox:
    def __init__(self, log_path):
        self.profile = tempfile.TemporaryDirectory(prefix="martlet-firefox-", ignore_cleanup_errors=True)
        lines = [f"user_pref({json.dumps(key)}, {json.dumps(value)});" for key, value in PREFERENCES.items()]
        pathlib.Path(self.profile.name, "user.js").write_text("\n".join(lines))
        path = os.environ.get("FIREFOX") or shutil.which("firefox") or shutil.which("firefox-esr")
        assert path, "no Firefox on this machine"
        port = free_tcp_port()
        self.log = open(log_path, "wb")
        self.process = subprocess.Popen(
            [path, "--headless", "--no-remote", "--new-instance", "--profile", self.profile.name, f"--remote-debugging-port={port}", "about:blank"],
            stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env={**os.environ, "MOZ_HEADLESS": "1", "HOME": self.profile.name})
        self.socket = None
        self._opened = contextlib.ExitStack()
        self._number = 0

        def opened():
            assert self.process.poll() is None, f"Firefox ended with {self.process.returncode}"
            try:
                return self._opened.enter_context(connect(
                    f"ws://127.0.0.1:{port}/session", max_size=None, ping_interval=None, compression=None, open_timeout=20))
            except (OSError, EOFError, TimeoutError):
                return None
        self.socket = wait_until(opened, 60, "Firefox opens its remote port", pause=0.2)
        self.command("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})

    def command(self, method, timeout=30, **parameters):
        self._number += 1
        number = self._number
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            frame = json.loads(self.socket.recv(timeout))
            if frame.get("id") != number:
                continue
            if frame.get("type") == "error":
                raise RuntimeError(f"{method}: {frame.get('error')}: {frame.get('message')}")
            return frame["result"]

    def tab(self, node):
        return FirefoxTab(self, node)

    def close(self):
        try:
            if self.socket:
                self.command("browser.close", timeout=10)
                self._opened.close()
        except Exception:
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.log.close()
        self.profile.cleanup()


class FirefoxTab:
    """A page with the SDK of `node` and page.js; offers `run` like a Chromium tab, so the handles of chromium.py work with it."""

    def __init__(self, firefox, node):
        self.firefox = firefox
        self.context = firefox.command("browsingContext.create", type="tab")["context"]
        # A page of the node without scripts of its own.
        firefox.command("browsingContext.navigate", context=self.context, url=node.http + "/flashphoner.js", wait="complete")
        self.evaluate("""async () => {
            const script = document.createElement("script");
            script.src = "/flashphoner.js";
            const loaded = new Promise((resolve, reject) => { script.onload = resolve; script.onerror = () => reject(new Error("no SDK")); });
            document.body.replaceChildren(script);
            await loaded;
        }""")
        self.evaluate("(source) => { const script = document.createElement('script'); script.textContent = source; document.body.append(script); }",
                      PAGE_SCRIPT.read_text())

    def evaluate(self, function, *arguments):
        """Calls a JavaScript function with JSON values and returns its JSON result."""
        wrapped = f"async (text) => JSON.stringify((await ({function})(...JSON.parse(text))) ?? null)"
        result = self.firefox.command(
            "script.callFunction", functionDeclaration=wrapped, awaitPromise=True, target={"context": self.context},
            arguments=[{"type": "string", "value": json.dumps(list(arguments))}], userActivation=True)
        if result["type"] == "exception":
            raise RuntimeError(result["exceptionDetails"]["text"])
        return json.loads(result["result"]["value"])

    def run(self, call, *arguments):
        return self.evaluate(f"(...values) => lab.{call}(...values)", *arguments)

    def publish(self, url, name, **options):
        from .chromium import Published
        return Published(self, self.run("publish", url, name, options), name)

    def play(self, url, name, **options):
        from .chromium import Played
        return Played(self, self.run("play", url, name, options), name)

    def close(self):
        self.firefox.command("browsingContext.close", context=self.context)
