# SPDX-License-Identifier: Apache-2.0
"""The committed classic script belongs to the committed modules."""
import pathlib
import subprocess
import sys

WEB = pathlib.Path(__file__).resolve().parents[2] / "Web"


def test_the_classic_script_is_up_to_date():
    result = subprocess.run([sys.executable, str(WEB / "build-classic.py"), "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_every_alias_leads_to_a_file():
    for line in (WEB / "aliases.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            asked, served = line.split()
            assert asked.startswith("/") and (WEB / served.lstrip("/")).is_file(), line
