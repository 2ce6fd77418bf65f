"""Keep experiments in SQL."""

from __future__ import annotations

from typing import Any

from interlock.adapters.sql import metric_series
from interlock.adapters.sql.database import Database, Readable, Transaction
from interlock.adapters.sql.experiment_search import search_experiments
from interlock.core.clock import from_micros, to_micros
from interlock.core.refs import check_title, ref_of
from interlock.ports.checks import check_limit, check_tags, check_text, unknown_name
from interlock.ports.experiment_rules import DEFAULT, changed, name_taken, still_active
from interlock.ports.experiment_store import Experiment, ExperimentChange, ExperimentPage, ExperimentStore
from interlock.ports.search import Filter, Lifecycle, OrderBy

SCHEMA = (
    """CREATE TABLE experiments (
        seq AUTOSEQ, id INTEGER UNIQUE, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, updated INTEGER NOT NULL,
        deleted INTEGER, artifact_root TEXT NOT NULL)""",
    """CREATE TABLE experiment_tags (
        experiment INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (experiment, key))""",
)

_COLUMNS = "id, name, created, updated, deleted, artifact_root"
_OF_RUNS = (
    "run_params",
    "run_tags",
    "run_artifacts",
    "run_datasets",
    "run_models",
    "step_nodes",
    *metric_series.TABLES,
)
_KNOWN_SHOWN = 1000


