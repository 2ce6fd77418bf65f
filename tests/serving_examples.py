"""A small model, endpoint and host without any library behind them, for tests of serving."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import FrozenClock, to_micros
from interlock.core.errors import InvalidInput, NotFound
from interlock.core.schema import Column, Signature
from interlock.ports.model_runtime import Predictor
from interlock.ports.stores import Stores
from interlock.server.hosting import EndpointHost
from interlock.serving.loading import LoadedModel
from interlock.serving.rollout import begin

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOW_MICROS = to_micros(NOW)
SIGNATURE = Signature(
    (
        Column("x", "double"),
        Column("n", "long", nullable=False),
        Column("city", "string"),
    ),
    (Column("probability", "double", nullable=False), Column("label", "long", nullable=False)),
)
ROW: dict[str, Any] = {"x": 0.25, "n": 1, "city": "JFK"}
FIRST, SECOND = "model:delay@1", "model:delay@2"


class Adding(Predictor):
    """Answers `x + shift` (a missing `x` counts as 0), and refuses the city `nowhere`."""

    def __init__(self, signature: Signature, shift: float) -> None:
        self._names = signature.input_names
        self._shift = shift

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        given = dict(zip(self._names, columns, strict=True))
        if "nowhere" in given["city"]:
            raise InvalidInput("the model refused the rows", why="nowhere is no city")
        probability = np.nan_to_num(np.array(given["x"], float)) + self._shift
        assert len(probability) == rows
        return {"probability": probability, "label": (probability > 0.5).astype(np.int64)}


def loaded(
    ref: str = FIRST,
    *,
    signature: Signature = SIGNATURE,
    shift: float = 0.0,
    is_quick: bool = True,
    gains_together: bool = False,
    predictor: Predictor | None = None,
) -> LoadedModel:
    """Return a version in memory."""
    return LoadedModel(
        ref=ref,
        version=ref.partition("@")[2],
        engine="test",
        signature=signature,
        predictor=predictor or Adding(signature, shift),
        is_quick=is_quick,
        gains_together=gains_together,
    )


class Shelf:
    """Gives loaded versions by Ref, and counts how often each was asked for."""

    def __init__(self, *models: LoadedModel) -> None:
        self.models = {model.ref: model for model in models}
        self.asked: list[str] = []

    def __call__(self, ref: str) -> LoadedModel:
        self.asked.append(ref)
        if ref not in self.models:
            raise NotFound(f"there is no {ref}")
        return self.models[ref]


def fresh_stores() -> Stores:
    """Return memory stores that stand still at `NOW`."""
    return memory_stores(clock=FrozenClock(NOW))


@contextmanager
def hosted(stores: Stores, shelf: Shelf, *, endpoint: str = "delay", **options: Any) -> Iterator[EndpointHost]:
    """Put the first version of a shelf behind an endpoint and host it, without a thread that polls."""
    if stores.deployments.find(endpoint) is None:
        stores.deployments.route(endpoint, begin(FIRST))
    host = EndpointHost(
        stores.deployments, stores.journal, load=shelf, log=stores.predictions, clock=FrozenClock(NOW), **options
    )
    host.refresh()
    try:
        yield host
    finally:
        host.close()


def oip_inputs(*rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return rows as Open Inference inputs."""
    datatypes = {"x": "FP64", "n": "INT64", "city": "BYTES"}
    return [
        {"name": name, "shape": [len(rows)], "datatype": datatype, "data": [row[name] for row in rows]}
        for name, datatype in datatypes.items()
    ]
