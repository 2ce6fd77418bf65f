"""The executor contract on every executor: in this thread, in processes, on Ray and on Dask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interlock.adapters.dask.executor import DaskExecutor
from interlock.adapters.local.executors import AdaptiveExecutor, InlineExecutor
from interlock.adapters.local.pool import ProcessExecutor
from interlock.adapters.ray.executor import RayExecutor
from interlock.ports.executor import Executor
from interlock.testing.executor import ExecutorContract, WorkerContract


class TestInline(ExecutorContract):
    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        executor = InlineExecutor()
        yield executor
        executor.close()


class TestAdaptive(ExecutorContract):
    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        executor = AdaptiveExecutor(lambda: ProcessExecutor(2))
        yield executor
        executor.close()


class TestProcesses(WorkerContract):
    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        executor = ProcessExecutor(2)
        yield executor
        executor.close()


@pytest.mark.xdist_group("dask")
class TestDaskThreads(WorkerContract):
    @pytest.fixture
    def executor(self, dask_threads: str) -> Iterator[Executor]:
        executor = DaskExecutor(dask_threads)
        yield executor
        executor.close()


@pytest.mark.xdist_group("dask")
class TestDaskProcesses(WorkerContract):
    @pytest.fixture
    def executor(self, dask_processes: str) -> Iterator[Executor]:
        executor = DaskExecutor(dask_processes)
        yield executor
        executor.close()


@pytest.mark.xdist_group("ray")
class TestRay(WorkerContract):
    @pytest.fixture
    def executor(self, ray_cluster: object) -> Iterator[Executor]:
        executor = RayExecutor()
        yield executor
        executor.close()
