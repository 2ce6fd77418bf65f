"""New, older, newer and foreign databases."""

from __future__ import annotations

import pytest

from interlock.adapters.sql import schema
from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import Dialect
from interlock.adapters.sql.journal import SqlJournal
from interlock.adapters.sql.schema import MIGRATIONS, VERSION, current_version, migrate
from interlock.core.errors import Conflict, NewerSchema
from tests.unit.adapters.sql.conftest import Opener


def tables(database: Database) -> set[str]:
    return {name for (name,) in database.query(database.dialect.list_tables)}


@pytest.fixture
def database(dialect: Dialect, opened: Opener) -> Database:
    return opened(dialect)


def test_a_new_database_gets_every_table_once(database: Database) -> None:
    assert current_version(database, database) == 0
    assert migrate(database) == 0
    assert current_version(database, database) == VERSION
    made = tables(database)
    assert {"events", "edges", "runs", "snapshots", "annotations", "model_versions", "endpoint_revisions"} <= made
    assert migrate(database) == VERSION
    assert tables(database) == made


def test_a_newer_database_is_refused_and_left_alone(database: Database) -> None:
    migrate(database)
    with database.write() as tx:
        tx.execute("INSERT INTO schema_versions (version, applied_at) VALUES (?, 0)", (VERSION + 1,))
    before = database.query("SELECT * FROM schema_versions ORDER BY version")
    with pytest.raises(NewerSchema) as raised:
        migrate(database)
    assert str(VERSION + 1) in raised.value.what
    assert "newer version" in raised.value.why
    assert raised.value.fix == "pip install --upgrade interlock"
    assert database.query("SELECT * FROM schema_versions ORDER BY version") == before


def test_an_older_database_is_brought_up_to_date(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(database)
    SqlJournal(database).append("a.b", "run:c")
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, ("CREATE TABLE later (id TEXT)",)))
    monkeypatch.setattr(schema, "VERSION", VERSION + 1)
    assert migrate(database) == VERSION
    assert current_version(database, database) == VERSION + 1
    assert "later" in tables(database)
    assert len(SqlJournal(database).events()) == 1


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(database)
    before = tables(database)
    broken = ("CREATE TABLE later (id TEXT)", "CREATE TABLE events (again TEXT)")
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, broken))
    monkeypatch.setattr(schema, "VERSION", VERSION + 1)
    with pytest.raises(database.dialect.driver_error):
        migrate(database)
    assert tables(database) == before
    assert current_version(database, database) == VERSION


def test_tables_of_another_program_are_left_alone(database: Database) -> None:
    with database.write() as tx:
        tx.execute(database.dialect.schema("CREATE TABLE runs (run_uuid TEXT)"))
    with pytest.raises(Conflict) as raised:
        migrate(database)
    assert "'runs'" in raised.value.what
    assert raised.value.fix
    assert tables(database) == {"runs"}


def test_other_tables_do_not_matter(database: Database) -> None:
    with database.write() as tx:
        tx.execute(database.dialect.schema("CREATE TABLE recipes (name TEXT)"))
    assert migrate(database) == 0
    assert "recipes" in tables(database)


def test_versions_without_an_entry_count_as_none(database: Database) -> None:
    with database.write() as tx:
        tx.execute(database.dialect.schema("CREATE TABLE schema_versions (version INTEGER)"))
    assert current_version(database, database) == 0
