"""Graphs whose members or functions go wrong say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interlock.adapters.graphs.runtime import GraphRuntime
from interlock.core.errors import NotFound, StepFailed
from interlock.core.schema import Column, Signature
from interlock.registry.flavors.graphs import ensemble
from interlock.workspace import open_workspace


def moody(answers: list[dict[str, list[Any]]]) -> Any:
    values = answers[0]["prediction"]
    if values[0] == 1:
        raise RuntimeError("no")
    if values[0] == 2:
        return {"other": values}
    if values[0] == 3:
        return ["text"] * len(values)
    return values


@pytest.mark.parametrize(
    ("x", "says"),
    [(1.0, "RuntimeError: no (in moody, test_runtime.py:"), (2.0, "KeyError: 'prediction'"), (3.0, "ValueError")],
)
def test_a_combining_function_that_fails_is_told(tmp_path: Path, x: float, says: str) -> None:
    with open_workspace(tmp_path / "w") as workspace:
        workspace.registry.register("m", lambda row: row["x"], example=[{"x": 0.0}])
        version = workspace.registry.register("g", ensemble("m", combine=moody))
        predictor = workspace.load_model(version.ref).predictor
        assert predictor.predict([[0.0]], rows=1)["prediction"].tolist() == [0.0]
        with pytest.raises(StepFailed) as caught:
            predictor.predict([[x]], rows=1)
        assert says in caught.value.why


def test_a_runtime_without_a_loader_finds_no_members(tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_text('{"type": "model", "ref": "model:a@1"}')
    with pytest.raises(NotFound, match="model:a@1"):
        GraphRuntime().load(tmp_path, signature=Signature((Column("x", "double"),), ()), settings={})
