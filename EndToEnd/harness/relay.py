# SPDX-License-Identifier: Apache-2.0
"""A bad network between a browser and a node: `martlet relay` in front of the node's media ports."""
import json
import subprocess

from .node import REACTORS
from .paths import MARTLET


class Relay:
    """One relay per media port of `node`. A tab that is given `ports` finds the node's media there (see page.js, `reroute`)."""

    def __init__(self, node, both="", up="", down="", seed=1):
        self.processes = {}
        self.ports = {}
        first = node.settings["media_port_from"]
        for port in range(first, first + REACTORS):
            process = subprocess.Popen(
                [str(MARTLET), "relay", "--to", f"127.0.0.1:{port}", "--seed", str(seed)]
                + [f"--{way}={profile}" for way, profile in (("both", both), ("up", up), ("down", down)) if profile],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.processes[port] = process
            self.ports[str(port)] = json.loads(process.stdout.readline())["port"]

    def ask(self, line):
        answers = []
        for process in self.processes.values():
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline()))
            assert "error" not in answers[-1], answers[-1]
        return answers

    def up(self, profile):
        """From the browser to the node."""
        self.ask(f"up {profile}")

    def down(self, profile):
        self.ask(f"down {profile}")

    def both(self, profile):
        self.ask(f"both {profile}")

    def counters(self):
        """{'up': {'sent', 'lost', …}, 'down': …} over all ports."""
        answers = self.ask("counters")
        return {way: {key: sum(answer[way][key] for answer in answers) for key in answers[0][way]} for way in ("up", "down")}

    def close(self):
        for process in self.processes.values():
            process.stdin.close()
            process.wait(10)
            process.stdout.close()
