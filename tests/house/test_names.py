"""Words and places: no junk-drawer modules, no hidden imports, no promises in comments."""

from __future__ import annotations

import ast
import re

from tests.house.source import ROOT, definitions, imports, modules

BANNED_MODULES = {"utils", "util", "helpers", "helper", "common", "base", "misc", "manager", "types", "types2"}
WRITTEN_FOR_USERS = {"interlock.demo.flight_delay"}
"""Modules that are copied into a user's project, and so say `from interlock import …` as users do."""
MAY_DEFER = {"interlock", "interlock.workspace"}
PROMISE = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def test_no_module_is_a_junk_drawer() -> None:
    assert [m.name for m in modules() if BANNED_MODULES & set(m.name.split("."))] == []


def test_no_class_is_a_manager_or_a_helper() -> None:
    named = [f"{m.name}:{d.path}" for m in modules() for d in definitions(m) if isinstance(d.node, ast.ClassDef)]
    assert [name for name in named if re.search(r"(Manager|Helper|Utils?|Base)$", name)] == []


def test_no_first_party_import_hides_in_a_function() -> None:
    hidden = [
        f"{module.path.relative_to(ROOT)}:{found.line} imports {found.target}"
        for module in modules()
        if module.name not in MAY_DEFER
        for found in imports(module)
        if found.deferred
    ]
    assert hidden == []


def test_no_module_imports_the_root_face() -> None:
    guilty = {m.name for m in modules() for found in imports(m) if found.target == "interlock"}
    assert guilty <= WRITTEN_FOR_USERS


def test_no_promise_waits_in_a_comment() -> None:
    kept = [ROOT / "src", ROOT / "tests", ROOT / "scripts", ROOT / "benchmarks"]
    here = ROOT / "tests" / "house" / "test_names.py"
    files = [path for folder in kept for path in folder.rglob("*.py") if path != here]
    assert [str(path) for path in files if PROMISE.search(path.read_text())] == []
