"""Read and append the event log and the lineage graph in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from interlock.adapters.sql.database import Database, Row
from interlock.core.clock import from_micros
from interlock.core.errors import InvalidInput
from interlock.ports.checks import check_limit
from interlock.ports.journal import Edge, Event, Journal

SCHEMA = (
    """CREATE TABLE events (
        seq AUTOSEQ, id TEXT NOT NULL, time INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
        actor TEXT NOT NULL, payload BLOB NOT NULL)""",
    "CREATE INDEX events_kind ON events (kind, seq)",
    "CREATE INDEX events_subject ON events (subject, seq)",
    """CREATE TABLE edges (
        source TEXT NOT NULL, target TEXT NOT NULL, relation TEXT NOT NULL, PRIMARY KEY (source, target, relation))""",
    "CREATE INDEX edges_target ON edges (target)",
)

_COLUMNS = "seq, id, time, kind, subject, actor, payload"
_decode_payload = msgspec.msgpack.Decoder(dict[str, Any]).decode


class SqlJournal(Journal):
    """The journal in two tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self,
        kind: str,
        subject: str,
        *,
        payload: dict[str, Any] | None = None,
        actor: str | None = None,
        edges: Sequence[Edge] = (),
    ) -> Event:
        with self._database.write() as tx:
            return tx.event(kind, subject, payload, actor=actor, edges=edges)

    def events(
        self,
        *,
        after: int = 0,
        kinds: Sequence[str] = (),
        subject: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[Event]:
        conditions: list[str] = ["seq > ?"]
        params: list[Any] = [after]
        if kinds:
            alternatives = []
            for kind in kinds:
                if kind.endswith("."):
                    # a range instead of LIKE, so that both databases use the index and no character is special
                    alternatives.append("(kind >= ? AND kind < ?)")
                    params += [kind, kind[:-1] + "/"]
                else:
                    alternatives.append("kind = ?")
                    params.append(kind)
            conditions.append("(" + " OR ".join(alternatives) + ")")
        if subject is not None:
            conditions.append("subject = ?")
            params.append(subject)
        order = "DESC" if newest_first else "ASC"
        rows = self._database.query(
            f"SELECT {_COLUMNS} FROM events WHERE {' AND '.join(conditions)} ORDER BY seq {order} LIMIT ?",
            [*params, check_limit(limit)],
        )
        return [_event(row) for row in rows]

    def latest(self) -> list[Event]:
        rows = self._database.query(
            f"SELECT {_COLUMNS} FROM events WHERE seq IN (SELECT MAX(seq) FROM events GROUP BY kind) ORDER BY seq"
        )
        return [_event(row) for row in rows]

    def counts(self) -> dict[str, int]:
        return dict(self._database.query("SELECT kind, COUNT(*) FROM events GROUP BY kind"))

    def last_seq(self) -> int:
        row = self._database.one("SELECT MAX(seq) FROM events")
        return int(row[0]) if row and row[0] is not None else 0

    def link(self, edges: Sequence[Edge]) -> int:
        with self._database.write() as tx:
            return tx.link(edges)

    def walk(
        self, ref: str, *, direction: Literal["back", "forward"], depth: int = 32, limit: int = 1000
    ) -> list[Edge]:
        if direction not in ("back", "forward"):
            raise InvalidInput(f"'{direction}' is not a direction", why="expected 'back' or 'forward'")
        if depth < 1:
            return []
        here, there = ("target", "source") if direction == "back" else ("source", "target")
        # UNION (not UNION ALL) on (node, distance) with MIN afterwards keeps cycles finite through `depth`
        rows = self._database.query(
            f"""WITH RECURSIVE reached (node, distance) AS (
                    SELECT CAST(? AS TEXT){self._database.dialect.byte_order}, 0
                    UNION
                    SELECT edges.{there}, reached.distance + 1
                    FROM reached JOIN edges ON edges.{here} = reached.node
                    WHERE reached.distance + 1 < ?),
                nearest (node, distance) AS (SELECT node, MIN(distance) FROM reached GROUP BY node)
                SELECT edges.source, edges.target, edges.relation
                FROM nearest JOIN edges ON edges.{here} = nearest.node
                ORDER BY nearest.distance, edges.source, edges.target, edges.relation LIMIT ?""",
            (ref, depth, check_limit(limit)),
        )
        return [Edge(*row) for row in rows]


def _event(row: Row) -> Event:
    seq, event_id, time, kind, subject, actor, payload = row
    return Event(
        seq=seq,
        id=event_id,
        time=from_micros(time),
        kind=kind,
        subject=subject,
        actor=actor,
        payload=_decode_payload(payload),
    )
