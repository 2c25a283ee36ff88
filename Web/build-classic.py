#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Joins the modules of Web/sdk into the classic script Web/flashphoner.js, which sets the globals `Flashphoner` and `RoomApi`.

    Web/build-classic.py           writes the file
    Web/build-classic.py --check   exits 1 if the committed file is out of date

Modules keep to named imports and named exports of each other, so that leaving out those words is all it takes. Two modules
that use one top-level name for different things would collide; that is refused here.
"""
import pathlib
import re
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
ENTRY = FOLDER / "sdk" / "flashphoner.js"
TARGET = FOLDER / "flashphoner.js"

LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"
IMPORT = re.compile(r'^import (?:\{[^}]*\}|\* as (?P<namespace>\w+)) from "(?P<path>\./[\w.-]+)";\n', re.M)
DECLARATION = re.compile(r"^(?:export )?(?:async )?(?:const|let|class|function)\s+(\w+)", re.M)
DESTRUCTURED = re.compile(r"^(?:export )?(?:const|let)\s*[\[{]", re.M)
EXPORTED = re.compile(r"^export (?:const|class|(?:async )?function)\s+(\w+)", re.M)


def in_order(path, done, active=()):
    """Modules such that each comes after those it imports."""
    if path in done:
        return
    if path in active:
        sys.exit(f"modules import each other in a circle: {path.name}")
    for found in IMPORT.finditer(path.read_text()):
        in_order((path.parent / found["path"]).resolve(), done, (*active, path))
    done.append(path)


def build():
    modules = []
    in_order(ENTRY, modules)
    owner, namespaces, parts = {}, {}, []
    for path in modules:
        text = path.read_text()
        if DESTRUCTURED.search(text):
            sys.exit(f"{path.name}: a destructured declaration at the top level can't be joined")
        for name in DECLARATION.findall(text):
            if name in owner:
                sys.exit(f"{path.name} and {owner[name]} both declare {name}")
            owner[name] = path.name
        for found in IMPORT.finditer(text):
            if found["namespace"]:
                namespaces[found["namespace"]] = (path.parent / found["path"]).resolve()
    for path in modules:
        text = IMPORT.sub("", path.read_text().removeprefix(LICENCE))
        text = re.sub(r"^export (?=(?:async )?(?:const|let|class|function)\b)", "", text, flags=re.M)
        text = re.sub(r"^export (?:\{[^}]*\}|default \w+);\n", "", text, flags=re.M)
        if re.search(r"^(?:import|export)\b", text, re.M):
            sys.exit(f"{path.name}: an import or export in a form that can't be joined")
        parts.append(f"// sdk/{path.name}\n{text.strip()}\n")
        for name, target in namespaces.items():
            if target == path:
                exported = ", ".join(EXPORTED.findall(path.read_text()))
                parts.append(f"const {name} = Object.freeze({{ {exported} }});\n")
    head = LICENCE + "// Made by Web/build-classic.py from Web/sdk; change the modules there and run it again.\n"
    return head + '(function () {\n"use strict";\n\n' + "\n".join(parts) + "\nglobalThis.Flashphoner = Flashphoner;\nglobalThis.RoomApi = RoomApi;\n})();\n"


def main():
    text = build()
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text() != text:
            sys.exit("Web/flashphoner.js is out of date; run Web/build-classic.py")
        return
    TARGET.write_text(text)


if __name__ == "__main__":
    main()
