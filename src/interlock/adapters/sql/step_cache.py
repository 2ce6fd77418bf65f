"""Keep step records in SQL."""

from __future__ import annotations

import msgspec

from interlock.adapters.sql.database import Database, encode
from interlock.core.clock import to_micros
from interlock.ports.step_cache import StepCache, StepRecord

SCHEMA = (
    """CREATE TABLE step_records (
        seq AUTOSEQ, key TEXT NOT NULL UNIQUE, step TEXT NOT NULL, created_at INTEGER NOT NULL,
        record BLOB NOT NULL)""",
    "CREATE INDEX step_records_step ON step_records (step, created_at, seq)",
)

_decode = msgspec.msgpack.Decoder(StepRecord).decode


class SqlStepCache(StepCache):
    """Step records in one table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key: str) -> StepRecord | None:
        row = self._database.one("SELECT record FROM step_records WHERE key = ?", (key,))
        return _decode(row[0]) if row else None

    def put(self, record: StepRecord) -> StepRecord:
        created_at = to_micros(record.created_at)
        with self._database.write() as tx:
            tx.execute(
                "INSERT INTO step_records (key, step, created_at, record) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (record.key, record.step, created_at, encode(record)),
            )
            return _decode(tx.query("SELECT record FROM step_records WHERE key = ?", (record.key,))[0][0])

    def history(self, step: str, *, limit: int = 20) -> list[StepRecord]:
        rows = self._database.query(
            "SELECT record FROM step_records WHERE step = ? ORDER BY created_at DESC, seq DESC LIMIT ?", (step, limit)
        )
        return [_decode(row[0]) for row in rows]

    def delete(self, key: str) -> bool:
        with self._database.write() as tx:
            return tx.execute("DELETE FROM step_records WHERE key = ?", (key,)) > 0
