"""Ask a workspace in SQL, read-only: runs and what they logged, models, predictions, events, as tables of DuckDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from interlock.core.clock import from_micros
from interlock.core.errors import InvalidInput, LimitExceeded, NotFound, did_you_mean
from interlock.core.plain import as_text
from interlock.loop.references import PAGE, all_runs
from interlock.ports.stores import Stores

if TYPE_CHECKING:
    import pyarrow as pa

TABLES: dict[str, dict[str, str]] = {
    "runs": {
        "id": "string",
        "experiment": "string",
        "kind": "string",
        "name": "string",
        "status": "string",
        "started_at": "time",
        "ended_at": "time",
        "parent": "string",
        "user": "string",
        "commit": "string",
        "error": "string",
    },
    "params": {"run": "string", "key": "string", "value": "string", "number": "double"},
    "tags": {"run": "string", "key": "string", "value": "string"},
    "metrics": {
        "run": "string",
        "key": "string",
        "last": "double",
        "first": "double",
        "min": "double",
        "max": "double",
        "mean": "double",
        "count": "int64",
        "last_step": "double",
    },
    "points": {"run": "string", "key": "string", "step": "double", "time": "time", "value": "double"},
    "artifacts": {"run": "string", "path": "string", "digest": "string", "size_bytes": "int64"},
    "models": {
        "model": "string",
        "version": "int64",
        "created_at": "time",
        "flavor": "string",
        "engine": "string",
        "run": "string",
        "aliases": "string",
    },
    "model_metrics": {"model": "string", "version": "int64", "key": "string", "value": "double"},
    "predictions": {
        "endpoint": "string",
        "id": "string",
        "model": "string",
        "role": "string",
        "event_time": "time",
        "served_at": "time",
        "inputs": "string",
        "outputs": "string",
        "truth": "string",
    },
    "events": {
        "seq": "int64",
        "time": "time",
        "kind": "string",
        "subject": "string",
        "actor": "string",
        "payload": "string",
    },
}
"""The tables that can be asked, with the kind of every column."""

MOST_ROWS = 100_000
_ENDS_OF_TIME = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_ROWS_AT_ONCE = 50_000
_Row = tuple[Any, ...]


def query(stores: Stores, sql: str, *, limit: int = MOST_ROWS) -> pa.Table:
    """Answer one SELECT over the tables of a workspace.

    Only the tables that the statement names are read. DuckDB runs in memory and may touch neither files nor network.

    Raises:
        InvalidInput: It is not one SELECT, or DuckDB refuses it.
        NotFound: It names a table that is not one of `TABLES`.
        LimitExceeded: It has more than `limit` rows.
    """
    import duckdb

    connection = duckdb.connect(":memory:", config={"enable_external_access": "false", "lock_configuration": "true"})
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise InvalidInput(
                "the workspace is asked by one SELECT at a time",
                why="it is read-only",
                fix="SELECT * FROM runs LIMIT 5",
            )
        for name in sorted(connection.get_table_names(sql)):
            if name not in TABLES:
                raise NotFound(f"there is no table '{name}'", why=did_you_mean(name, TABLES))
            connection.register(name, _table(stores, name))
        found: pa.Table = connection.sql(sql).to_arrow_table()
    except duckdb.Error as error:
        message = str(error).strip().partition("\n")[0]
        raise InvalidInput("the statement cannot be answered", why=message, fix="interlock run sql --tables") from error
    finally:
        connection.close()
    if found.num_rows > limit:
        raise LimitExceeded(f"the answer has {found.num_rows:,} rows", why=f"the limit is {limit:,}", fix="add a LIMIT")
    return found


def parts_of(stores: Stores, name: str) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Return the columns of one of `TABLES`, and its rows in parts that fit in memory."""
    import pyarrow as pa

    kinds = {"string": pa.string(), "double": pa.float64(), "int64": pa.int64(), "time": pa.timestamp("us", tz="UTC")}
    schema = pa.schema([(column, kinds[kind]) for column, kind in TABLES[name].items()])
    return schema, (
        pa.table([pa.array(side, type=one.type) for side, one in zip(sides, schema, strict=True)], schema=schema)
        for rows in _batches(_READERS[name](stores))
        for sides in [zip(*rows, strict=True)]
    )


def _table(stores: Stores, name: str) -> pa.Table:
    """Read one table whole."""
    import pyarrow as pa

    schema, parts = parts_of(stores, name)
    return pa.concat_tables([schema.empty_table(), *parts])


