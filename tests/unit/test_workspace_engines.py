"""How a workspace picks where steps run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interlock.adapters.local.executors import AdaptiveExecutor, InlineExecutor
from interlock.adapters.local.pool import ProcessExecutor
from interlock.core.errors import InvalidInput
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import step
from interlock.workspace import Workspace, open_workspace


@step
def square(number: int) -> int:
    return number * number


@pipeline
def squares() -> int:
    return sum(square(number) for number in range(3))


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with open_workspace("memory:") as workspace:
        yield workspace


def test_engines_have_names_and_are_kept(workspace: Workspace) -> None:
    assert isinstance(workspace.executor, AdaptiveExecutor)
    assert isinstance(workspace.engine("inline"), InlineExecutor)
    assert isinstance(workspace.engine("pool"), ProcessExecutor)
    assert workspace.engine("pool:3").slots == 3
    assert workspace.engine("auto:3").slots == 3
    assert workspace.engine("pool") is workspace.engine("pool")


@pytest.mark.parametrize("name", ["pol", "", "inline:3", "pool:many"])
def test_an_unknown_engine_is_refused(name: str, workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match="is no engine"):
        workspace.engine(name)


def test_pipelines_run_on_what_is_named(workspace: Workspace) -> None:
    made = workspace.pipelines.on("pool:2").run(squares)
    assert (made.value, made.executed) == (5, 3)
    again = workspace.pipelines.on(InlineExecutor()).run(squares)
    assert (again.value, again.reused) == (5, 3)


def test_closing_the_workspace_closes_its_engines(workspace: Workspace) -> None:
    pool = workspace.engine("pool:1")
    workspace.close()
    with pytest.raises(InvalidInput, match="closed"):
        pool.submit(abs, 1)


def test_pipelines_of_one_executor_have_no_names_for_others(workspace: Workspace) -> None:
    stores = workspace.stores
    alone = Pipelines(stores.runs, stores.steps, stores.artifacts, stores.journal, InlineExecutor(), b"secret")
    with pytest.raises(InvalidInput, match="cannot run on 'pool'"):
        alone.on("pool")
