# SPDX-License-Identifier: Apache-2.0
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

    def __init__(self, mtu=1500):
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
            _run("ip", "link", "set", self.outside, "mtu", str(mtu), "up")
            self.ip("link", "set", "lo", "up")
            self.ip("addr", "add", f"10.213.{number}.2/24", "dev", inside)
            self.ip("-6", "addr", "add", f"fd13:213:{number:x}::2/64", "dev", inside, "nodad")
            self.ip("link", "set", inside, "mtu", str(mtu), "up")
        except subprocess.CalledProcessError:
            self.close()
            raise

    def ip(self, *arguments):
        _run("ip", "-n", self.name, *arguments)

    def block_udp(self):
        """Like a firewall that lets only TCP through: nothing by UDP leaves the namespace."""
        for family in ("-4", "-6"):
            self.ip(family, "rule", "add", "ipproto", "udp", "pref", "10", "prohibit")

    def behind_router(self, mtu):
        """A further namespace, reached through this one over a link of that MTU; this one sends no word about packets that don't fit."""
        far = Network.__new__(Network)
        far.name, far.host, far.outside = self.name + "r", self.host, self.outside
        number = self.host.split(".")[2]
        near, away = self.outside.replace("mo", "mr"), self.outside.replace("mo", "mf")
        _run("ip", "netns", "add", far.name)
        self._behind = far
        self.ip("link", "add", near, "type", "veth", "peer", "name", away, "netns", far.name)
        self.ip("addr", "add", f"10.214.{number}.1/24", "dev", near)
        self.ip("link", "set", near, "mtu", str(mtu), "up")
        far.ip("link", "set", "lo", "up")
        far.ip("addr", "add", f"10.214.{number}.2/24", "dev", away)
        far.ip("link", "set", away, "mtu", str(mtu), "up")
        far.ip("route", "add", "default", "via", f"10.214.{number}.1")
        _run(*self.enter("sysctl", "-qw", "net.ipv4.ip_forward=1"))
        # The router's word about packets that are too big goes nowhere: its way back is closed for ICMP.
        self.ip("rule", "add", "ipproto", "icmp", "pref", "10", "prohibit")
        _run("ip", "route", "add", f"10.214.{number}.0/24", "via", f"10.213.{number}.2")
        return far

    def enter(self, *command):
        return ["ip", "netns", "exec", self.name, *command]

    def close(self):
        subprocess.run(["ip", "link", "del", self.outside], capture_output=True)
        if getattr(self, "_behind", None):
            subprocess.run(["ip", "netns", "del", self._behind.name], capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)


class Isolated:
    """A machine of its own, as far as addresses go: a namespace with loopback and one interface. `kind`: "ipv4" (its interfaces have
    no IPv6 address, loopback has), "ipv4 alone" (IPv6 is switched off), "ipv6" (no IPv4 address at all)."""

    def __init__(self, kind):
        if os.geteuid() != 0:
            pytest.skip("network namespaces need root")
        Network._count += 1
        self.name = f"martlet{os.getpid()}i{Network._count}"
        self.host = "fd13:214::1" if kind == "ipv6" else "10.214.0.1"
        try:
            _run("ip", "netns", "add", self.name)
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            pytest.skip(f"no network namespaces here: {getattr(error, 'stderr', error)}")
        try:
            if kind == "ipv4 alone":
                _run(*self.enter("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"))
            self.ip("link", "set", "lo", "up")
            self.ip("link", "add", "ia", "type", "veth", "peer", "name", "ib")
            for link in ("ia", "ib"):
                if kind == "ipv4":
                    self.ip("link", "set", link, "addrgenmode", "none")
                self.ip("link", "set", link, "up")
            if kind == "ipv6":
                self.ip("addr", "del", "127.0.0.1/8", "dev", "lo")
                self.ip("-6", "addr", "add", self.host + "/64", "dev", "ia", "nodad")
            else:
                self.ip("addr", "add", self.host + "/24", "dev", "ia")
        except subprocess.CalledProcessError:
            self.close()
            raise

    def ip(self, *arguments):
        _run("ip", "-n", self.name, *arguments)

    def enter(self, *command):
        return ["ip", "netns", "exec", self.name, *command]

    def fetch(self, url):
        """The body, or "" as long as nothing answers."""
        return subprocess.run(self.enter("curl", "-gfs", "-m", "2", url), capture_output=True, text=True).stdout

    def close(self):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)
