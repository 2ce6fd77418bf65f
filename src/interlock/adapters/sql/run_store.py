"""Keep runs in SQL: what is set once or at the end in a row, and what is logged in rows by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from interlock.adapters.numpy.sampling import check_sampling
from interlock.adapters.sql import experiment_store, metric_series
from interlock.adapters.sql.database import Database, Readable, Transaction, encode
from interlock.adapters.sql.run_reading import read_page, read_runs, rest_of
from interlock.adapters.sql.run_search import search_runs
from interlock.core.clock import aware, from_micros, to_micros
from interlock.core.errors import Conflict
from interlock.core.plain import as_text, pack, unpack
from interlock.ports.checks import check_limit, pointed_at, unknown_name
from interlock.ports.journal import Edge
from interlock.ports.metric_columns import by_key
from interlock.ports.record_checks import check_batch, check_new_run, check_status
from interlock.ports.run_rules import (
    changed,
    check_in_use,
    check_run_change,
    ended,
    is_below,
    param_conflict,
    still_active,
)
from interlock.ports.run_store import (
    ArtifactEntry,
    DatasetUse,
    MetricPoint,
    ModelUse,
    Run,
    RunBatch,
    RunChange,
    RunFilter,
    RunPage,
    RunStatus,
    RunStore,
    Sampling,
    Series,
)
from interlock.ports.search import Filter, Lifecycle, OrderBy
from interlock.ports.search_order import cut, stored

_ASKED = "deleted, status, kind, name, user_name, parent, ended"
# of long texts the beginning is kept to search by, and the whole beside it; each row of a run has its start, by which
# an index can order what it finds
SCHEMA = (
    """CREATE TABLE runs (
        id TEXT PRIMARY KEY, experiment INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
        parent TEXT, user_name TEXT, started INTEGER NOT NULL, ended INTEGER, deleted INTEGER,
        went_along INTEGER, long_name TEXT, record BLOB NOT NULL)""",
    # all that a search asks of a run itself is in both, so that it reads no rows to look for few among many
    f"CREATE INDEX runs_of_experiment ON runs (experiment, started DESC, id, {_ASKED})",
    f"CREATE INDEX runs_by_start ON runs (started DESC, id, experiment, {_ASKED})",
    "CREATE INDEX runs_kind ON runs (kind, id)",
    "CREATE INDEX runs_parent ON runs (parent, id)",
    """CREATE TABLE run_params (
        run TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, text TEXT NOT NULL, started INTEGER NOT NULL,
        long_text TEXT, PRIMARY KEY (run, key)) WITHOUT ROWID""",
    "CREATE INDEX run_params_text ON run_params (key, text, started DESC, run)",
    "CREATE INDEX run_params_long ON run_params (key, started DESC, run) WHERE long_text IS NOT NULL",
    """CREATE TABLE run_tags (
        run TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, started INTEGER NOT NULL, long_value TEXT,
        PRIMARY KEY (run, key)) WITHOUT ROWID""",
    "CREATE INDEX run_tags_value ON run_tags (key, value, started DESC, run)",
    "CREATE INDEX run_tags_long ON run_tags (key, started DESC, run) WHERE long_value IS NOT NULL",
    """CREATE TABLE run_artifacts (
        run TEXT NOT NULL, path TEXT NOT NULL, digest TEXT NOT NULL, size_bytes INTEGER NOT NULL,
        PRIMARY KEY (run, path))""",
    """CREATE TABLE run_datasets (
        run TEXT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, context TEXT NOT NULL,
        started INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (run, name, digest))""",
    "CREATE INDEX run_datasets_name ON run_datasets (name, started DESC, run, digest, context)",
    """CREATE TABLE run_models (
        run TEXT NOT NULL, position INTEGER NOT NULL, model TEXT NOT NULL, role TEXT NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (run, model, role))""",
    *metric_series.SCHEMA,
)
_OF_A_RUN = (
    "run_params",
    "run_tags",
    "run_artifacts",
    "run_datasets",
    "run_models",
    "step_nodes",
    *metric_series.TABLES,
)
_KNOWN_IDS_SHOWN = 20


class SqlRunStore(RunStore):
    """Runs in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, run: Run, *, edges: Sequence[Edge] = ()) -> Run:
        check_new_run(run)
        params = {key: pack(value) for key, value in run.params.items()}
        links = pointed_at(edges, f"run:{run.id}")
        user = run.environment.get("user")
        started = to_micros(run.started_at)
        with self._database.write() as tx:
            if tx.one("SELECT 1 FROM runs WHERE id = ?", (run.id,)):
                raise Conflict(f"run:{run.id} exists", why="an id is used once", fix="use a new id: new_id()")
            if run.parent is not None:
                self._check_known(tx, run.parent)
                links.append(Edge(f"run:{run.parent}", f"run:{run.id}", "contains"))
            experiment = experiment_store.ensure(tx, self._database, run.experiment)
            check_in_use(experiment)
            tx.execute(
                """INSERT INTO runs
                       (id, experiment, kind, name, long_name, status, parent, user_name, started, record)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (
                    run.id,
                    experiment.id,
                    run.kind,
                    *stored(run.name),
                    run.status,
                    run.parent,
                    cut(user) if isinstance(user, str) else None,
                    started,
                    rest_of(run),
                ),
            )
            _insert_params(tx, run.id, started, params, run.params)
            _set_tags(tx, run.id, started, run.tags)
            _add_uses(tx, run.id, started, run.datasets, run.models)
            payload = {"experiment": run.experiment, "kind": run.kind, "name": run.name}
            tx.event("run.started", f"run:{run.id}", payload, edges=links)
            return self._get(tx, run.id)

    def get(self, run_id: str) -> Run:
        return self._get(self._database, run_id)

    def end(self, run_id: str, *, status: RunStatus, ended_at: datetime, error: str | None = None) -> Run:
        check_status(status)
        moment = from_micros(to_micros(aware(ended_at)))
        with self._database.write() as tx:
            before = self._get(tx, run_id)
            check_in_use(before)
            after, told = ended(before, status=status, ended_at=moment, error=error)
            if told is not None:
                over = None if after.ended_at is None else to_micros(after.ended_at)
                tx.execute(
                    "UPDATE runs SET status = ?, ended = ?, record = ? WHERE id = ?",
                    (status, over, rest_of(after), run_id),
                )
                tx.event(f"run.{told.what}", f"run:{run_id}", told.payload)
        if after.ended_at is not None:
            metric_series.compact(self._database, run_id)
        return after

    def update(self, run_id: str, change: RunChange) -> Run:
        check_run_change(change)
        with self._database.write() as tx:
            before = self._get(tx, run_id)
            after, events = changed(before, change, now=self._database.clock.now())
            experiment = experiment_store.ensure(tx, self._database, after.experiment)
            if after.experiment != before.experiment or (before.deleted_at and not after.deleted_at):
                check_in_use(experiment)
            deleted = None if after.deleted_at is None else to_micros(after.deleted_at)
            tx.execute(
                "UPDATE runs SET name = ?, long_name = ?, experiment = ?, deleted = ?, went_along = NULL WHERE id = ?",
                (*stored(after.name), experiment.id, deleted, run_id),
            )
            tx.many("DELETE FROM run_tags WHERE run = ? AND key = ?", [(run_id, key) for key in change.remove_tags])
            _remove_artifacts(tx, run_id, change.remove_artifacts)
            for told in events:
                tx.event(f"run.{told.what}", f"run:{run_id}", told.payload)
        return after

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
        with self._database.snapshot() as view:
            sql = f"SELECT id FROM runs WHERE {condition} ORDER BY id DESC LIMIT ?"
            return read_page(view, [run for (run,) in view.query(sql, [*params, check_limit(limit)])])

    def search(
        self,
        *,
        experiments: tuple[str, ...] = (),
        where: Filter | None = None,
        order: tuple[OrderBy, ...] = (),
        lifecycle: Lifecycle = "active",
        limit: int = 1000,
        after: str | None = None,
    ) -> RunPage:
        with self._database.snapshot() as view:
            ids, following = search_runs(
                view,
                self._database.dialect,
                experiments=experiments,
                where=where,
                order=order,
                lifecycle=lifecycle,
                limit=limit,
                after=after,
            )
            return RunPage(tuple(read_page(view, ids)), following)

    def count(self, *, where: RunFilter = RunFilter()) -> int:  # noqa: B008 (frozen)
        condition, params = _matching(where)
        row = self._database.one(f"SELECT COUNT(*) FROM runs WHERE {condition}", params)
        assert row is not None
        return int(row[0])

    def log(self, run_id: str, batch: RunBatch) -> None:
        check_batch(batch)
        columns = by_key(batch.metrics, batch.series)
        params = {key: pack(value) for key, value in batch.params.items()}
        with self._database.write() as tx:
            started = self._start_of_open(tx, run_id)
            _insert_params(tx, run_id, started, _without_known_params(tx, run_id, params), batch.params)
            _set_tags(tx, run_id, started, batch.tags)
            tx.many(
                """INSERT INTO run_artifacts (run, path, digest, size_bytes) VALUES (?, ?, ?, ?)
                   ON CONFLICT (run, path) DO UPDATE SET digest = excluded.digest, size_bytes = excluded.size_bytes""",
                [(run_id, one.path, one.digest, one.size_bytes) for one in batch.artifacts],
            )
            _add_uses(tx, run_id, started, batch.datasets, batch.models)
            metric_series.append(tx, run_id, columns, started=started)
            tx.link(pointed_at(batch.edges, f"run:{run_id}"))

    def history(self, run_id: str, key: str) -> list[MetricPoint]:
        points = metric_series.history(self._database, run_id, key)
        if not points:
            self._check_known(self._database, run_id)
        return points

    def sampled(self, run_id: str, key: str, *, points: int = 2000, by: Sampling = "minmax") -> Series:
        check_sampling(points, by)
        self._check_known(self._database, run_id)
        return metric_series.sampled(self._database, run_id, key, points=points, by=by)

    def artifacts(self, run_id: str) -> list[ArtifactEntry]:
        self._check_known(self._database, run_id)
        rows = self._database.query(
            "SELECT path, digest, size_bytes FROM run_artifacts WHERE run = ? ORDER BY path", (run_id,)
        )
        return [ArtifactEntry(*row) for row in rows]

    def delete(self, run_id: str) -> bool:
        with self._database.write() as tx:
            found = read_runs(tx, "id = ?", [run_id])
            if not found:
                return False
            run = found[run_id]
            if run.deleted_at is None:
                raise still_active(run)
            for table in _OF_A_RUN:
                tx.execute(f"DELETE FROM {table} WHERE run = ?", (run_id,))
            tx.execute("DELETE FROM runs WHERE id = ?", (run_id,))
            tx.event("run.purged", f"run:{run_id}", {"experiment": run.experiment})
        return True

    def _get(self, source: Readable, run_id: str) -> Run:
        found = read_runs(source, "id = ?", [run_id])
        if not found:
            self._check_known(source, run_id)
        return found[run_id]

    def _check_known(self, source: Readable, run_id: str) -> None:
        if source.one("SELECT 1 FROM runs WHERE id = ?", (run_id,)) is None:
            newest = source.query("SELECT id FROM runs ORDER BY id DESC LIMIT ?", (_KNOWN_IDS_SHOWN,))
            raise unknown_name("run", run_id, (one[0] for one in newest))

    def _start_of_open(self, source: Readable, run_id: str) -> int:
        row = source.one("SELECT deleted, started FROM runs WHERE id = ?", (run_id,))
        if row is None or row[0] is not None:
            check_in_use(self._get(source, run_id))
        assert row is not None
        return int(row[1])


def _matching(where: RunFilter) -> tuple[str, list[Any]]:
    columns = {"kind": where.kind, "status": where.status, "parent": where.parent}
    given = {column: value for column, value in columns.items() if value is not None}
    conditions = ["deleted IS NULL", *(f"{column} = ?" for column in given)]
    params: list[Any] = list(given.values())
    if where.experiment is not None:
        conditions.append("experiment = (SELECT id FROM experiments WHERE name = ?)")
        params.append(where.experiment)
    for key, value in where.tags.items():
        conditions.append("EXISTS (SELECT 1 FROM run_tags WHERE run = runs.id AND key = ? AND value = ?)")
        params += (key, cut(value))
    return " AND ".join(conditions), params


def _without_known_params(tx: Transaction, run_id: str, params: Mapping[str, bytes]) -> dict[str, bytes]:
    if not params:
        return {}
    known: dict[str, bytes] = dict(tx.query("SELECT key, value FROM run_params WHERE run = ?", (run_id,)))
    for key, value in params.items():
        if known.get(key, value) != value:
            raise param_conflict(run_id, key, unpack(known[key]), unpack(value))
    return {key: value for key, value in params.items() if key not in known}


def _insert_params(
    tx: Transaction, run_id: str, started: int, params: Mapping[str, bytes], plain: Mapping[str, Any]
) -> None:
    rows = [(run_id, key, value, started, *stored(as_text(plain[key]))) for key, value in params.items()]
    tx.many("INSERT INTO run_params (run, key, value, started, text, long_text) VALUES (?, ?, ?, ?, ?, ?)", rows)


def _set_tags(tx: Transaction, run_id: str, started: int, tags: Mapping[str, str]) -> None:
    tx.many(
        """INSERT INTO run_tags (run, key, started, value, long_value) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (run, key) DO UPDATE SET value = excluded.value, long_value = excluded.long_value""",
        [(run_id, key, started, *stored(value)) for key, value in tags.items()],
    )


def _add_uses(
    tx: Transaction, run_id: str, started: int, datasets: Sequence[DatasetUse], models: Sequence[ModelUse]
) -> None:
    if datasets:
        start = _count(tx, "run_datasets", run_id)
        tx.many(
            """INSERT INTO run_datasets (run, position, started, name, digest, context, record)
               VALUES (?, ?, ?, ?, ?, ?, ?)
               ON CONFLICT (run, name, digest) DO UPDATE SET context = excluded.context, record = excluded.record""",
            [
                (run_id, place, started, cut(one.name), cut(one.digest), cut(one.context), encode(one))
                for place, one in enumerate(datasets, start)
            ],
        )
    if models:
        start = _count(tx, "run_models", run_id)
        tx.many(
            """INSERT INTO run_models (run, position, model, role, record) VALUES (?, ?, ?, ?, ?)
               ON CONFLICT (run, model, role) DO UPDATE SET record = excluded.record""",
            [(run_id, place, one.model, one.role, encode(one)) for place, one in enumerate(models, start)],
        )


def _count(tx: Transaction, table: str, run_id: str) -> int:
    row = tx.one(f"SELECT COUNT(*) FROM {table} WHERE run = ?", (run_id,))
    assert row is not None
    return int(row[0])


def _remove_artifacts(tx: Transaction, run_id: str, prefixes: Sequence[str]) -> None:
    if not prefixes:
        return
    paths = [str(path) for (path,) in tx.query("SELECT path FROM run_artifacts WHERE run = ?", (run_id,))]
    gone = [path for path in paths if any(is_below(path, prefix) for prefix in prefixes)]
    tx.many("DELETE FROM run_artifacts WHERE run = ? AND path = ?", [(run_id, path) for path in gone])