def _runs(stores: Stores) -> Iterator[_Row]:
    for run in all_runs(stores, lifecycle="active"):
        yield (
            run.id,
            run.experiment,
            run.kind,
            run.name,
            run.status,
            run.started_at,
            run.ended_at,
            run.parent,
            _text_or_none(run.environment.get("user")),
            _text_or_none(run.code.get("commit")),
            run.error,
        )


def _params(stores: Stores) -> Iterator[_Row]:
    for run in all_runs(stores, lifecycle="active"):
        for key, value in run.params.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            yield run.id, key, as_text(value), float(value) if is_number else _number(value)


def _tags(stores: Stores) -> Iterator[_Row]:
    for run in all_runs(stores, lifecycle="active"):
        yield from ((run.id, key, value) for key, value in run.tags.items())


def _metrics(stores: Stores) -> Iterator[_Row]:
    for run in all_runs(stores, lifecycle="active"):
        for key, one in run.metrics.items():
            yield run.id, key, one.last, one.first, one.min, one.max, one.mean, one.count, one.last_step


def _points(stores: Stores) -> Iterator[_Row]:
    for run in all_runs(stores, lifecycle="active"):
        for key in run.metrics:
            for point in stores.runs.history(run.id, key):
                yield run.id, key, point.step, from_micros(point.time), point.value


def _artifacts(stores: Stores) -> Iterator[_Row]:
    for run in all_runs(stores, lifecycle="active"):
        yield from ((run.id, one.path, one.digest, one.size_bytes) for one in stores.runs.artifacts(run.id))


def _versions(stores: Stores) -> Iterator[Any]:
    after = ""
    while latest := stores.models.models(after=after, limit=PAGE):
        for model in latest:
            before: int | None = None
            while versions := stores.models.versions(model.model, before=before, limit=PAGE):
                yield from versions
                before = versions[-1].version
        after = latest[-1].model


def _models(stores: Stores) -> Iterator[_Row]:
    aliases: dict[str, dict[str, int]] = {}
    for one in _versions(stores):
        known = aliases.setdefault(one.model, stores.models.aliases(one.model))
        names = ",".join(sorted(alias for alias, version in known.items() if version == one.version))
        yield one.model, one.version, one.created_at, one.flavor, one.engine, one.run, names


def _model_metrics(stores: Stores) -> Iterator[_Row]:
    for one in _versions(stores):
        yield from ((one.model, one.version, key, value) for key, value in one.metrics.items())


def _predictions(stores: Stores) -> Iterator[_Row]:
    start, end = _ENDS_OF_TIME
    after_name = ""
    while endpoints := stores.deployments.endpoints(after=after_name, limit=PAGE):
        for endpoint in endpoints:
            after: tuple[int, str] | None = None
            while page := stores.predictions.window(endpoint.name, start=start, end=end, after=after):
                for judged in page:
                    one = judged.prediction
                    yield (
                        endpoint.name,
                        one.id,
                        one.model,
                        one.role,
                        from_micros(one.event_time),
                        from_micros(one.served_at),
                        as_text(msgspec.to_builtins(one.inputs)),
                        as_text(msgspec.to_builtins(one.outputs)),
                        None if judged.feedback is None else as_text(msgspec.to_builtins(judged.feedback.truth)),
                    )
                last = page[-1].prediction
                after = last.event_time, last.id
        after_name = endpoints[-1].name


def _events(stores: Stores) -> Iterator[_Row]:
    after = 0
    while events := stores.journal.events(after=after, limit=PAGE):
        for one in events:
            yield one.seq, one.time, one.kind, one.subject, one.actor, as_text(one.payload)
        after = events[-1].seq


def _batches(rows: Iterator[_Row]) -> Iterator[list[_Row]]:
    while batch := list(islice(rows, _ROWS_AT_ONCE)):
        yield batch


def _text_or_none(value: Any) -> str | None:
    return None if value is None else as_text(value)


def _number(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


_READERS: dict[str, Callable[[Stores], Iterator[_Row]]] = {
    "runs": _runs,
    "params": _params,
    "tags": _tags,
    "metrics": _metrics,
    "points": _points,
    "artifacts": _artifacts,
    "models": _models,
    "model_metrics": _model_metrics,
    "predictions": _predictions,
    "events": _events,
}
