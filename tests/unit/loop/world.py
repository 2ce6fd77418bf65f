"""A small world for the loop's tests: memory stores, a frozen clock, and models that are plain functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import FrozenClock, to_micros
from interlock.core.refs import Ref
from interlock.core.schema import Column, Signature
from interlock.data.snapshots import Datasets
from interlock.labels.labels import Labels
from interlock.loop.loop import Loop
from interlock.monitoring.monitors import Monitors
from interlock.ports.deployment_store import Deployment, Role
from interlock.ports.journal import Edge
from interlock.ports.model_store import ModelVersion, PackageFile
from interlock.ports.prediction_log import Feedback, Prediction
from interlock.ports.stores import Stores
from interlock.serving.loading import LoadedModel

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CONTEXT = {"features": "dataset:asked@1"}
SIGNATURE = Signature(
    (Column("x", "double"), Column("origin", "string")), (Column("probability", "double"), Column("label", "long"))
)


@dataclass
class Scorer:
    """Answers with x times a skill, so that a skill of 1 ranks perfectly and -1 perfectly wrong."""

    skill: float

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        x = np.asarray(columns[0], dtype=float)
        noise = np.random.default_rng(7).normal(size=rows)
        score = 1 / (1 + np.exp(-(self.skill * x + (1 - abs(self.skill)) * noise)))
        return {"probability": score, "label": (score > 0.5).astype(int)}


class Registry:
    """The part of the registry that the loop uses."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def resolve(self, ref: str) -> ModelVersion:
        parsed = Ref.parse(ref, kind="model")
        if parsed.number is not None:
            return self._stores.models.get(parsed.name, version=parsed.number)
        return self._stores.models.get(parsed.name, alias=parsed.version)


@dataclass
class World:
    """Satisfies `Ground`."""

    uri: str = "memory:"
    clock: FrozenClock = field(default_factory=lambda: FrozenClock(START))
    skills: dict[str, float] = field(default_factory=dict)

    @cached_property
    def stores(self) -> Stores:
        return memory_stores(clock=self.clock)

    @cached_property
    def registry(self) -> Any:
        return Registry(self.stores)

    @cached_property
    def data(self) -> Datasets:
        return Datasets(self.stores.datasets, self.stores.artifacts, clock=self.clock)

    @cached_property
    def labels(self) -> Labels:
        return Labels(self.stores.labels, clock=self.clock)

    @cached_property
    def loop(self) -> Loop:
        return Loop(self)  # type: ignore[arg-type]

    @cached_property
    def monitoring(self) -> Monitors:
        return Monitors(
            self.stores.monitors,
            self.stores.predictions,
            resolve_version=self.registry.resolve,
            reference=self.loop.reference,
        )

    def load_model(self, ref: str) -> LoadedModel:
        return LoadedModel(ref, ref.partition("@")[2], "test", SIGNATURE, Scorer(self.skills[ref]))

    def add_model(self, skill: float, *, trained_on: str | None = None) -> ModelVersion:
        draft = ModelVersion(
            model="delay",
            version=0,
            created_at=self.clock.now(),
            files=(PackageFile("MLmodel", self.stores.artifacts.put(b"x").digest, 1),),
            signature=SIGNATURE,
            flavor="sklearn",
            engine="onnx",
        )
        edges = [Edge(trained_on, "", "trained_on")] if trained_on else []
        version = self.stores.models.add_version(draft, edges=edges)
        self.skills[version.ref] = skill
        return version

    def deploy(self, version: ModelVersion) -> None:
        self.stores.models.set_alias("delay", "champion", version=version.version)
        self.stores.deployments.route("delay", [Deployment(version.ref, "live", 1.0)])

    def serve(
        self, start: datetime, *, rows: int = 400, days: float = 1, seed: int = 0, known_after: timedelta = DAY / 4
    ) -> None:
        """Have whatever is routed answer rows spread over some days, and tell the truth about each."""
        rng = np.random.default_rng(seed)
        x = rng.normal(size=rows)
        truth = (x + 0.3 * rng.normal(size=rows) > 0).astype(int)
        endpoint = self.stores.deployments.get("delay")
        predictions, truths = [], []
        for row in range(rows):
            moment = to_micros(start + days * DAY * (row / rows))
            name = f"{start:%m%d}-{row:05}"
            callers = [d for d in endpoint.deployments if d.role != "shadow"]
            chosen = callers[-1] if len(callers) > 1 and row % 5 == 0 else callers[0]
            for deployment in [chosen, *(d for d in endpoint.deployments if d.role == "shadow")]:
                predictions.append(self._answer(name, deployment.model, deployment.role, moment, float(x[row]), row))
            truths.append(Feedback(name, int(truth[row]), moment + int(known_after.total_seconds() * 1e6), "test"))
        self.stores.predictions.append(predictions)
        self.stores.predictions.feedback(truths)

    def _answer(self, name: str, model: str, role: Role, moment: int, x: float, row: int) -> Prediction:
        skill = self.skills[model]
        noise = float(np.random.default_rng(row).normal())
        score = 1 / (1 + np.exp(-(skill * x + (1 - abs(skill)) * noise)))
        origin = ("EWR", "JFK", "LGA")[row % 3]
        return Prediction(
            name, "delay", model, role, moment, moment, (x, origin), {"probability": float(score)}, 1, CONTEXT
        )
