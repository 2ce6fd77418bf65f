"""A repository of Aim, as its package returns it.

The package `aim` needs not be installed: `Repository` and `Tree` stand for `aim.Repo` and its trees, and answer
with what those of aim 3.29.1 returned of a real repository, recorded once.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from interlock.core.clock import from_micros
from interlock.core.errors import InvalidInput, MissingExtra
from interlock.loop.importing.aim import Aim
from interlock.loop.importing.writing import import_source
from interlock.ports.run_store import Run
from interlock.ports.stores import Stores

FIRST = "3e06a10c83cc4a37b0701281"


class Damage(Exception):
    """What the database below Aim raises."""


class Tree:
    """The part of a recorded tree that lies below a path."""

    def __init__(self, value: Any, *, damaged: bool = False) -> None:
        self._value = value
        self._damaged = damaged

    def subtree(self, path: Any) -> Tree:
        value = self._value
        for part in path if isinstance(path, tuple) else (path,):
            value = value.get(part, {})
        return Tree(value, damaged=self._damaged)

    def collect(self) -> Any:
        if self._damaged:
            raise Damage("file is too short")
        return self._value

    def items(self) -> Iterator[tuple[Any, Any]]:
        yield from self.collect().items()


class Repository:
    """What was recorded of `aim.Repo`."""

    recorded: dict[str, dict[str, Any]]
    damaged: set[tuple[str, str]]
    status = "UPDATED"

    def __init__(self, path: str) -> None:
        self.structured_db = SimpleNamespace(find_run=self._find)

    @classmethod
    def check_repo_status(cls, path: str) -> SimpleNamespace:
        return SimpleNamespace(name=cls.status)

    def list_all_runs(self) -> list[str]:
        return list(self.recorded)

    def request_tree(self, name: str, key: str, *, read_only: bool) -> Tree:
        assert read_only
        return Tree(self.recorded[key][name], damaged=(name, key) in self.damaged)

    def _find(self, key: str) -> SimpleNamespace | None:
        known = self.recorded[key]["known"]
        if known is None:
            return None
        return SimpleNamespace(**{**known, "created_at": datetime.fromisoformat(known["created_at"])})


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: _decoded(one) for key, one in value["tree"]} if "tree" in value else SimpleNamespace(**value)


@pytest.fixture
def repository(
    unpacked: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, type[Repository]]:
    runs = json.loads((unpacked("aim-3.29.1") / "recorded.json").read_text(encoding="utf-8"))

    class Recorded(Repository):
        recorded = {
            one["key"]: {"known": one["known"], "meta": _decoded(one["meta"]), "seqs": _decoded(one["seqs"])}
            for one in runs
        }
        damaged: set[tuple[str, str]] = set()

    package, below = ModuleType("aim"), ModuleType("aimrocks")
    vars(package)["Repo"] = Recorded
    vars(below)["errors"] = SimpleNamespace(Corruption=Damage, RocksIOError=Damage)
    monkeypatch.setitem(sys.modules, "aim", package)
    monkeypatch.setitem(sys.modules, "aimrocks", below)
    folder = tmp_path / "project"
    (folder / ".aim" / "meta").mkdir(parents=True)
    return folder, Recorded


def _facts(recorded: type[Repository], key: str = FIRST) -> dict[str, Any]:
    facts: dict[str, Any] = recorded.recorded[key]["meta"]["meta"]["chunks"][key]
    return facts


def _run(stores: Stores, name: str) -> Run:
    (run,) = [run for run in stores.runs.runs() if run.name.startswith(name)]
    return run


def test_a_repository_comes_whole_but_for_what_is_named(
    repository: tuple[Path, type[Repository]], stores: Stores
) -> None:
    report = import_source(Aim(repository[0]), stores)
    assert [(one.experiment, one.runs, one.written, one.points) for one in report.experiments] == [
        ("default", 1, 1, 1),
        ("vision", 2, 2, 93),
    ]
    assert sorted(one.why for one in report.problems) == [
        "epochs: its sequences give different ones to the same step",
        "file weights.bin: its content is not in the repository",
        "param picture of kind SimpleNamespace",
        "sequence dist of kind aim.distribution",
        "sequence img of kind aim.image",
    ]
    before = {run.id: run for run in stores.runs.runs()}
    again = import_source(Aim(repository[0] / ".aim"), stores)
    assert [(one.written, one.unchanged, one.failed) for one in again.experiments] == [(0, 1, 0), (0, 2, 0)]
    assert {run.id: run for run in stores.runs.runs()} == before


def test_what_a_run_says_of_itself(repository: tuple[Path, type[Repository]], stores: Stores) -> None:
    import_source(Aim(repository[0]), stores)
    run = _run(stores, "first")
    assert (run.experiment, run.status) == ("vision", "finished")
    assert run.params == {
        "hparams": {"lr": 0.1, "net": {"depth": 3, "act": "relu"}, "flags": [True, None, 2.5], "3": "three"},
        "picture": None,
    }
    assert (run.tags["aim.tags"], run.tags["mlflow.note.content"]) == ("baseline,b2", "a note")
    assert run.started_at == datetime(2026, 11, 21, 6, 42, 44, 138177, UTC)
    assert run.ended_at == from_micros(1795243365998755)
    assert run.code == {"vcs": "git", "commit": "7cace24", "branch": "master"}
    assert run.libraries == {"aim": "3.29.1", "numpy": "2.4.6"}
    assert run.environment == {"client": "aim", "argv": ["../w.py", "/recorded"]}
    assert _run(stores, "Run: fb32").tags["aim.archived"] == "true"
    assert (_run(stores, "Run: 22db").status, _run(stores, "Run: 22db").ended_at) == ("running", None)


def test_contexts_epochs_and_infinities(repository: tuple[Path, type[Repository]], stores: Stores) -> None:
    import_source(Aim(repository[0]), stores)
    run = _run(stores, "first")
    system = {"system.cpu", "system.disk_percent", "system.memory_percent", "system.p_memory_percent"}
    assert set(run.metrics) - system == {
        "aim.epoch",
        "inf",
        "nan",
        "train/gpu:0/count",
        "train/loss",
        "train/loss.2",
        "val/loss",
    }
    # the one without a context has the plain name
    assert [point.value for point in stores.runs.history(run.id, "train/loss")] == [7.0]
    loss = stores.runs.history(run.id, "train/loss.2")
    assert [(point.step, point.value) for point in loss] == [(step, 1 / (step + 1)) for step in range(25)]
    assert [point.value for point in stores.runs.history(run.id, "aim.epoch")] == [step // 10 for step in range(25)]
    assert math.isnan(run.metrics["nan"].last) and run.metrics["inf"].last == math.inf
    assert (run.metrics["train/gpu:0/count"].last, run.metrics["train/gpu:0/count"].last_step) == (3.0, 5)


def test_texts_and_the_console_are_files(repository: tuple[Path, type[Repository]], stores: Stores) -> None:
    facts = _facts(repository[1])
    (plain,) = [context for context, names in facts["traces"].items() if "says" in names]
    columns = repository[1].recorded[FIRST]["seqs"]["seqs"]["chunks"][FIRST][plain]
    for name in ("../x", "a//.b?"):
        facts["traces"][plain][name] = facts["traces"][plain]["says"]
        columns[name] = columns["says"]
    report = import_source(Aim(repository[0]), stores)
    assert all(one.failed == 0 for one in report.experiments)
    run = _run(stores, "first")
    files = {one.path: stores.artifacts.get(one.digest) for one in stores.runs.artifacts(run.id)}
    assert files["media/says/1.txt"] == b"hello"
    assert b"a line of the console\nand another" in files["console.txt"]
    assert {"media/%2E%2E/x/1.txt", "media/a/%2F/.b%3F/1.txt"} <= set(files)


def test_sequences_of_older_versions_have_no_steps_of_their_own(
    repository: tuple[Path, type[Repository]], stores: Stores
) -> None:
    facts = _facts(repository[1])
    (plain,) = [context for context, names in facts["traces"].items() if "says" in names]
    facts["traces"][plain]["old"] = {"dtype": "float"}
    columns = repository[1].recorded[FIRST]["seqs"]["seqs"]["chunks"][FIRST][plain]
    columns["old"] = {"val": {2: 0.5, 1: 0.25}, "time": {1: 10.0, 2: 11.0}, "epoch": {}}
    import_source(Aim(repository[0]), stores)
    points = stores.runs.history(_run(stores, "first").id, "old")
    assert [(one.step, one.value, one.time) for one in points] == [(1, 0.25, 10_000_000), (2, 0.5, 11_000_000)]


def test_a_damaged_run_or_sequence_is_told_and_comes_when_it_is_mended(
    repository: tuple[Path, type[Repository]], stores: Stores
) -> None:
    folder, recorded = repository
    (running,) = [key for key in recorded.recorded if key.startswith("22db")]
    recorded.damaged |= {("meta", running), ("seqs", FIRST)}
    recorded.recorded[running]["known"] = None
    report = import_source(Aim(folder), stores)
    damaged = [one.thing for one in report.problems if "file is too short" in one.why]
    assert damaged.count(f"run {running}") == 1 and damaged.count(f"run {FIRST}") > 5
    assert [one.failed for one in report.experiments] == [1, 0]
    assert _run(stores, "first").metrics == {}
    recorded.damaged.clear()
    assert [one.written for one in import_source(Aim(folder), stores).experiments] == [1, 1]
    assert _run(stores, "first").metrics["val/loss"].count == 25
    assert _run(stores, running).metrics["acc"].count == 1


def test_damage_takes_nothing_from_a_run_that_is_here(
    repository: tuple[Path, type[Repository]], stores: Stores
) -> None:
    import_source(Aim(repository[0]), stores)
    before = _run(stores, "first")
    repository[1].damaged.add(("meta", FIRST))
    report = import_source(Aim(repository[0]), stores)
    assert [one.failed for one in report.experiments] == [0, 1]
    assert _run(stores, "first") == before


def test_a_repository_that_would_be_converted_is_refused(repository: tuple[Path, type[Repository]]) -> None:
    repository[1].status = "PATCH_REQUIRED"
    with pytest.raises(InvalidInput, match="older version"):
        Aim(repository[0])


def test_without_the_package_the_way_to_get_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aim", None)
    (tmp_path / ".aim" / "meta").mkdir(parents=True)
    with pytest.raises(MissingExtra) as raised:
        Aim(tmp_path)
    assert raised.value.fix.startswith("pip install aim")


def test_a_folder_without_a_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no repository of Aim"):
        Aim(tmp_path)
