"""Say what is installed, what is missing, and how to get it."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

import msgspec

from interlock.cli.noun import Here
from interlock.cli.output import Answer, table
from interlock.cli.session import Session
from interlock.core.errors import InterlockError, MissingExtra, NotFound
from interlock.core.settings import find_workspace_uri
from interlock.core.units import human_bytes, human_count
from interlock.workspace import open_workspace

LOW_DISK_BYTES = 2 << 30
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[.*?\])?[^;]*(?:;.*?extra == ['\"](?P<extra>\w+)['\"])?")
_OTHER_PLATFORM = re.compile(r"sys_platform|python_version")


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Args:
        what: The thing.
        state: `ok`, `optional` (missing, and only some need it) or `bad`.
        detail: What was found.
        fix: What to do about it.
    """

    what: str
    state: Literal["ok", "optional", "bad"]
    detail: str
    fix: str = ""


def doctor(*, session: Here) -> Answer:
    """Look at the installation, the workspace and the disk; exit with 7 if something is in the way."""
    findings = [*_installation(), *_workspace(session), *_developer_tools(Path(__file__))]
    columns = {
        "": lambda finding: {"ok": "✓", "optional": "·", "bad": "✗"}[finding.state],
        "what": lambda finding: finding.what,
        "found": lambda finding: finding.detail,
        "try": lambda finding: finding.fix,
    }
    bad = any(finding.state == "bad" for finding in findings)
    return Answer(findings, (table(findings, columns),), exit_code=MissingExtra.exit_code if bad else 0)


def _installation() -> Iterator[Finding]:
    yield Finding("python", "ok", sys.version.partition(" ")[0])
    try:
        yield Finding("interlock", "ok", version("interlock"))
        needs = requires("interlock") or []
    except PackageNotFoundError:
        yield Finding("interlock", "bad", "not installed as a package", "pip install interlock")
        return
    missing: dict[str, list[str]] = {}
    extras: set[str] = set()
    for need in needs:
        match = _REQUIREMENT.match(need)
        assert match is not None, need
        extra = match["extra"] or ""
        if match["name"] == "interlock" or (not extra and _OTHER_PLATFORM.search(need)):
            continue
        extras.add(extra)
        try:
            version(match["name"])
        except PackageNotFoundError:
            missing.setdefault(extra, []).append(match["name"])
    lacking = missing.pop("", [])
    if lacking:
        yield Finding("libraries", "bad", f"missing: {', '.join(lacking)}", "pip install --force-reinstall interlock")
    else:
        yield Finding("libraries", "ok", "all there")
    for extra in sorted(extras - {""}):
        if extra in missing:
            yield Finding(
                f"extra {extra}",
                "optional",
                f"missing: {', '.join(missing[extra])}",
                f"pip install 'interlock[{extra}]'",
            )
        else:
            yield Finding(f"extra {extra}", "ok", "installed")


def _workspace(session: Session) -> Iterator[Finding]:
    where = session.uri or find_workspace_uri()
    try:
        with open_workspace(where, create=False) as workspace:
            events = workspace.stores.journal.last_seq()
            yield Finding("workspace", "ok", f"{workspace.uri}, {human_count(events)} events")
    except NotFound as error:
        yield Finding("workspace", "optional", error.what, error.fix)
    except InterlockError as error:
        yield Finding("workspace", "bad", f"{error.what}: {error.why}", error.fix)
    if "://" not in where:
        yield _disk(Path(where))


def _disk(folder: Path) -> Finding:
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < LOW_DISK_BYTES:
        return Finding("disk", "bad", f"{human_bytes(free)} free at {folder}", "free some space")
    return Finding("disk", "ok", f"{human_bytes(free)} free")


def _developer_tools(here: Path) -> Iterator[Finding]:
    """Look for what only people who work on Interlock itself need: those with its source checked out."""
    if not (here.parents[3] / "Makefile").is_file():
        return
    browser = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
    if browser is None:
        yield Finding("chromium", "optional", "missing: UI tests are skipped", "apt-get install chromium")
    else:
        yield Finding("chromium", "ok", browser)
    built = here.parents[1] / "server" / "ui" / "dist" / "index.html"
    if built.is_file():
        yield Finding("web UI", "ok", "built")
    else:
        yield Finding("web UI", "optional", "not built", "make ui")
