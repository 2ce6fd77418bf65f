"""Train the delay model again: on what was served, and what proved true."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from interlock.core.clock import from_micros
from interlock.demo import flight_delay, plan
from interlock.loop.ground import Ground
from interlock.loop.outcomes import TIME, TRUTH, commit_training_rows, freeze_labels, judged_rows
from interlock.loop.recipes import Candidate, Request, recipe
from interlock.ports.model_store import ModelVersion
from interlock.registry.models import Models


@recipe
def retrain(ground: Ground, request: Request) -> Candidate:
    """Freeze the truths as labels, add the served rows to the training data, train, register.

    The last fortnight of what is known is held back for the gate.
    """
    data = _extend(ground, request)
    table = ground.data.read(data)
    split = pc.max(table[TIME]).as_py() - plan.HOLD_BACK
    strength = float(ground.registry.resolve(f"model:{request.model}").tags["strength"])
    version = fit_and_register(ground, table, data=data, until=split, strength=strength, why=request.cause or "retrain")
    late = pc.greater_equal(table[TIME], pa.scalar(split, table[TIME].type))
    return Candidate(version, held_back=table.filter(late), label=TRUTH, data=data)


def fit_and_register(
    ground: Ground, table: pa.Table, *, data: str, until: datetime, strength: float, why: str
) -> ModelVersion:
    """Train on the rows before a moment, in a run of its own, and register the model."""
    early = pc.less(table[TIME], pa.scalar(until, table[TIME].type))
    rows = table.filter(early)
    with ground.experiments.run(
        plan.EXPERIMENT,
        name=f"until {until.date()}",
        params={"strength": strength, "rows": rows.num_rows},
        inputs=[data],
    ) as run:
        run.set_tags({"cause": why})
        model = flight_delay.train(rows, strength=strength)
        held_back = table.filter(pc.invert(early))
        metrics = flight_delay.evaluate(model, held_back)
        run.log_metrics(metrics)
        return register(ground.registry, model, rows, run=run.id, data=data, metrics=metrics, strength=strength)


def register(
    registry: Models, model: Any, rows: pa.Table, *, run: str, data: str, metrics: dict[str, float], strength: float
) -> ModelVersion:
    """Register a fitted model with what it was trained on."""
    return registry.register(
        plan.MODEL,
        model,
        example=rows.select(flight_delay.INPUTS).slice(0, 5),
        run=run,
        inputs=[data],
        metrics=metrics,
        tags={"strength": repr(strength), "trained_on": data},
    )


def _extend(ground: Ground, request: Request) -> str:
    """Add what was served and judged since the last snapshot; return the Ref of the newest."""
    newest = ground.stores.datasets.get(plan.TRAINING)
    last = pc.max(ground.data.read(newest.ref, columns=[TIME])[TIME].cast(pa.int64())).as_py()
    start, end = from_micros(last + 1), request.as_of - plan.DAY
    if end <= start:
        return newest.ref
    rows = list(judged_rows(ground, request.endpoint, start=start, end=end, known_by=request.as_of))
    labels = freeze_labels(ground, request.endpoint, rows, known_by=request.as_of)
    signature = ground.registry.resolve(f"model:{request.model}").signature
    return commit_training_rows(
        ground, request.endpoint, rows, dataset=plan.TRAINING, signature=signature, labels=labels
    ).ref