class SqlExperimentStore(ExperimentStore):
    """Experiments in SQL: a row each, and a row for each tag."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, *, tags: dict[str, str] | None = None, artifact_root: str = "") -> Experiment:
        check_title(name, of="experiment")
        check_tags(tags or {})
        check_text(artifact_root, of="artifact root of an experiment")
        with self._database.write() as tx:
            known = _find(tx, "name = ?", name)
            if known is not None:
                raise name_taken(known)
            return add(tx, self._database, name, tags or {}, artifact_root)

    def ensure(self, name: str) -> Experiment:
        check_title(name, of="experiment")
        found = self.find(name)
        if found is not None:
            return found
        with self._database.write() as tx:
            return ensure(tx, self._database, name)

    def get(self, experiment_id: int) -> Experiment:
        return _get(self._database, experiment_id)

    def find(self, name: str) -> Experiment | None:
        return _find(self._database, "name = ?", name)

    def update(self, experiment_id: int, change: ExperimentChange) -> Experiment:
        with self._database.write() as tx:
            before = _get(tx, experiment_id)
            if change.name not in (None, before.name):
                other = _find(tx, "name = ?", change.name)
                if other is not None:
                    raise name_taken(other)
            after, what = changed(before, change, now=self._database.clock.now())
            if what is not None:
                _write(tx, before, after)
                tx.event(f"experiment.{what}", ref_of("experiment", after.name))
        return after

    def experiments(self, *, after: str = "", limit: int = 100) -> list[Experiment]:
        return _read(self._database, "name > ? AND deleted IS NULL ORDER BY name LIMIT ?", [after, check_limit(limit)])

    def search(
        self,
        *,
        where: Filter | None = None,
        order: tuple[OrderBy, ...] = (),
        lifecycle: Lifecycle = "active",
        limit: int = 1000,
        after: str | None = None,
    ) -> ExperimentPage:
        ids, following = search_experiments(
            self._database, where=where, order=order, lifecycle=lifecycle, limit=limit, after=after
        )
        marks = ", ".join("?" * len(ids))
        found = {one.id: one for one in _read(self._database, f"id IN ({marks})", ids)} if ids else {}
        return ExperimentPage(tuple(found[one] for one in ids if one in found), following)

    def delete(self, experiment_id: int) -> int:
        with self._database.write() as tx:
            known = _get(tx, experiment_id)
            if known.deleted_at is None:
                raise still_active(known)
            runs = "SELECT id FROM runs WHERE experiment = ?"
            for table in _OF_RUNS:
                tx.execute(f"DELETE FROM {table} WHERE run IN ({runs})", (experiment_id,))
            gone = tx.execute("DELETE FROM runs WHERE experiment = ?", (experiment_id,))
            tx.execute("DELETE FROM experiment_tags WHERE experiment = ?", (experiment_id,))
            tx.execute("DELETE FROM experiments WHERE id = ?", (experiment_id,))
        return gone


def ensure(tx: Transaction, database: Database, name: str) -> Experiment:
    """Return the experiment of a name, created in this transaction if there is none."""
    return _find(tx, "name = ?", name) or add(tx, database, name, {}, "")


def add(tx: Transaction, database: Database, name: str, tags: dict[str, str], artifact_root: str) -> Experiment:
    """Create an experiment whose name is free."""
    now = database.clock.now()
    moment = to_micros(now)
    row = tx.one(
        "INSERT INTO experiments (name, created, updated, artifact_root) VALUES (?, ?, ?, ?) RETURNING seq",
        (name, moment, moment, artifact_root),
    )
    assert row is not None
    is_default = name == DEFAULT and tx.one("SELECT 1 FROM experiments WHERE id = 0") is None
    number = 0 if is_default else int(row[0])
    tx.execute("UPDATE experiments SET id = ? WHERE seq = ?", (number, row[0]))
    _set_tags(tx, number, tags)
    tx.event("experiment.created", ref_of("experiment", name))
    return Experiment(number, name, from_micros(moment), from_micros(moment), dict(tags), None, artifact_root)


def _write(tx: Transaction, before: Experiment, after: Experiment) -> None:
    deleted = None if after.deleted_at is None else to_micros(after.deleted_at)
    tx.execute(
        "UPDATE experiments SET name = ?, updated = ?, deleted = ? WHERE id = ?",
        (after.name, to_micros(after.updated_at), deleted, after.id),
    )
    for key in before.tags.keys() - after.tags.keys():
        tx.execute("DELETE FROM experiment_tags WHERE experiment = ? AND key = ?", (after.id, key))
    _set_tags(tx, after.id, {key: value for key, value in after.tags.items() if before.tags.get(key) != value})
    if before.deleted_at is None and deleted is not None:
        tx.execute(
            "UPDATE runs SET deleted = ?, went_along = 1 WHERE experiment = ? AND deleted IS NULL", (deleted, after.id)
        )
    elif before.deleted_at is not None and deleted is None:
        tx.execute(
            "UPDATE runs SET deleted = NULL, went_along = NULL WHERE experiment = ? AND went_along = 1", (after.id,)
        )


def _set_tags(tx: Transaction, experiment_id: int, tags: dict[str, str]) -> None:
    tx.many(
        """INSERT INTO experiment_tags (experiment, key, value) VALUES (?, ?, ?)
           ON CONFLICT (experiment, key) DO UPDATE SET value = excluded.value""",
        [(experiment_id, *tag) for tag in tags.items()],
    )


def _get(source: Readable, experiment_id: int) -> Experiment:
    found = _find(source, "id = ?", experiment_id)
    if found is None:
        known = source.query("SELECT id FROM experiments ORDER BY id DESC LIMIT ?", (_KNOWN_SHOWN,))
        raise unknown_name("experiment with the id", str(experiment_id), (str(one) for (one,) in known))
    return found


def _find(source: Readable, condition: str, value: Any) -> Experiment | None:
    found = _read(source, condition, [value])
    return found[0] if found else None


def _read(source: Readable, condition: str, params: list[Any]) -> list[Experiment]:
    # one statement, and so one moment
    rows = source.query(
        f"""WITH page AS (SELECT {_COLUMNS} FROM experiments WHERE {condition})
            SELECT {_COLUMNS}, key, value FROM page LEFT JOIN experiment_tags ON experiment = id ORDER BY name, key""",
        params,
    )
    found: dict[int, Experiment] = {}
    for number, name, created, updated, deleted, root, key, value in rows:
        if number not in found:
            gone = None if deleted is None else from_micros(deleted)
            found[number] = Experiment(number, name, from_micros(created), from_micros(updated), {}, gone, root)
        if key is not None:
            found[number].tags[key] = value
    return list(found.values())
