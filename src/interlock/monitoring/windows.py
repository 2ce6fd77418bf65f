"""Read the answers of a window as columns, and find the windows that are due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from interlock.core.clock import EPOCH, from_micros
from interlock.ports.model_store import ModelVersion
from interlock.ports.monitor_store import Monitor
from interlock.ports.prediction_log import JudgedPrediction, PredictionLog

_PAGE = 10_000
_DAY_S = 86_400


@dataclass(frozen=True)
class Window:
    """The answers of one stretch of time.

    Args:
        answers: Each answer with its truth, if that is known, by time.
        columns: What was asked, by input column, in the order of `answers`; None where the model that answered
            has no such column.
        types: The logical type of each column.
        models: How many answers each model version gave.
    """

    answers: list[JudgedPrediction]
    columns: dict[str, list[Any]]
    types: dict[str, str]
    models: dict[str, int]

    @property
    def model(self) -> str:
        """The version that gave most of the answers; empty where there are none."""
        return max(self.models, key=lambda ref: (self.models[ref], ref), default="")


def read_window(
    log: PredictionLog,
    endpoint: str,
    *,
    start: datetime,
    end: datetime,
    model: str | None,
    resolve_version: Callable[[str], ModelVersion],
) -> Window:
    """Read the answers with `start <= event_time < end`: those that callers saw, or all of one version."""
    answers: list[JudgedPrediction] = []
    after: tuple[int, str] | None = None
    while True:
        page = log.window(endpoint, start=start, end=end, model=model, after=after, limit=_PAGE)
        answers += page
        if len(page) < _PAGE:
            break
        after = (page[-1].prediction.event_time, page[-1].prediction.id)
    models = dict(Counter(answer.prediction.model for answer in answers))
    types: dict[str, str] = {}
    columns: dict[str, list[Any]] = {}
    for ref in models:
        inputs = resolve_version(ref).signature.inputs
        types |= {column.name: column.type for column in inputs if column.name not in types}
        where = [position for position, answer in enumerate(answers) if answer.prediction.model == ref]
        rows = zip(*(answers[position].prediction.inputs for position in where), strict=True)
        for column, values in zip(inputs, rows, strict=True):
            if len(models) == 1:
                columns[column.name] = list(values)
                continue
            filled = columns.setdefault(column.name, [None] * len(answers))
            for position, value in zip(where, values, strict=True):
                filled[position] = value
    return Window(answers, columns, types, models)


def due_windows(
    log: PredictionLog, monitor: Monitor, *, origin: datetime, upto: datetime, reported: frozenset[datetime]
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the complete windows that hold answers and are not reported yet, in order of time.

    Windows lie end to end from `origin`. Stretches without an answer are stepped over in one query.
    """
    length = timedelta(seconds=monitor.window_s)
    start = origin
    while start + length <= upto:
        first = log.window(monitor.endpoint, start=start, end=upto, limit=1)
        if not first:
            return
        start += (from_micros(first[0].prediction.event_time) - start) // length * length
        if start + length > upto:
            return
        if start not in reported:
            yield start, start + length
        start += length


def first_window_start(log: PredictionLog, monitor: Monitor, *, upto: datetime) -> datetime | None:
    """Return when the first answer was asked for, at midnight UTC if windows are whole days; None if there is none."""
    first = log.window(monitor.endpoint, start=EPOCH, end=upto, limit=1)
    if not first:
        return None
    start = from_micros(first[0].prediction.event_time)
    return start.replace(hour=0, minute=0, second=0, microsecond=0) if monitor.window_s % _DAY_S == 0 else start
