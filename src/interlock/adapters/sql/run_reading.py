"""Read runs whole: one or few in one statement, a page in a statement for each table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from interlock.adapters.sql.database import Readable, Row, encode
from interlock.core.clock import from_micros
from interlock.core.plain import unpack
from interlock.ports.run_store import DatasetUse, MetricSummary, ModelUse, Run

_HEAD, _NAME, _PARENT, _TAG, _PARAM, _METRIC, _DATASET, _MODEL = range(8)
_NUMBERS = "last, first, low, high, mean, count, last_step, last_time"
_NONE = "NULL, NULL, NULL, NULL, NULL"
# every part has the columns of a metric, and in front of them a text and some bytes; the first sets their types
_FEW = f"""WITH page AS (SELECT id FROM runs WHERE {{where}})
    SELECT {_HEAD}, page.id, experiments.name, kind, record, 0.0, 0.0, 0.0, 0.0, 0.0, started, 0.0, ended
        FROM page JOIN runs ON runs.id = page.id JOIN experiments ON experiments.id = runs.experiment
    UNION ALL SELECT {_NAME}, page.id, COALESCE(long_name, name), status, NULL, {_NONE}, deleted, NULL, NULL
        FROM page JOIN runs ON runs.id = page.id
    UNION ALL SELECT {_PARENT}, page.id, parent, NULL, NULL, {_NONE}, NULL, NULL, NULL
        FROM page JOIN runs ON runs.id = page.id
    UNION ALL SELECT {_TAG}, page.id, key, COALESCE(long_value, value), NULL, {_NONE}, NULL, NULL, NULL
        FROM page JOIN run_tags ON run = page.id
    UNION ALL SELECT {_PARAM}, page.id, key, NULL, value, {_NONE}, NULL, NULL, NULL
        FROM page JOIN run_params ON run = page.id
    UNION ALL SELECT {_METRIC}, page.id, key, NULL, NULL, {_NUMBERS} FROM page JOIN run_metrics ON run = page.id
    UNION ALL SELECT {_DATASET}, page.id, NULL, NULL, record, {_NONE}, position, NULL, NULL
        FROM page JOIN run_datasets ON run = page.id
    UNION ALL SELECT {_MODEL}, page.id, NULL, NULL, record, {_NONE}, position, NULL, NULL
        FROM page JOIN run_models ON run = page.id"""

_HEADS = """SELECT place, page.id, experiments.name, kind, COALESCE(long_name, runs.name), status, parent, started,
        ended, runs.deleted, record
    FROM page JOIN runs ON runs.id = page.id JOIN experiments ON experiments.id = runs.experiment"""
_RUNS_PER_QUERY = 1000


class Rest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of a run is neither searched nor changed."""

    code: dict[str, Any] = {}
    libraries: dict[str, str] = {}
    environment: dict[str, Any] = {}
    error: str | None = None


class _Parts:
    """What was read of one run."""

    __slots__ = ("datasets", "head", "metrics", "models", "params", "tags")

    def __init__(self) -> None:
        self.head: list[Any] = []
        self.tags: dict[str, str] = {}
        self.params: dict[str, Any] = {}
        self.metrics: dict[str, MetricSummary] = {}
        self.datasets: list[tuple[int, bytes]] = []
        self.models: list[tuple[int, bytes]] = []


_decode_rest = msgspec.msgpack.Decoder(Rest).decode
_decode_dataset = msgspec.msgpack.Decoder(DatasetUse).decode
_decode_model = msgspec.msgpack.Decoder(ModelUse).decode


def rest_of(run: Run) -> bytes:
    """Return what of a run goes into its record."""
    return encode(Rest(run.code, run.libraries, run.environment, run.error))


