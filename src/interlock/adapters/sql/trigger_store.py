"""Keep triggers in SQL."""

from __future__ import annotations

from typing import Any

import msgspec

from interlock.adapters.sql.database import Database, Row, encode
from interlock.core.errors import NotFound, did_you_mean
from interlock.core.refs import check_name
from interlock.ports.trigger_store import Trigger, TriggerStore

SCHEMA = ("CREATE TABLE triggers (name TEXT PRIMARY KEY, cursor INTEGER NOT NULL, record BLOB NOT NULL)",)

_decode = msgspec.msgpack.Decoder(Trigger).decode


class SqlTriggerStore(TriggerStore):
    """Triggers in one table; the column `cursor` is the truth, the one in the record is as applied."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def apply(self, trigger: Trigger) -> Trigger:
        check_name(trigger.name, of="trigger")
        new = _decode(encode(trigger))
        with self._database.write() as tx:
            row = tx.one("SELECT cursor, record FROM triggers WHERE name = ?", (new.name,))
            before = _trigger(row) if row else None
            if before is not None:
                new = msgspec.structs.replace(new, cursor=before.cursor)
            if new != before:
                tx.execute(
                    """INSERT INTO triggers (name, cursor, record) VALUES (?, ?, ?)
                    ON CONFLICT (name) DO UPDATE SET record = excluded.record""",
                    (new.name, new.cursor, encode(new)),
                )
                payload = {"action": new.action, "enabled": new.enabled}
                tx.event("trigger.applied", f"trigger:{new.name}", payload)
            return new

    def get(self, name: str) -> Trigger:
        row = self._database.one("SELECT cursor, record FROM triggers WHERE name = ?", (name,))
        if row is None:
            names = [known[0] for known in self._database.query("SELECT name FROM triggers")]
            raise NotFound(f"there is no trigger '{name}'", why=did_you_mean(name, names))
        return _trigger(row)

    def triggers(self) -> list[Trigger]:
        return [_trigger(row) for row in self._database.query("SELECT cursor, record FROM triggers ORDER BY name")]

    def advance(self, name: str, *, expect: int, to: int, fired: dict[str, Any] | None = None) -> bool:
        with self._database.write() as tx:
            moved = tx.execute("UPDATE triggers SET cursor = ? WHERE name = ? AND cursor = ?", (to, name, expect)) > 0
            if moved and fired is not None:
                tx.event("trigger.fired", f"trigger:{name}", fired)
            return moved

    def delete(self, name: str) -> bool:
        with self._database.write() as tx:
            return tx.execute("DELETE FROM triggers WHERE name = ?", (name,)) > 0


def _trigger(row: Row) -> Trigger:
    return msgspec.structs.replace(_decode(row[1]), cursor=row[0])
