"""Keep step records, claims and the graphs of pipelines in SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from interlock.adapters.sql import metric_series
from interlock.adapters.sql.database import Database, Readable, Row, Transaction, encode
from interlock.adapters.sql.step_runs import begin_runs, end_runs
from interlock.core.clock import aware, from_micros, to_micros
from interlock.ports.record_checks import check_batch, check_new_run, check_status
from interlock.ports.run_store import RunBatch
from interlock.ports.step_cache import Advance, Advanced, Claim, GraphNode, StepCache, StepRecord, StepStart

SCHEMA = (
    """CREATE TABLE step_records (
        seq AUTOSEQ, key TEXT NOT NULL UNIQUE, step TEXT NOT NULL, created_at INTEGER NOT NULL,
        record BLOB NOT NULL)""",
    "CREATE INDEX step_records_step ON step_records (step, created_at, seq)",
    """CREATE TABLE step_claims (name TEXT PRIMARY KEY, holder TEXT NOT NULL, expires INTEGER NOT NULL)""",
    """CREATE TABLE step_nodes (
        run TEXT NOT NULL, node INTEGER NOT NULL, change INTEGER NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (run, node)) WITHOUT ROWID""",
)

_ASKED_AT_ONCE = 500
_decode = msgspec.msgpack.Decoder(StepRecord).decode
_decode_node = msgspec.msgpack.Decoder(GraphNode).decode


class SqlStepCache(StepCache):
    """Step records by key, claims by name, and a row for each node of a pipeline's run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key: str) -> StepRecord | None:
        row = self._database.one("SELECT record FROM step_records WHERE key = ?", (key,))
        return _decode(row[0]) if row else None

    def find_many(self, keys: Sequence[str]) -> list[StepRecord]:
        return _find_many(self._database, keys)

    def put(self, record: StepRecord) -> StepRecord:
        aware(record.created_at)
        with self._database.write() as tx:
            _add(tx, [record])
            return _decode(tx.query("SELECT record FROM step_records WHERE key = ?", (record.key,))[0][0])

    def history(self, step: str, *, limit: int = 20) -> list[StepRecord]:
        rows = self._database.query(
            "SELECT record FROM step_records WHERE step = ? ORDER BY created_at DESC, seq DESC LIMIT ?", (step, limit)
        )
        return [_decode(row[0]) for row in rows]

    def delete(self, key: str) -> bool:
        with self._database.write() as tx:
            return tx.execute("DELETE FROM step_records WHERE key = ?", (key,)) > 0

    def advance(self, advance: Advance) -> Advanced:
        _check(advance)
        with self._database.write() as tx:
            compactable = end_runs(tx, advance.ends)
            new = [end.record for end in advance.ends if end.record is not None]
            added = _add(tx, new)
            standing = _find_many(tx, [record.key for record in new]) if added < len(new) else []
            standing = [record for record in standing if record not in new]
            tx.many(
                "DELETE FROM step_claims WHERE name = ? AND holder = ?",
                [(name, advance.holder) for name in advance.free],
            )
            starts, found, held = _admitted(tx, advance)
            begin_runs(tx, self._database, starts)
            tx.insert(
                "step_nodes (run, node, change, record)",
                [(advance.pipeline, node.node, node.change, encode(node)) for node in advance.nodes],
                then="ON CONFLICT (run, node) DO UPDATE SET change = excluded.change, record = excluded.record",
            )
            tx.tell([(one.kind, one.subject, one.payload) for one in advance.told])
        for run_id in compactable:
            metric_series.compact(self._database, run_id)
        return Advanced((*standing, *found), held)

    def nodes(self, pipeline: str, *, after: int = 0) -> list[GraphNode]:
        rows = self._database.query(
            "SELECT record FROM step_nodes WHERE run = ? AND change > ? ORDER BY node", (pipeline, after)
        )
        return [_decode_node(row[0]) for row in rows]

    def claim(
        self, names: Sequence[str], *, holder: str, ttl_s: float, now: datetime, over: str | None = None
    ) -> list[Claim]:
        with self._database.write() as tx:
            return _claim(tx, names, holder=holder, ttl_s=ttl_s, now=now, over=over)

    def claims(self, names: Sequence[str]) -> list[Claim]:
        return _claims(self._database, names)


def _check(advance: Advance) -> None:
    aware(advance.now)
    for start in advance.starts:
        check_new_run(start.run)
        check_batch(RunBatch(artifacts=start.artifacts))
    for end in advance.ends:
        check_status(end.run.status)
        check_batch(RunBatch(tags=end.tags, artifacts=end.artifacts))
        if end.record is not None:
            aware(end.record.created_at)


def _add(tx: Transaction, records: Sequence[StepRecord]) -> int:
    """Add the records of keys that have none; return how many those were."""
    rows = [(record.key, record.step, to_micros(record.created_at), encode(record)) for record in records]
    return tx.insert("step_records (key, step, created_at, record)", rows, then="ON CONFLICT DO NOTHING")


def _admitted(tx: Transaction, advance: Advance) -> tuple[list[StepStart], list[StepRecord], dict[str, str]]:
    """Return what may begin, what need not for it is recorded, and what is another's."""
    wanted = [start.claim for start in advance.starts if start.claim]
    found = _find_many(tx, wanted)
    known = {record.key for record in found}
    taken = _claim(
        tx,
        [name for name in dict.fromkeys(wanted) if name not in known],
        holder=advance.holder,
        ttl_s=advance.ttl_s,
        now=advance.now,
    )
    held = {claim.name: claim.holder for claim in taken if claim.holder != advance.holder}
    starts = [start for start in advance.starts if start.claim not in known and start.claim not in held]
    return starts, found, held


def _claim(
    tx: Transaction, names: Sequence[str], *, holder: str, ttl_s: float, now: datetime, over: str | None = None
) -> list[Claim]:
    expires_at = aware(now) + timedelta(seconds=ttl_s)
    standing = {
        claim.name: claim
        for claim in _claims(tx, names)
        if claim.holder not in (holder, over) and claim.expires_at > now
    }
    mine = [name for name in dict.fromkeys(names) if name not in standing]
    tx.insert(
        "step_claims (name, holder, expires)",
        [(name, holder, to_micros(expires_at)) for name in mine],
        then="ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires = excluded.expires",
    )
    at = from_micros(to_micros(expires_at))
    return [*standing.values(), *(Claim(name, holder, at) for name in mine)]


def _claims(source: Readable, names: Sequence[str]) -> list[Claim]:
    rows = _by_name(source, "SELECT name, holder, expires FROM step_claims WHERE name", names)
    return [Claim(name, holder, from_micros(expires)) for name, holder, expires in rows]


def _find_many(source: Readable, keys: Sequence[str]) -> list[StepRecord]:
    return [_decode(row[0]) for row in _by_name(source, "SELECT record FROM step_records WHERE key", keys)]


def _by_name(source: Readable, sql: str, names: Sequence[str]) -> Iterator[Row]:
    listed: list[Any] = list(dict.fromkeys(names))
    for start in range(0, len(listed), _ASKED_AT_ONCE):
        part = listed[start : start + _ASKED_AT_ONCE]
        yield from source.query(f"{sql} IN ({', '.join('?' * len(part))})", part)
