# SPDX-License-Identifier: Apache-2.0
"""One server process: started on free ports with a state folder of its own, asked over REST, stopped, killed, started again."""
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass

import requests
import urllib3

from .paths import MARTLET, REPOSITORY
from .ports import free_tcp_port, free_media_ports
from .waiting import wait_until

urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

REACTORS = 2


@dataclass
class Reply:
    """Answer of a REST call: HTTP status, parsed body (None when empty), seconds it took."""
    status: int
    body: object
    seconds: float
    headers: dict

    @property
    def reason(self):
        return self.body.get("reason", "") if isinstance(self.body, dict) else ""


class Node:
    """`settings` are given as --set; `None` as a value leaves a default of this class out."""

    # Every node that lives, for logs on failure and for the end of the run.
    alive: list["Node"] = []

    def __init__(self, name, folder, **settings):
        self.name = name
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.log_path = folder / "server.log"
        media = free_media_ports(REACTORS)
        self.settings = {
            "ws.port": free_tcp_port(), "wss.port": free_tcp_port(), "http.port": free_tcp_port(), "https.port": free_tcp_port(),
            "rtmp.port": free_tcp_port(), "rtmps.port": -1, "rtsp.port": free_tcp_port(),
            "media_port_from": media, "media_port_to": media + REACTORS - 1, "reactors": REACTORS,
            "state_dir": folder / "state", "log_level": "debug",
        }
        for key, value in settings.items():
            self.settings[key.replace("__", ".")] = value
        # Beside the machine's, in which nothing of Martlet's is kept.
        self.environment = {}
        self.process = None
        # What the program is started by, such as `prlimit …` or `ip netns exec …`; has to become it, not to start it.
        self.inside = []

    # Addresses.

    @property
    def ws(self):
        return f"ws://127.0.0.1:{self.settings['ws.port']}"

    @property
    def wss(self):
        return f"wss://127.0.0.1:{self.settings['wss.port']}"

    @property
    def rtsp(self):
        return f"rtsp://127.0.0.1:{self.settings['rtsp.port']}"

    @property
    def http(self):
        return f"http://127.0.0.1:{self.settings['http.port']}"

    @property
    def https(self):
        return f"https://127.0.0.1:{self.settings['https.port']}"

    @property
    def rtmp(self):
        return f"rtmp://127.0.0.1:{self.settings['rtmp.port']}"

    # Life.

    def command(self):
        command = [*self.inside, str(MARTLET), "run"]
        for key, value in self.settings.items():
            if value is not None:
                text = str(value).lower() if isinstance(value, bool) else str(value)
                command += ["--set", f"{key}={text}"]
        return command

    def start(self, timeout=15):
        self.spawn()
        def is_up():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended at start with {self.process.returncode}:\n{self.log_tail()}")
            try:
                return requests.get(self.http + "/health", timeout=2).status_code == 200
            except requests.RequestException:
                return False
        wait_until(is_up, timeout, lambda: f"{self.name} answers /health\n{self.log_tail()}")
        return self

    def spawn(self):
        """Starts the process without waiting for it."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MARTLET")}
        environment.update(self.environment)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=REPOSITORY, env=environment)
        if self not in Node.alive:
            Node.alive.append(self)
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def wait_for_exit(self, timeout=10):
        code = self.process.wait(timeout)
        if self in Node.alive:
            Node.alive.remove(self)
        return code

    def stop(self, timeout=10):
        """SIGTERM; returns (exit code, seconds)."""
        if self.process is None or self.process.poll() is not None:
            return (self.process.returncode if self.process else None), 0.0
        start = time.monotonic()
        self.signal(signal.SIGTERM)
        try:
            code = self.wait_for_exit(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {timeout} s of SIGTERM\n{self.log_tail()}") from None
        return code, time.monotonic() - start

    def kill(self):
        """kill -9"""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.wait_for_exit()

    # REST.

    def rest(self, path, body=None, method=None, data=None, headers=None, timeout=30, base=None):
        """`body` is sent as JSON (POST), `data` as it is. Without either it is a GET."""
        content = None
        headers = dict(headers or {})
        if data is not None:
            content = data if isinstance(data, bytes) else data.encode()
        elif body is not None:
            content = json.dumps(body).encode()
        if content is not None:
            headers.setdefault("Content-Type", "application/json")
        method = method or ("GET" if content is None else "POST")
        start = time.monotonic()
        answer = requests.request(
            method, f"{base or self.http}/rest-api/{path.lstrip('/')}", data=content, headers=headers, timeout=timeout, verify=False)
        seconds = time.monotonic() - start
        try:
            parsed = answer.json() if answer.content else None
        except ValueError:
            parsed = answer.text
        return Reply(answer.status_code, parsed, seconds, dict(answer.headers))

    def streams(self, **filters):
        """Stream records that match; [] when there are none."""
        reply = self.rest("stream/find", filters)
        return reply.body if reply.status == 200 else []

    def has_stream(self, name):
        return any(record["status"] == "PUBLISHING" for record in self.streams(name=name, published=True))

    def wait_for_stream(self, name, timeout=10):
        return wait_until(lambda: self.has_stream(name), timeout, f"stream {name} on {self.name}", pause=0.05)

    def wait_for_no_stream(self, name, timeout=10):
        return wait_until(lambda: not self.streams(name=name), timeout, f"stream {name} gone from {self.name}", pause=0.05)

    def metrics(self, **filters):
        """`metrics` of the one record that matches."""
        records = self.streams(display=["metrics"], **filters)
        assert len(records) == 1, records
        return records[0]["metrics"]

    def pulls(self):
        reply = self.rest("pull/find_all")
        return reply.body if reply.status == 200 else []

    def sessions(self):
        reply = self.rest("connection/find_all")
        return reply.body if reply.status == 200 else []

    def statistics(self):
        return requests.get(self.http + "/?action=stat&format=json", timeout=5).json()

    # Resources.

    def resources(self):
        """{'memory': resident KiB, 'files': open descriptors, 'threads': …} of the process."""
        status = dict(
            line.split(":", 1) for line in open(f"/proc/{self.process.pid}/status").read().splitlines() if ":" in line)
        return {
            "memory": int(status["VmRSS"].split()[0]),
            "threads": int(status["Threads"]),
            "files": len(os.listdir(f"/proc/{self.process.pid}/fd")),
        }

    # Logs.

    def log(self):
        try:
            return self.log_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def log_size(self):
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def log_tail(self, since=0, characters=8000):
        if not self.log_path.exists():
            return "(no log)"
        with open(self.log_path, "rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace")[-characters:]
