"""Twelve edits around a step, each in a process of its own, over a workspace on disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HELPERS = '''
"""Helpers."""


def by_module(x):
    return x + 1


def by_name(x):
    return x * 2
'''

FLOW = """
import json
import sys
from pathlib import Path

import helpers
from helpers import by_name

from interlock.adapters.local.executors import InlineExecutor
from interlock.adapters.localfs.artifact_store import LocalArtifactStore
from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import SqliteDialect
from interlock.adapters.sql.stores import sql_stores
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import step

CONST = 1


def local(x):
    return x - 3


@step
def compute(x, k=2):
    return local(by_name(helpers.by_module(x))) * CONST + k


@pipeline
def flow():
    return compute(10)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    database = Database(SqliteDialect(folder / "interlock.db"))
    stores = sql_stores(database, artifacts=LocalArtifactStore(folder / "artifacts"))
    pipelines = Pipelines(stores.runs, stores.steps, stores.artifacts, stores.journal, InlineExecutor(), b"secret")
    run = pipelines.run(flow)
    print(json.dumps([run.value, run.steps[0].reused, pipelines.why("compute")]))
    database.close()
"""

EDITS = [
    ("helper by module", "helpers", "x + 1", "x + 2", "re-ran: function `helpers.by_module` changed (helpers.py:5)"),
    ("helper by name", "helpers", "x * 2", "x * 3", "re-ran: function `helpers.by_name` changed (helpers.py:9)"),
    ("local helper", "flow", "x - 3", "x - 4", "re-ran: function `__main__.local` changed (flow.py:21)"),
    ("constant", "flow", "CONST = 1", "CONST = 2", "re-ran: constant `__main__.CONST` 1 → 2"),
    ("default", "flow", "k=2", "k=3", "re-ran: default `__main__.compute.k` 2 → 3; input `k` 2 → 3"),
    ("body", "flow", "CONST + k", "CONST - k", "re-ran: function `__main__.compute` changed (flow.py:25)"),
    ("comment", "flow", "    return x - 3", "    # why three\n    return x - 3  # three", None),
    ("docstring", "helpers", "    return x + 1", '    """Add one."""\n    return x + 1', None),
    ("spacing", "flow", "local(by_name(helpers", "local(\n        by_name(\n            helpers", None),
    ("moved", "flow", "CONST = 1", "\n\n\n# lines\n\nCONST = 1", None),
]


def run(folder: Path, flow: str = FLOW, helpers: str = HELPERS) -> list[Any]:
    (folder / "flow.py").write_text(flow)
    (folder / "helpers.py").write_text(helpers)
    command = [sys.executable, "-B", "-W", "error", str(folder / "flow.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: list[Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the flow has run once, and then once more, unchanged: edits one and two of twelve."""
    made = tmp_path_factory.mktemp("edits")
    assert run(made) == [21, False, "first run"]
    value, reused, reason = run(made)
    assert (value, reused) == (21, True)
    assert reason.startswith("reused: same code, inputs and libraries as run ")
    return made


@pytest.mark.parametrize(("name", "file", "old", "new", "reason"), EDITS, ids=[edit[0] for edit in EDITS])
def test_an_edit_re_runs_exactly_when_it_matters(
    folder: Path, name: str, file: str, old: str, new: str, reason: str | None
) -> None:
    source = {"flow": FLOW, "helpers": HELPERS}
    assert source[file].count(old) == 1
    source[file] = source[file].replace(old, new)
    value, reused, found = run(folder, **source)
    if reason is None:
        assert (value, reused) == (21, True)
        return
    assert (reused, found) == (False, reason)
    plain: dict[str, Any] = {"__name__": "plain"}
    exec(source["helpers"], helpers := {})  # the same edit, run plainly, says what is right
    sys.modules["helpers"] = type(sys)("helpers")
    sys.modules["helpers"].__dict__.update(helpers)
    try:
        exec(source["flow"], plain)
    finally:
        del sys.modules["helpers"]
    assert value == plain["flow"]()
