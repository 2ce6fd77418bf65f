"""Keep experiments and runs in SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from interlock.adapters.sql import metric_series
from interlock.adapters.sql.database import Database, Readable, Transaction, encode
from interlock.core.clock import aware
from interlock.core.errors import Conflict
from interlock.core.plain import pack, unpack
from interlock.core.refs import check_name
from interlock.ports.checks import check_limit, check_tags, pointed_at, unknown_name
from interlock.ports.journal import Edge
from interlock.ports.metric_columns import by_key
from interlock.ports.record_checks import check_batch, check_new_run, check_status
from interlock.ports.run_store import (
    ArtifactEntry,
    Experiment,
    MetricPoint,
    MetricSummary,
    Run,
    RunBatch,
    RunFilter,
    RunStatus,
    RunStore,
)

SCHEMA = (
    "CREATE TABLE experiments (name TEXT PRIMARY KEY, record BLOB NOT NULL)",
    """CREATE TABLE runs (
        id TEXT PRIMARY KEY, experiment TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL, parent TEXT,
        record BLOB NOT NULL)""",
    "CREATE INDEX runs_experiment ON runs (experiment, id)",
    "CREATE INDEX runs_kind ON runs (kind, id)",
    "CREATE INDEX runs_parent ON runs (parent, id)",
    "CREATE TABLE run_params (run TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (run, key))",
    "CREATE TABLE run_tags (run TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run, key))",
    """CREATE TABLE run_artifacts (
        run TEXT NOT NULL, path TEXT NOT NULL, digest TEXT NOT NULL, size_bytes INTEGER NOT NULL,
        PRIMARY KEY (run, path))""",
    *metric_series.SCHEMA,
)

# one statement, and so one moment: a reader never sees half of a batch
_PAGE = """WITH page AS (SELECT id FROM runs WHERE {where} ORDER BY id DESC LIMIT ?)
    SELECT 'run', id, '', '', record FROM runs WHERE id IN (SELECT id FROM page)
    UNION ALL SELECT 'param', run, key, '', value FROM run_params WHERE run IN (SELECT id FROM page)
    UNION ALL SELECT 'tag', run, key, value, NULL FROM run_tags WHERE run IN (SELECT id FROM page)
    UNION ALL SELECT 'metric', run, key, '', state FROM run_metrics WHERE run IN (SELECT id FROM page)"""
_KNOWN_IDS_SHOWN = 20

_decode_run = msgspec.msgpack.Decoder(Run).decode
_decode_experiment = msgspec.msgpack.Decoder(Experiment).decode


class SqlRunStore(RunStore):
    """Runs in SQL: a row for what is set once or at the end, and rows by key for what is logged."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_experiment(self, name: str, *, tags: dict[str, str] | None = None) -> Experiment:
        check_name(name, of="experiment")
        check_tags(tags or {})
        with self._database.write() as tx:
            return self._ensure_experiment(tx, name, tags or {})

    def experiments(self, *, after: str = "", limit: int = 100) -> list[Experiment]:
        rows = self._database.query(
            "SELECT record FROM experiments WHERE name > ? ORDER BY name LIMIT ?", (after, check_limit(limit))
        )
        return [_decode_experiment(record) for (record,) in rows]

    def create(self, run: Run, *, edges: Sequence[Edge] = ()) -> Run:
        check_new_run(run)
        ref = f"run:{run.id}"
        record = encode(msgspec.structs.replace(run, params={}, tags={}))
        params = {key: pack(value) for key, value in run.params.items()}
        links = pointed_at(edges, ref)
        with self._database.write() as tx:
            if tx.one("SELECT 1 FROM runs WHERE id = ?", (run.id,)):
                raise Conflict(f"{ref} exists", why="an id is used once", fix="use a new id: new_id()")
            if run.parent is not None:
                self._check_known(tx, run.parent)
                links.append(Edge(f"run:{run.parent}", ref, "contains"))
            self._ensure_experiment(tx, run.experiment, {})
            tx.execute(
                "INSERT INTO runs (id, experiment, kind, status, parent, record) VALUES (?, ?, ?, ?, ?, ?)",
                (run.id, run.experiment, run.kind, run.status, run.parent, record),
            )
            _insert_params(tx, run.id, params)
            _set_tags(tx, run.id, run.tags)
            payload = {"experiment": run.experiment, "kind": run.kind, "name": run.name}
            tx.event("run.started", ref, payload, edges=links)
            return self._get(tx, run.id)

    def get(self, run_id: str) -> Run:
        return self._get(self._database, run_id)

    def end(self, run_id: str, *, status: RunStatus, ended_at: datetime, error: str | None = None) -> Run:
        check_status(status)
        moment = aware(ended_at)
        reopened = status == "running"
        with self._database.write() as tx:
            self._check_known(tx, run_id)
            row = tx.one("SELECT record FROM runs WHERE id = ?", (run_id,))
            assert row is not None
            before = _decode_run(row[0])
            after = msgspec.structs.replace(
                before,
                status=status,
                ended_at=None if reopened else moment,
                error=None if reopened else error,
            )
            if after != before:
                tx.execute("UPDATE runs SET status = ?, record = ? WHERE id = ?", (status, encode(after), run_id))
                payload = {"experiment": after.experiment, "kind": after.kind, "name": after.name}
                if after.error is not None:
                    payload["error"] = after.error
                tx.event("run.started" if reopened else f"run.{status}", f"run:{run_id}", payload)
            ended = self._get(tx, run_id)
        if not reopened:
            metric_series.compact(self._database, run_id)
        return ended

    def runs(
        self,
        *,
        where: RunFilter = RunFilter(),  # noqa: B008 (frozen)
        before: str | None = None,
        limit: int = 100,
    ) -> list[Run]:
        condition, params = _matching(where)
        if before is not None:
            condition += " AND id < ?"
            params.append(before)
        return _read_page(self._database, condition, [*params, check_limit(limit)])

    def count(self, *, where: RunFilter = RunFilter()) -> int:  # noqa: B008 (frozen)
        condition, params = _matching(where)
        row = self._database.one(f"SELECT COUNT(*) FROM runs WHERE {condition}", params)
        assert row is not None
        return int(row[0])

    def log(self, run_id: str, batch: RunBatch) -> None:
        check_batch(batch)
        columns = by_key(batch.metrics)
        params = {key: pack(value) for key, value in batch.params.items()}
        with self._database.write() as tx:
            self._check_known(tx, run_id)
            _insert_params(tx, run_id, _without_known_params(tx, run_id, params))
            _set_tags(tx, run_id, batch.tags)
            tx.many(
                """INSERT INTO run_artifacts (run, path, digest, size_bytes) VALUES (?, ?, ?, ?)
                   ON CONFLICT (run, path) DO UPDATE SET digest = excluded.digest, size_bytes = excluded.size_bytes""",
                [(run_id, one.path, one.digest, one.size_bytes) for one in batch.artifacts],
            )
            metric_series.append(tx, run_id, columns)
            tx.link(pointed_at(batch.edges, f"run:{run_id}"))

    def history(self, run_id: str, key: str) -> list[MetricPoint]:
        points = metric_series.history(self._database, run_id, key)
        if not points:
            self._check_known(self._database, run_id)
        return points

    def artifacts(self, run_id: str) -> list[ArtifactEntry]:
        self._check_known(self._database, run_id)
        rows = self._database.query(
            "SELECT path, digest, size_bytes FROM run_artifacts WHERE run = ? ORDER BY path", (run_id,)
        )
        return [ArtifactEntry(*row) for row in rows]

    def _ensure_experiment(self, tx: Transaction, name: str, tags: dict[str, str]) -> Experiment:
        row = tx.one("SELECT record FROM experiments WHERE name = ?", (name,))
        if row is not None:
            return _decode_experiment(row[0])
        experiment = Experiment(name, self._database.clock.now(), dict(tags))
        tx.execute("INSERT INTO experiments (name, record) VALUES (?, ?)", (name, encode(experiment)))
        tx.event("experiment.created", f"experiment:{name}")
        return experiment

    def _get(self, source: Readable, run_id: str) -> Run:
        found = _read_page(source, "id = ?", [run_id, 1])
        if not found:
            self._check_known(source, run_id)
        return found[0]

    def _check_known(self, source: Readable, run_id: str) -> None:
        if source.one("SELECT 1 FROM runs WHERE id = ?", (run_id,)) is None:
            newest = source.query("SELECT id FROM runs ORDER BY id DESC LIMIT ?", (_KNOWN_IDS_SHOWN,))
            raise unknown_name("run", run_id, (one[0] for one in newest))


