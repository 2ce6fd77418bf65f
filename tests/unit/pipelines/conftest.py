"""Pipelines over memory stores, and modules made from source text."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from interlock.adapters.local.executors import InlineExecutor
from interlock.adapters.memory.stores import memory_stores
from interlock.pipelines.runner import Pipelines
from interlock.ports.stores import Stores

SECRET = b"the workspace's secret"
ModuleMaker = Callable[..., ModuleType]


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


@pytest.fixture
def pipelines(stores: Stores) -> Pipelines:
    return open_pipelines(stores)


def open_pipelines(stores: Stores) -> Pipelines:
    return Pipelines(stores.runs, stores.steps, stores.artifacts, stores.journal, InlineExecutor(), SECRET)


@pytest.fixture
def module() -> Iterator[ModuleMaker]:
    """Return what makes (or makes anew) a module from source text."""
    made: set[str] = set()

    def make(name: str, source: str, *, package: bool = False) -> ModuleType:
        fresh = ModuleType(name)
        if package:
            fresh.__path__ = []
        fresh.__package__ = name if package else name.rpartition(".")[0]
        sys.modules[name] = fresh
        made.add(name)
        exec(compile(textwrap.dedent(source), f"<{name}>", "exec"), fresh.__dict__)  # the test's own text
        return fresh

    yield make
    for name in made:
        del sys.modules[name]
