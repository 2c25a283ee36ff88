# SPDX-License-Identifier: Apache-2.0
"""The documentation against the project: links lead somewhere, settings and commands that are named exist."""
import re
import subprocess

import pytest

from harness.paths import MARTLET, REPOSITORY

SKIPPED = {".build", ".venv", ".git", "node_modules", ".pytest_cache", "out", "var"}
DOCUMENTS = sorted(
    path for path in REPOSITORY.rglob("*.md") if not SKIPPED.intersection(path.relative_to(REPOSITORY).parts))
FENCE = re.compile(r"^```.*?^```", re.M | re.S)


def anchors(text):
    """The anchors GitHub makes of the headings."""
    found = set()
    for heading in re.findall(r"^#+\s+(.*?)\s*$", FENCE.sub("", text), re.M):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)|`", r"\1", heading).lower()).replace(" ", "-")
        found.add(plain)
    return found


def relative(path):
    return str(path.relative_to(REPOSITORY))


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_relative_link_leads_somewhere(document):
    text = FENCE.sub("", document.read_text())
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text):
        if re.match(r"[a-z][a-z+.-]*:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), f"{relative(document)} links to {target}, which isn't there"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file.read_text()), f"{relative(document)} links to {target}; there is no such heading"


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_path_of_the_repository_that_is_named_exists(document):
    for path in re.findall(r"`((?:Sources|Tests|EndToEnd|Web|docs)/[\w./+-]*)`", document.read_text()):
        # What a run leaves in EndToEnd/out is not there before it.
        assert path.startswith("EndToEnd/out") or (REPOSITORY / path).exists(), f"{relative(document)} names {path}, which isn't there"


def dev_help():
    return subprocess.run([str(REPOSITORY / "dev"), "help"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_dev_command_that_is_named_is_in_its_help(document):
    commands = set(re.findall(r"^\./dev ([a-z]+)", dev_help(), re.M))
    for command in re.findall(r"\./dev ([a-z]+)", document.read_text()):
        assert command in commands, f"{relative(document)} names ./dev {command}"


def test_help_and_the_script_agree():
    script = (REPOSITORY / "dev").read_text()
    commands = set(re.findall(r"^\./dev ([a-z]+)", dev_help(), re.M))
    handled = set(re.findall(r"^  ([a-z]+)(?: \| [^)]*)?\)", script[script.index('case "${1:-help}" in'):], re.M))
    assert handled == commands, (handled, commands)
    assert subprocess.run(["bash", "-n", str(REPOSITORY / "dev")]).returncode == 0


@pytest.mark.skipif(not MARTLET.exists(), reason="the program is not built")
def test_the_settings_page_is_what_the_program_writes():
    written = subprocess.run([str(MARTLET), "config", "--markdown"], capture_output=True, text=True, check=True).stdout
    assert written.strip() == (REPOSITORY / "docs" / "settings.md").read_text().strip()


def test_every_setting_is_documented():
    table = "".join(path.read_text() for path in (REPOSITORY / "Sources/MartletServer/Configuration").glob("SettingsTable*.swift"))
    keys = re.findall(r"^ +\.\w+\(\"([a-z_.]+)\",", table, re.M)
    assert len(keys) >= 40, "the table is written differently now; bring this test in line"
    page = (REPOSITORY / "docs" / "settings.md").read_text()
    assert [key for key in keys if f"| `{key}`" not in page] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_setting_that_is_named_exists(document):
    known = set(re.findall(r"`([a-z_.]+)`", (REPOSITORY / "docs" / "settings.md").read_text()))
    for key in re.findall(r"--set ([a-z_.]+)=", document.read_text()):
        assert key in known or key == "key", f"{relative(document)} names the setting {key}"


def test_every_source_file_names_its_licence():
    lacking = []
    for kind in ("swift", "c", "h", "py", "js", "css", "sh"):
        for path in REPOSITORY.rglob(f"*.{kind}"):
            if not SKIPPED.intersection(path.relative_to(REPOSITORY).parts) and "SPDX-License-Identifier: Apache-2.0" not in path.read_text()[:200]:
                lacking.append(relative(path))
    assert not lacking
