"""What happens where the library of an engine is not installed."""

from __future__ import annotations

import sys

import pytest

from interlock.adapters.dask.executor import DaskExecutor
from interlock.adapters.ray.executor import RayExecutor
from interlock.core.errors import MissingExtra
from interlock.ports.executor import Executor


@pytest.mark.parametrize(
    ("executor", "module", "extra"), [(RayExecutor, "ray", "ray"), (DaskExecutor, "distributed", "dask")]
)
def test_the_install_line_is_in_the_error(
    executor: type[Executor], module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra) as refusal:
        executor()
    assert refusal.value.fix == f"pip install 'interlock[{extra}]'"
