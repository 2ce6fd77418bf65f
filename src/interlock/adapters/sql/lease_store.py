"""Keep leases in SQL."""

from __future__ import annotations

from datetime import datetime, timedelta

from interlock.adapters.sql.database import Database
from interlock.core.clock import aware, from_micros, to_micros
from interlock.ports.lease_store import Lease, LeaseStore

SCHEMA = (
    # a released lease keeps its row with an empty holder, so that tokens never go back
    """CREATE TABLE leases (
        name TEXT PRIMARY KEY, holder TEXT, token INTEGER NOT NULL, expires_at INTEGER NOT NULL)""",
)


class SqlLeaseStore(LeaseStore):
    """Leases in one table; whoever commits first holds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, name: str, *, holder: str, ttl_s: float, now: datetime) -> Lease | None:
        moment = aware(now)
        with self._database.write() as tx:
            row = tx.one("SELECT holder, token, expires_at FROM leases WHERE name = ?", (name,))
            before, token, expires_at = row or (None, 0, 0)
            if before not in (None, holder) and expires_at > to_micros(moment):
                return None
            lease = Lease(name, holder, token + (before != holder), moment + timedelta(seconds=ttl_s))
            tx.execute(
                """INSERT INTO leases (name, holder, token, expires_at) VALUES (?, ?, ?, ?)
                ON CONFLICT (name) DO UPDATE
                SET holder = excluded.holder, token = excluded.token, expires_at = excluded.expires_at""",
                (name, holder, lease.token, to_micros(lease.expires_at)),
            )
            return lease

    def release(self, name: str, *, holder: str) -> bool:
        with self._database.write() as tx:
            return tx.execute("UPDATE leases SET holder = NULL WHERE name = ? AND holder = ?", (name, holder)) > 0

    def find(self, name: str) -> Lease | None:
        row = self._database.one(
            "SELECT holder, token, expires_at FROM leases WHERE name = ? AND holder IS NOT NULL", (name,)
        )
        return Lease(name, row[0], row[1], from_micros(row[2])) if row else None
