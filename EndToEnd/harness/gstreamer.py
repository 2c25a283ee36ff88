# SPDX-License-Identifier: Apache-2.0
"""GStreamer as a WHIP or WHEP client: a child of the system's Python that runs gstreamer_http.py."""
import json
import pathlib
import subprocess
import threading

from harness.waiting import wait_until

SCRIPT = pathlib.Path(__file__).with_name("gstreamer_http.py")


class GStreamer:
    def __init__(self, direction, url, codec):
        self.process = subprocess.Popen(
            ["/usr/bin/python3", str(SCRIPT), direction, url, codec], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True)
        self.lines, self.complaints = [], []
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                         for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.complaints))]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(pipe, lines):
        lines.extend(iter(pipe.readline, ""))

    def counts(self):
        """{"video": frames decoded, "audio": buffers decoded, "size": [width, height]}"""
        known = len(self.lines)
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        wait_until(lambda: any(line.startswith("{") for line in self.lines[known:]), 10, lambda: "".join(self.complaints) or "an answer")
        return json.loads([line for line in self.lines[known:] if line.startswith("{")][-1])

    def connected(self):
        wait_until(lambda: "connected\n" in self.lines, 20, lambda: f"connected: {self.lines} {''.join(self.complaints)}")

    def stop(self):
        """Deletes the session; returns the status of that."""
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for reader in self._readers:
            reader.join(5)
        return next((line.split()[1] for line in self.lines if line.startswith("deleted")), None)
