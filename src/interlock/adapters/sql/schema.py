"""Create the tables of a new database, and bring an older one up to date."""

from __future__ import annotations

import re

from interlock.adapters.sql import (
    artifact_store,
    dataset_store,
    deployment_store,
    experiment_store,
    feature_store,
    file_index,
    journal,
    label_store,
    lease_store,
    logged_model_store,
    model_records,
    model_store,
    monitor_store,
    prediction_log,
    record_store,
    run_store,
    step_cache,
    trace_store,
    trigger_store,
    webhook_store,
)
from interlock.adapters.sql.database import Database, Readable, Transaction
from interlock.core.clock import SystemClock, to_micros
from interlock.core.errors import Conflict, NewerSchema

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        *journal.SCHEMA,
        *experiment_store.SCHEMA,
        *run_store.SCHEMA,
        *dataset_store.SCHEMA,
        *label_store.SCHEMA,
        *model_store.SCHEMA,
        *model_records.SCHEMA,
        *logged_model_store.SCHEMA,
        *deployment_store.SCHEMA,
        *artifact_store.SCHEMA,
        *file_index.SCHEMA,
        *feature_store.SCHEMA,
        *prediction_log.SCHEMA,
        *monitor_store.SCHEMA,
        *trigger_store.SCHEMA,
        *lease_store.SCHEMA,
        *step_cache.SCHEMA,
        *trace_store.SCHEMA,
        *webhook_store.SCHEMA,
        *record_store.SCHEMA,
    ),
)
"""Statements of version 1, 2, 3 …; a released version is never edited, only followed by the next."""

VERSION = len(MIGRATIONS)

_VERSIONS = "CREATE TABLE schema_versions (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL)"


def migrate(database: Database) -> int:
    """Bring the database to this code's version, in one transaction; return the version it had before.

    Raises:
        NewerSchema: The database was written by a newer version of Interlock.
        Conflict: It holds tables of another program under names that Interlock needs.
    """
    found = current_version(database, database)
    if found == VERSION:
        return found
    _refuse_newer(found)
    with database.write() as tx:
        # asked again, for another process may have been quicker
        found = current_version(database, tx)
        _refuse_newer(found)
        if found == 0:
            _refuse_foreign(database, tx)
            tx.execute(database.dialect.schema(_VERSIONS))
        for version, statements in enumerate(MIGRATIONS[found:], start=found + 1):
            for statement in statements:
                tx.execute(database.dialect.schema(statement))
            tx.execute(
                "INSERT INTO schema_versions (version, applied_at) VALUES (?, ?)",
                (version, to_micros(SystemClock().now())),
            )
    return found


def current_version(database: Database, source: Readable) -> int:
    """Return the schema version of a database, 0 where it has no tables of ours yet."""
    if "schema_versions" not in _tables(database, source):
        return 0
    row = source.one("SELECT MAX(version) FROM schema_versions")
    return int(row[0]) if row and row[0] is not None else 0


def _tables(database: Database, source: Readable) -> set[str]:
    return {str(name) for (name,) in source.query(database.dialect.list_tables)}


def _refuse_newer(found: int) -> None:
    if found > VERSION:
        raise NewerSchema(
            f"this workspace has schema version {found}, and this Interlock knows up to {VERSION}",
            why="a newer version of Interlock wrote to it",
            fix="pip install --upgrade interlock",
        )


def _refuse_foreign(database: Database, tx: Transaction) -> None:
    ours = {name for version in MIGRATIONS for text in version for name in re.findall(r"CREATE TABLE (\w+)", text)}
    taken = sorted(ours & _tables(database, tx))
    if taken:
        raise Conflict(
            f"this database already has a table '{taken[0]}'",
            why="it belongs to another program: it holds no schema version of Interlock",
            fix="choose an empty folder, or for PostgreSQL a schema of its own: ?options=-csearch_path%3Dinterlock",
        )
