"""Compute what a monitor reports of a window: its figure, the details, and the reason in words."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from interlock.monitoring.drift import jensen_shannon, psi, psi_by_chance
from interlock.monitoring.intervals import Interval
from interlock.monitoring.performance import Slice, by_slice, measure
from interlock.monitoring.reference import Reference, ReferenceColumn
from interlock.monitoring.settings import MonitorSettings
from interlock.monitoring.windows import Window

_NEW_SHOWN = 10


@dataclass(frozen=True)
class Finding:
    """What was found in a window.

    Args:
        rows: How many rows the figure rests on.
        value: The figure; None where it is not defined.
        low: Lower end of its interval.
        high: Upper end.
        about: What the figure is about, for the reason (`of dep_delay`).
        details: Everything else worth keeping, as plain values.
    """

    rows: int
    value: float | None
    low: float | None
    high: float | None
    about: str
    details: dict[str, Any]


def find_drift(window: Window, reference: Reference, metric: str, settings: MonitorSettings) -> Finding:
    """Compare every column of a window with the reference; the figure is that of the worst column.

    `psi` is the index less what two samples of these sizes show by chance alone, so that small windows and fine
    bins raise no alarm; `psi_raw` is the plain one. `js` is not corrected: give it a `min_rows` in the thousands.
    Columns of times and bytes are left out; those that the reference lacks are listed as `unreferenced`.
    """
    columns, unreferenced = {}, []
    for name, values in window.columns.items():
        if name in settings.skip or window.types[name] in ("datetime", "binary"):
            continue
        known = reference.columns.get(name)
        if known is not None and not (known.counts and window.types[name] == "string"):
            columns[name] = _column_drift(known, values)
        else:
            unreferenced.append(name)
    judged = {name: column[metric] for name, column in columns.items() if column[metric] is not None}
    worst = max(judged, key=lambda name: (judged[name], name), default=None)
    return Finding(
        rows=len(window.answers),
        value=judged[worst] if worst is not None else None,
        low=None,
        high=None,
        about=f"of {worst}" if worst is not None else "",
        details={"worst": worst, "columns": columns, "unreferenced": unreferenced, "models": window.models},
    )


def find_performance(window: Window, metric: str, settings: MonitorSettings) -> Finding:
    """Hold the answers of a window whose truth is known against it, overall and per slice.

    Truths that are not 0 or 1, and answers without a finite number under `output`, are counted as `unusable`.
    """
    judged = [
        (position, pair)
        for position, answer in enumerate(window.answers)
        if answer.feedback and (pair := _pair(answer.prediction.outputs.get(settings.output), answer.feedback.truth))
    ]
    y = np.array([truth for _, (truth, _) in judged], dtype=np.float64)
    score = np.array([score for _, (_, score) in judged], dtype=np.float64)
    figure = measure(metric, y, score, level=settings.level, cutoff=settings.cutoff)
    slices = [
        one
        for column in settings.slices
        if column in window.columns
        for one in by_slice(
            metric,
            y,
            score,
            column,
            [window.columns[column][position] for position, _ in judged],
            level=settings.level,
            cutoff=settings.cutoff,
        )
    ]
    known = sum(answer.feedback is not None for answer in window.answers)
    return Finding(
        rows=len(judged),
        value=finite(figure.value) if figure else None,
        low=finite(figure.low) if figure else None,
        high=finite(figure.high) if figure else None,
        about="",
        details={
            "answers": len(window.answers),
            "truths": known,
            "unusable": known - len(judged),
            "positives": int(y.sum()),
            "slices": [_plain(one) for one in slices],
            "models": window.models,
        },
    )


def finite(value: float) -> float | None:
    """Return a number that a report may hold: None for what is not finite."""
    return value if isfinite(value) else None


def _column_drift(column: ReferenceColumn, values: list[Any]) -> dict[str, Any]:
    reference, current, new = column.count(values)
    # bins that are empty on both sides (no missing value on either, say) are no bins
    pairs = [(p, q) for p, q in zip(reference, current, strict=True) if p or q]
    before, now = [p for p, _ in pairs], [q for _, q in pairs]
    raw = psi(before, now)
    chance = psi_by_chance(len(pairs), sum(before), sum(now)) if raw is not None else 0.0
    return {
        "psi": max(0.0, raw - chance) if raw is not None else None,
        "psi_raw": raw,
        "js": jensen_shannon(before, now),
        "null_share": current[-1] / len(values) if values else None,
        "reference_null_share": column.nulls / column.rows,
        "new_categories": new[:_NEW_SHOWN],
    }


def _pair(score: Any, truth: Any) -> tuple[float, float] | None:
    """Return truth and score as numbers, or None if the truth is not 0 or 1 or the score no finite number."""
    if not isinstance(score, int | float) or not isfinite(score) or not isinstance(truth, int | float):
        return None
    return (float(truth), float(score)) if truth in (0, 1) else None


def _plain(one: Slice) -> dict[str, Any]:
    figure: Interval | None = one.figure
    return {
        "column": one.column,
        "value": one.value,
        "rows": one.rows,
        "figure": finite(figure.value) if figure else None,
        "low": finite(figure.low) if figure else None,
        "high": finite(figure.high) if figure else None,
    }
