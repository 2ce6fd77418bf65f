"""A pipeline with values of every kind, small and large, for engines to agree on."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from interlock.pipelines.graphs import pipeline
from interlock.pipelines.steps import step

FACTOR = 3


class Model:
    """What only a pickle holds."""

    def __init__(self, weights: np.ndarray, note: str) -> None:
        self.weights = weights
        self.note = note


class Halves(NamedTuple):
    left: pa.Table
    right: pa.Table


@step
def load(rows: int) -> pa.Table:
    return pa.table({"x": np.arange(rows), "name": [f"row {row}" for row in range(rows)]})


@step
def halve(table: pa.Table) -> Halves:
    middle = table.num_rows // 2
    return Halves(table.slice(0, middle), table.slice(middle))


@step
def column(table: pa.Table, power: int) -> np.ndarray:
    return FACTOR * table["x"].to_numpy().astype(np.float64) ** power


@step
def fit(values: np.ndarray, *, alpha: float) -> Model:
    return Model(alpha * values, f"alpha {alpha}")


@step
def score(models: list[Model], sizes: dict[str, int]) -> list[float]:
    assert isinstance(models[0], Model)
    return [float(model.weights.sum()) + sizes["left"] for model in models]


@step
def count(table: pa.Table) -> int:
    return table.num_rows


@pipeline
def everything(rows: int) -> float:
    halves = halve(load(rows))
    sizes = {"left": count(halves.left), "right": count(halves.right)}
    values = column(halves.right, 2)
    models = [fit(values, alpha=alpha) for alpha in (0.1, 1.0, 10.0)]
    return max(score(models, sizes))


@step
def explode(number: int) -> int:
    if number == 1:
        os._exit(3)
    return number


@pipeline
def fragile() -> list[int]:
    return [explode(number) for number in range(3)]
