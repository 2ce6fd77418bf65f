"""The executor contract on every executor of this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interlock.adapters.local.executors import InlineExecutor, ProcessExecutor
from interlock.ports.executor import Executor
from interlock.testing.executor import ExecutorContract, WorkerContract


class TestInline(ExecutorContract):
    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        executor = InlineExecutor()
        yield executor
        executor.close()


class TestProcesses(WorkerContract):
    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        executor = ProcessExecutor(2)
        yield executor
        executor.close()
