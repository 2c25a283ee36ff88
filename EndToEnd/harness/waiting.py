# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition with a deadline. Nothing in the tests sleeps for an effect."""
import time


def wait_until(condition, timeout=10.0, what=None, pause=0.02):
    """Returns the first true value of `condition()`; fails with `what` (text or a function giving text) after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            words = what() if callable(what) else what
            raise AssertionError(f"did not happen within {timeout} s: {words or condition}")
        time.sleep(pause)


def holds_for(condition, seconds, what=None, pause=0.02):
    """Fails as soon as `condition()` is false within `seconds`: for things that must not happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), what or "held no longer"
        time.sleep(pause)
