"""A second network beside the machine's: a namespace behind a pair of virtual interfaces, in which a firewall can be played.
Needs root; tests that use it are left out elsewhere."""
import os
import subprocess

import pytest


def _run(*command):
    subprocess.run(command, check=True, capture_output=True, text=True)


class Network:
    """`host` is the server's address as seen from inside, `host6` its IPv6 one. Commands run inside by `enter`."""

    _count = 0

    def __init__(self):
        if os.geteuid() != 0:
            pytest.skip("network namespaces need root")
        Network._count += 1
        number = (os.getpid() * 7 + Network._count) % 250
        self.name = f"martlet{os.getpid()}n{Network._count}"
        self.outside = f"mo{os.getpid() % 100000}n{Network._count}"
        inside = self.outside.replace("mo", "mi")
        self.host, self.host6 = f"10.213.{number}.1", f"fd13:213:{number:x}::1"
        try:
            _run("ip", "netns", "add", self.name)
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            pytest.skip(f"no network namespaces here: {getattr(error, 'stderr', error)}")
        try:
            _run("ip", "link", "add", self.outside, "type", "veth", "peer", "name", inside, "netns", self.name)
            _run("ip", "addr", "add", self.host + "/24", "dev", self.outside)
            _run("ip", "-6", "addr", "add", self.host6 + "/64", "dev", self.outside, "nodad")
            _run("ip", "link", "set", self.outside, "up")
            self.ip("link", "set", "lo", "up")
            self.ip("addr", "add", f"10.213.{number}.2/24", "dev", inside)
            self.ip("-6", "addr", "add", f"fd13:213:{number:x}::2/64", "dev", inside, "nodad")
            self.ip("link", "set", inside, "up")
        except subprocess.CalledProcessError:
            self.close()
            raise

    def ip(self, *arguments):
        _run("ip", "-n", self.name, *arguments)

    def block_udp(self):
        """Like a firewall that lets only TCP through: nothing by UDP leaves the namespace."""
        for family in ("-4", "-6"):
            self.ip(family, "rule", "add", "ipproto", "udp", "pref", "10", "prohibit")

    def enter(self, *command):
        return ["ip", "netns", "exec", self.name, *command]

    def close(self):
        subprocess.run(["ip", "link", "del", self.outside], capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)
