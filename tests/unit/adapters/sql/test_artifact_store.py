from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.adapters.sql.artifact_store import SqlArtifactStore
from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import SqliteDialect
from interlock.adapters.sql.schema import migrate
from interlock.core.errors import Corrupt
from interlock.ports.artifact_store import Damage

LARGE = bytes(range(256)) * 9000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(SqliteDialect(tmp_path / "w.db"))
    migrate(database)
    yield database
    database.close()


def run(database: Database, sql: str, *params: object) -> int:
    with database.write() as tx:
        return tx.execute(sql, params)


def test_contents_are_rows_of_at_most_a_mebibyte(database: Database) -> None:
    SqlArtifactStore(database).put(LARGE)
    sizes = database.query("SELECT number, LENGTH(data) FROM artifact_chunks ORDER BY number")
    assert [tuple(row) for row in sizes] == [(0, 1 << 20), (1, 1 << 20), (2, len(LARGE) - (2 << 20))]


def test_damage_is_named_and_never_read(database: Database) -> None:
    store = SqlArtifactStore(database)
    good, changed, short = store.put(b"good"), store.put(b"changed"), store.put(LARGE)
    run(database, "UPDATE artifact_chunks SET data = ? WHERE digest = ?", b"chanted", changed.digest)
    run(database, "DELETE FROM artifact_chunks WHERE digest = ? AND number = 1", short.digest)
    found = store.check()
    assert [damage.digest for damage in found] == sorted([changed.digest, short.digest])
    assert {type(damage) for damage in found} == {Damage}
    for blob in (changed, short):
        with pytest.raises(Corrupt, match=blob.digest):
            store.get(blob.digest)
    assert store.get(good.digest) == b"good"


def test_a_deleted_content_leaves_no_chunk(database: Database) -> None:
    store = SqlArtifactStore(database)
    store.delete(store.put(LARGE).digest)
    assert database.query("SELECT COUNT(*) FROM artifact_chunks")[0][0] == 0


def test_check_reads_more_than_a_page(database: Database) -> None:
    store = SqlArtifactStore(database)
    for n in range(1005):
        store.put(b"%d" % n)
    last = store.blobs(after=store.blobs()[-1].digest)[-1]
    run(database, "UPDATE artifact_chunks SET data = ? WHERE digest = ?", b"!", last.digest)
    assert [damage.digest for damage in store.check()] == [last.digest]
