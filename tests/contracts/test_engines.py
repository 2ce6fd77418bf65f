"""The same pipeline on every engine: the same keys, and outputs with the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.adapters.dask.executor import DaskExecutor
from interlock.adapters.local.executors import AdaptiveExecutor, InlineExecutor
from interlock.adapters.local.pool import ProcessExecutor
from interlock.adapters.ray.executor import RayExecutor
from interlock.core.errors import StepFailed
from interlock.ports.executor import Call, Executor
from interlock.workspace import Workspace, open_workspace
from tests.contracts.engine_steps import everything, fragile
from tests.engines import OBJECT_STORE_BYTES

ROWS = 200_000
Outputs = dict[str, tuple[str, str]]


def outputs(workspace: Workspace, executor: Executor) -> Outputs:
    """Run the pipeline; return the key of each step call, with its name and the digest of its output."""
    # pickles are signed by the workspace that keeps them: the same secret, or they could not be equal
    (workspace.folder / "secret").write_bytes(bytes(32))
    run = workspace.pipelines.on(executor).run(everything, ROWS)
    assert run.executed == 9
    found = {}
    for outcome in run.steps:
        record = workspace.stores.steps.find(outcome.key)
        assert record is not None
        found[outcome.key] = (outcome.step, record.output)
    return found


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """Return what the pipeline comes to in this thread."""
    with open_workspace(tmp_path_factory.mktemp("inline") / "ws") as workspace:
        return outputs(workspace, InlineExecutor())


class EngineSuite:
    """What a pipeline comes to is the same wherever its steps run."""

    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        raise AssertionError("each engine gives its own")

    def test_outputs_and_keys_are_those_of_every_engine(
        self, executor: Executor, tmp_path: Path, expected: Outputs
    ) -> None:
        with open_workspace(tmp_path / "ws") as workspace:
            assert outputs(workspace, executor) == expected
            again = workspace.pipelines.run(everything, ROWS)
            assert again.reused == 9
            assert workspace.verify() == []

    def test_a_worker_that_dies_fails_its_step_and_no_other(self, executor: Executor, tmp_path: Path) -> None:
        with open_workspace(tmp_path / "ws") as workspace:
            with pytest.raises(StepFailed, match="step 'explode' failed on number=1"):
                workspace.pipelines.on(executor).run(fragile)
            assert len(workspace.stores.steps.history("tests.contracts.engine_steps.explode")) == 2


def opened(make: Callable[[], Executor]) -> Iterator[Executor]:
    executor = make()
    yield executor
    executor.close()


class TestPool(EngineSuite):
    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        yield from opened(lambda: ProcessExecutor(2))


class TestAdaptive(EngineSuite):
    @pytest.fixture
    def executor(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
        # whatever has run once goes to the pool, and what would end this process goes there at once
        monkeypatch.setattr("interlock.adapters.local.executors.PAYS_FROM_S", 0.0)
        yield from opened(lambda: AdaptiveExecutor(lambda: ProcessExecutor(2)))

    def test_a_worker_that_dies_fails_its_step_and_no_other(self, executor: Executor, tmp_path: Path) -> None:
        executor.start(Call(abs, (1,), name="explode"))
        super().test_a_worker_that_dies_fails_its_step_and_no_other(executor, tmp_path)


@pytest.mark.xdist_group("dask")
class TestDaskThreads(EngineSuite):
    @pytest.fixture
    def executor(self, dask_threads: str) -> Iterator[Executor]:
        yield from opened(lambda: DaskExecutor(dask_threads))


@pytest.mark.xdist_group("dask")
class TestDaskProcesses(EngineSuite):
    @pytest.fixture
    def executor(self, dask_processes: str) -> Iterator[Executor]:
        yield from opened(lambda: DaskExecutor(dask_processes))


@pytest.mark.xdist_group("ray")
class TestRayOnOneNode(EngineSuite):
    @pytest.fixture
    def executor(self, ray_cluster: Any) -> Iterator[Executor]:
        yield from opened(RayExecutor)


@pytest.fixture(scope="class")
def second_node(ray_cluster: Any) -> Iterator[Any]:
    node = ray_cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)
    ray_cluster.wait_for_nodes()
    yield node
    ray_cluster.remove_node(node)


@pytest.mark.xdist_group("ray")
class TestRayOnTwoNodes(EngineSuite):
    @pytest.fixture
    def executor(self, second_node: Any) -> Iterator[Executor]:
        yield from opened(RayExecutor)

    def test_both_nodes_work(self, executor: Executor, tmp_path: Path) -> None:
        assert executor.slots == 2
        first, second = (executor.submit(meet, str(tmp_path), number) for number in range(2))
        assert first.result(timeout=60) != second.result(timeout=60)


def meet(folder: str, number: int) -> str:
    """Wait until the other call runs too; return which node this is."""
    import time

    import ray

    (Path(folder) / str(number)).touch()
    while len(list(Path(folder).iterdir())) < 2:
        time.sleep(0.01)
    return str(ray.get_runtime_context().get_node_id())
