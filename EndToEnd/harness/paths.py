# SPDX-License-Identifier: Apache-2.0
"""Where things are."""
import os
import pathlib

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
WEB = REPOSITORY / "Web"
# Logs and screenshots of the last run.
OUT = REPOSITORY / "EndToEnd" / "out"
MARTLET = pathlib.Path(os.environ.get("MARTLET", REPOSITORY / ".build" / "release" / "martlet"))
