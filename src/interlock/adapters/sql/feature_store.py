"""Keep feature views and their newest rows in SQL."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from interlock.adapters.sql.database import Database, encode
from interlock.core.clock import to_micros
from interlock.core.errors import NotFound, did_you_mean
from interlock.core.refs import check_name
from interlock.ports.feature_store import FeatureView, FeatureViewStore, OnlineRow, OnlineStore
from interlock.ports.journal import Edge

SCHEMA = (
    """CREATE TABLE feature_views (
        name TEXT NOT NULL, version INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (name, version))""",
    """CREATE TABLE online_rows (
        view TEXT NOT NULL, entity BLOB NOT NULL, known_at INTEGER NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (view, entity))""",
)

_NEWEST = "version = (SELECT MAX(version) FROM feature_views AS other WHERE other.name = feature_views.name)"
_KEYS_PER_QUERY = 500
_decode_view = msgspec.msgpack.Decoder(FeatureView).decode
_decode_row = msgspec.msgpack.Decoder(OnlineRow).decode


class SqlFeatureViewStore(FeatureViewStore):
    """Definitions in one table, every version kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def apply(self, view: FeatureView) -> FeatureView:
        check_name(view.name, of="feature")
        with self._database.write() as tx:
            row = tx.one("SELECT record FROM feature_views WHERE name = ? ORDER BY version DESC LIMIT 1", (view.name,))
            newest = _decode_view(row[0]) if row else None
            if newest and msgspec.structs.replace(view, version=newest.version) == newest:
                return newest
            applied = msgspec.structs.replace(view, version=newest.version + 1 if newest else 1)
            tx.execute(
                "INSERT INTO feature_views (name, version, record) VALUES (?, ?, ?)",
                (applied.name, applied.version, encode(applied)),
            )
            edges = [Edge(view.source, applied.ref, "read_by")] if view.source else []
            tx.event("feature.applied", applied.ref, {"version": applied.version}, edges=edges)
            return applied

    def get(self, name: str, *, version: int | None = None) -> FeatureView:
        newest = self.find(name)
        if newest is None:
            names = [row[0] for row in self._database.query("SELECT DISTINCT name FROM feature_views")]
            raise NotFound(f"there is no feature view '{name}'", why=did_you_mean(name, names))
        if version in (None, newest.version):
            return newest
        row = self._database.one("SELECT record FROM feature_views WHERE name = ? AND version = ?", (name, version))
        if row is None:
            raise NotFound(
                f"feature view '{name}' has no version {version}", why=f"its versions are 1 to {newest.version}"
            )
        return _decode_view(row[0])

    def find(self, name: str) -> FeatureView | None:
        row = self._database.one(
            "SELECT record FROM feature_views WHERE name = ? ORDER BY version DESC LIMIT 1", (name,)
        )
        return _decode_view(row[0]) if row else None

    def views(self, *, after: str = "", limit: int = 100) -> list[FeatureView]:
        rows = self._database.query(
            f"SELECT record FROM feature_views WHERE name > ? AND {_NEWEST} ORDER BY name LIMIT ?", (after, limit)
        )
        return [_decode_view(row[0]) for row in rows]


class SqlOnlineStore(OnlineStore):
    """One row per view and entity, under the msgpack bytes of the typed key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, view: str, rows: Sequence[OnlineRow]) -> int:
        new = [(view, encode(row.key), to_micros(row.known_at), encode(row)) for row in rows]
        with self._database.write() as tx:
            return tx.many(
                """INSERT INTO online_rows (view, entity, known_at, record) VALUES (?, ?, ?, ?)
                ON CONFLICT (view, entity) DO UPDATE SET known_at = excluded.known_at, record = excluded.record
                WHERE excluded.known_at >= online_rows.known_at""",
                new,
            )

    def read(self, view: str, keys: Sequence[tuple[str | int | float | bool, ...]]) -> list[OnlineRow | None]:
        entities = [encode(key) for key in keys]
        found: dict[bytes, OnlineRow] = {}
        for start in range(0, len(entities), _KEYS_PER_QUERY):
            part = entities[start : start + _KEYS_PER_QUERY]
            marks = ", ".join("?" * len(part))
            rows = self._database.query(
                f"SELECT entity, record FROM online_rows WHERE view = ? AND entity IN ({marks})", [view, *part]
            )
            found.update((entity, _decode_row(record)) for entity, record in rows)
        return [found.get(entity) for entity in entities]

    def count(self, view: str) -> int:
        row = self._database.one("SELECT COUNT(*) FROM online_rows WHERE view = ?", (view,))
        return int(row[0]) if row else 0