def read_runs(source: Readable, where: str, params: Sequence[Any]) -> dict[str, Run]:
    """Return the few runs that a condition on `runs` names, by id, in no order; in one statement, as of one moment."""
    found: dict[str, _Parts] = {}
    heads: dict[tuple[str, int], Row] = {}
    for row in source.query(_FEW.format(where=where), params):
        part, run, key, text, data, *numbers = row
        parts = found.get(run) or found.setdefault(run, _Parts())
        if part == _METRIC:
            parts.metrics[key] = _summary((key, *numbers))
        elif part == _TAG:
            parts.tags[key] = text
        elif part == _PARAM:
            parts.params[key] = unpack(data)
        elif part in (_DATASET, _MODEL):
            (parts.datasets if part == _DATASET else parts.models).append((numbers[5], data))
        else:
            heads[run, part] = row
    runs = {}
    for run, parts in found.items():
        _, _, experiment, kind, record, *_, started, _, ended = heads[run, _HEAD]
        _, _, name, status, _, *_, deleted, _, _ = heads[run, _NAME]
        parent = heads[run, _PARENT][2]
        parts.head = [experiment, kind, name, status, parent, started, ended, deleted, record]
        runs[run] = _run(run, parts)
    return runs


def read_page(source: Readable, ids: Sequence[str]) -> list[Run]:
    """Return runs in the order of their ids; those that are not there are left out.

    Cost: about 1 µs for each param, tag and metric.
    """
    with source.snapshot() as view:
        found: list[Run] = []
        for start in range(0, len(ids), _RUNS_PER_QUERY):
            found += _page(view, ids[start : start + _RUNS_PER_QUERY])
        return found


def _page(view: Readable, ids: Sequence[str]) -> list[Run]:
    runs = [_Parts() for _ in ids]
    rows = ", ".join(f"({place}, ?)" for place in range(len(ids)))
    page = f"WITH page (place, id) AS (VALUES {rows}) "
    names = {}
    for place, run, *head in view.query(page + _HEADS, ids):
        runs[place].head = head
        names[place] = run
    for place, key, value in _logged(view, page, ids, "key, COALESCE(long_value, value)", "run_tags"):
        runs[place].tags[key] = value
    for place, key, value in _logged(view, page, ids, "key, value", "run_params"):
        runs[place].params[key] = unpack(value)
    for row in _logged(view, page, ids, f"key, {_NUMBERS}", "run_metrics"):
        runs[row[0]].metrics[row[1]] = MetricSummary(*row[1:]) if None not in row else _summary(row[1:])
    for place, position, data in _logged(view, page, ids, "position, record", "run_datasets"):
        runs[place].datasets.append((position, data))
    for place, position, data in _logged(view, page, ids, "position, record", "run_models"):
        runs[place].models.append((position, data))
    return [_run(names[place], runs[place]) for place in range(len(ids)) if place in names]


def _logged(view: Readable, page: str, ids: Sequence[str], columns: str, table: str) -> Iterable[Row]:
    return view.query(f"{page}SELECT place, {columns} FROM page JOIN {table} ON run = page.id", ids)


def _summary(row: Sequence[Any]) -> MetricSummary:
    numbers: list[Any] = [math.nan if one is None else one for one in row]
    return MetricSummary(*numbers)


def _run(run_id: str, parts: _Parts) -> Run:
    experiment, kind, name, status, parent, started, ended, deleted, record = parts.head
    rest = _decode_rest(record)
    return Run(
        id=run_id,
        experiment=experiment,
        kind=kind,
        name=name,
        status=status,
        started_at=from_micros(started),
        ended_at=None if ended is None else from_micros(ended),
        parent=parent,
        params=parts.params,
        tags=parts.tags,
        code=rest.code,
        libraries=rest.libraries,
        environment=rest.environment,
        metrics=parts.metrics,
        error=rest.error,
        datasets=tuple(_decode_dataset(data) for _, data in sorted(parts.datasets)) if parts.datasets else (),
        models=tuple(_decode_model(data) for _, data in sorted(parts.models)) if parts.models else (),
        deleted_at=None if deleted is None else from_micros(deleted),
    )