def _matching(where: RunFilter) -> tuple[str, list[Any]]:
    columns = {"experiment": where.experiment, "kind": where.kind, "status": where.status, "parent": where.parent}
    given = {column: value for column, value in columns.items() if value is not None}
    conditions = ["1 = 1", *(f"{column} = ?" for column in given)]
    params: list[Any] = list(given.values())
    for tag in where.tags.items():
        conditions.append("EXISTS (SELECT 1 FROM run_tags WHERE run = runs.id AND key = ? AND value = ?)")
        params += tag
    return " AND ".join(conditions), params


def _read_page(source: Readable, where: str, params: Sequence[Any]) -> list[Run]:
    records: dict[str, bytes] = {}
    logged: dict[tuple[str, str], dict[str, Any]] = {}
    for part, run, key, text, data in source.query(_PAGE.format(where=where), params):
        if part == "run":
            records[run] = data
        else:
            logged.setdefault((part, run), {})[key] = _value(part, key, text, data)
    return [
        msgspec.structs.replace(
            _decode_run(records[run]),
            params=logged.get(("param", run), {}),
            tags=logged.get(("tag", run), {}),
            metrics=logged.get(("metric", run), {}),
        )
        for run in sorted(records, reverse=True)
    ]


def _value(part: str, key: str, text: str, data: bytes) -> Any:
    if part == "param":
        return unpack(data)
    if part == "tag":
        return text
    summary: MetricSummary = metric_series.decode_state(data).summary(key)
    return summary


def _without_known_params(tx: Transaction, run_id: str, params: Mapping[str, bytes]) -> dict[str, bytes]:
    if not params:
        return {}
    known: dict[str, bytes] = dict(tx.query("SELECT key, value FROM run_params WHERE run = ?", (run_id,)))
    for key, value in params.items():
        if known.get(key, value) != value:
            raise Conflict(
                f"param '{key}' of run:{run_id} is set",
                why=f"it is {unpack(known[key])!r}, and was to become {unpack(value)!r}",
                fix="start a new run for other params",
            )
    return {key: value for key, value in params.items() if key not in known}


def _insert_params(tx: Transaction, run_id: str, params: Mapping[str, bytes]) -> None:
    rows: Iterable[Sequence[Any]] = [(run_id, key, value) for key, value in params.items()]
    tx.many("INSERT INTO run_params (run, key, value) VALUES (?, ?, ?)", rows)


def _set_tags(tx: Transaction, run_id: str, tags: Mapping[str, str]) -> None:
    tx.many(
        """INSERT INTO run_tags (run, key, value) VALUES (?, ?, ?)
           ON CONFLICT (run, key) DO UPDATE SET value = excluded.value""",
        [(run_id, key, value) for key, value in tags.items()],
    )
