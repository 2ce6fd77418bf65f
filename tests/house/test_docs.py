"""What is public is explained, and what is generated is fresh."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.cli.commands import COMMANDS, build_app
from interlock.core.errors import error_types
from interlock.core.refs import KINDS
from interlock.ports.stores import store_ports
from scripts import make_map, make_reference
from tests.house.source import ROOT, definitions, modules

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "tests" / "README.md"])
ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


def _headings(name: str) -> set[str]:
    return set(re.findall(r"^## (.+)$", (make_reference.FOLDER / name).read_text(), flags=re.MULTILINE))


def test_everything_public_has_a_docstring() -> None:
    bare = [m.name for m in modules() if not ast.get_docstring(m.tree)]
    bare += [
        f"{m.name}:{d.path}"
        for m in modules()
        if not m.name.startswith(("interlock.adapters.", "interlock.testing."))
        for d in definitions(m)
        if d.is_public and not d.is_overload and not ast.get_docstring(d.node)
    ]
    assert bare == []


def test_adapters_explain_themselves_where_the_port_does_not() -> None:
    """An adapter's method may lean on its port's docstring; its classes and functions may not."""
    bare = [
        f"{m.name}:{d.path}"
        for m in modules()
        if m.name.startswith(("interlock.adapters.", "interlock.testing."))
        for d in definitions(m)
        if d.is_public and "." not in d.path and not ast.get_docstring(d.node)
    ]
    assert bare == []


def test_a_docstring_begins_with_one_sentence() -> None:
    odd = [
        f"{m.name}:{d.path}"
        for m in modules()
        for d in definitions(m)
        if (text := ast.get_docstring(d.node)) and not text.partition("\n")[0].rstrip().endswith((".", "!", "?", ":"))
    ]
    assert odd == []


def test_the_map_is_fresh() -> None:
    assert make_map.PAGE.read_text() == make_map.page(), "run: make map"


def test_the_reference_is_fresh() -> None:
    for name, text in make_reference.pages().items():
        assert (make_reference.FOLDER / name).read_text() == text, f"{name} is stale; run: make docs"


def test_every_command_is_in_the_reference() -> None:
    paths = {path for path, _ in make_reference.leaves(build_app())}
    assert {path.split()[1] for path in paths} == set(COMMANDS)
    assert _headings("cli.md") == paths


def test_every_error_event_and_port_is_in_the_reference() -> None:
    kinds = [kind for kind in error_types().values() if kind.__module__ == "interlock.core.errors"]
    assert {f"{kind.code} {kind.__name__}" for kind in kinds} == _headings("errors.md")
    assert {port.__name__ for port in store_ports().values()} <= _headings("ports.md")
    assert set(make_reference.event_kinds()) == _headings("events.md")


def test_the_events_that_ports_promise_are_written() -> None:
    promised = make_reference.promised_kinds()
    assert promised and promised <= set(make_reference.event_kinds())


def test_the_glossary_has_every_kind_of_ref() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text()
    assert [kind for kind in sorted(KINDS) if f"`{kind}:" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    targets += re.findall(r'(?:src|srcset)="([^":]+)"', page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", ADRS, ids=lambda page: page.stem)
def test_a_decision_has_its_five_parts(page: Path) -> None:
    titles = re.findall(r"^## (.+)$", page.read_text(), flags=re.MULTILINE)
    assert titles == ["Context", "Options", "Decision", "Consequences", "Revisit when"]
    assert len(page.read_text().splitlines()) <= 60, "a decision is one page"


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(page.name[:4]) for page in ADRS] == list(range(1, len(ADRS) + 1))
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    assert [page.name for page in ADRS if page.name not in index] == []


def test_the_changelog_can_be_drafted() -> None:
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    names = [path.name for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md"]
    assert [name for name in names if not re.fullmatch(r"[a-z0-9-]+\.(added|changed|fixed|removed)\.md", name)] == []
