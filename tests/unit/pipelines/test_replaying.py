"""One step call of a recorded run made again, on the inputs it had."""

from __future__ import annotations

import io
import pdb
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from interlock.core.errors import Conflict, NotFound, StepFailed
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.steps import step
from interlock.ports.run_store import RunFilter
from interlock.workspace import Workspace, open_workspace

_extra = False


class Halves(NamedTuple):
    low: list[int]
    high: list[int]


@step
def split(n: int) -> Halves:
    return Halves(list(range(n)), list(range(n, 2 * n)))


@step
def total(values: list[int], *, wanted: int = 0) -> int:
    if wanted > 100:
        raise ValueError("too much is wanted")
    return sum(values) + wanted


@step
def late() -> int:
    return 1


@pipeline
def play(n: int, wanted: int = 0) -> int:
    halves = split(n)
    if _extra:
        late()
    first = total(halves.low)
    return int(first) + int(total(halves.high, wanted=wanted))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    with open_workspace(tmp_path / ".interlock") as opened:
        yield opened  # type: ignore[misc]


def test_a_call_with_the_inputs_it_had(workspace: Workspace) -> None:
    run = workspace.pipelines.run(play, 3, wanted=5).run
    found = workspace.pipelines.recorded_call("total", run.id)
    assert (found.arguments["values"], found.again()) == ([0, 1, 2], 3)
    second = workspace.pipelines.recorded_call("total", f"run:{run.id}", number=2)
    assert (second.arguments, second.again()) == ({"values": [3, 4, 5], "wanted": 5}, 17)
    assert workspace.pipelines.recorded_call("split", run.id).again() == Halves([0, 1, 2], [3, 4, 5])


def test_the_call_that_failed_comes_first(workspace: Workspace) -> None:
    with pytest.raises(StepFailed):
        workspace.pipelines.run(play, 3, wanted=500)
    (run,) = workspace.stores.runs.runs(where=RunFilter(kind="pipeline"))
    found = workspace.pipelines.recorded_call("total", run.id)
    assert found.node.status == "failed" and found.arguments["wanted"] == 500
    with pytest.raises(ValueError, match="too much"):
        found.again()


def test_under_a_debugger(workspace: Workspace) -> None:
    run = workspace.pipelines.run(play, 3).run
    said = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO("p values\ncontinue\n"), stdout=said, nosigint=True, readrc=False)
    found = workspace.pipelines.recorded_call("total", run.id)
    with ThreadPoolExecutor(1) as thread:  # a debugger leaves its thread untraced, for a coverage tool too
        assert thread.submit(found.debug, debugger).result(60) == 3
    assert "[0, 1, 2]" in said.getvalue()


def test_a_call_that_was_not_made(workspace: Workspace) -> None:
    run = workspace.pipelines.run(play, 3).run
    with pytest.raises(NotFound, match="total"):
        workspace.pipelines.recorded_call("totl", run.id)
    with pytest.raises(NotFound):
        workspace.pipelines.recorded_call("total", run.id, number=0)


def test_code_that_calls_other_steps_by_now(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = workspace.pipelines.run(play, 3).run
    monkeypatch.setattr(f"{__name__}._extra", True)
    with pytest.raises(Conflict, match="where the run called total"):
        workspace.pipelines.recorded_call("total", run.id)


def test_code_that_does_not_come_so_far(workspace: Workspace) -> None:
    run = workspace.pipelines.run(play, 3).run

    def play_less(n: int, wanted: int = 0) -> int:
        return int(total(split(n).low))

    with pytest.raises(Conflict, match="any more"):
        workspace.pipelines.recorded_call("total", run.id, play_less, number=2)


def test_an_output_that_was_never_made(workspace: Workspace) -> None:
    @pipeline
    def broken() -> int:
        return int(total(split(-1).low)) + int(total([1], wanted=500)) + int(total([2]))

    with pytest.raises(StepFailed):
        workspace.pipelines.run(broken)
    (run,) = workspace.stores.runs.runs(where=RunFilter(kind="pipeline"))
    with pytest.raises((Conflict, NotFound)):
        workspace.pipelines.recorded_call("total", run.id, broken, number=3)
