# SPDX-License-Identifier: Apache-2.0
"""Processes by /proc: who descends from whom, so that a browser can be killed or frozen as a whole."""
import contextlib
import os
import pathlib
import signal


def descendants(pid):
    """Process ids, parents before their children."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child)] + descendants(int(child))
    return found


def signal_all(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class OwnBrowser:
    """A browser beside the one that tests share: it may be killed or frozen."""

    def __init__(self, launch):
        before = set(descendants(os.getpid()))
        self.browser = launch()
        new = [pid for pid in descendants(os.getpid()) if pid not in before]
        # The first that came is the parent of the others.
        self.main = new[0]

    def kill(self):
        """As a crash does it: every process, without a word."""
        signal_all([self.main] + descendants(self.main), signal.SIGKILL)

    @contextlib.contextmanager
    def frozen(self):
        """As when its network is gone: its sockets stay open, nothing comes from it."""
        family = [self.main] + descendants(self.main)
        signal_all(family, signal.SIGSTOP)
        try:
            yield
        finally:
            signal_all(family, signal.SIGCONT)
