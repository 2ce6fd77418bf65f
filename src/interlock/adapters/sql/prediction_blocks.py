"""Keep the rows of one request together: as a block, one row of SQL for all of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, repeat
from operator import attrgetter
from typing import Any

import msgspec

from interlock.adapters.sql.database import Readable, Transaction, encode
from interlock.core.ids import ID_CHARS, decode_id, is_id, is_run, run_of_ids
from interlock.ports.deployment_store import Role
from interlock.ports.prediction_log import Prediction

SCHEMA = (
    """CREATE TABLE prediction_blocks (
        first_id TEXT NOT NULL, last_id TEXT NOT NULL, model TEXT NOT NULL, endpoint TEXT NOT NULL, role TEXT NOT NULL,
        event_time INTEGER NOT NULL, served_at INTEGER NOT NULL, rows INTEGER NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (first_id, model))""",
    "CREATE INDEX prediction_blocks_window ON prediction_blocks (endpoint, event_time, first_id)",
    "CREATE INDEX prediction_blocks_recent ON prediction_blocks (endpoint, served_at)",
)
LEAST_ROWS = 32
"""Fewer rows are kept one by one, where each is found the sooner."""
MOST_ROWS = 1_024
"""Of more rows several blocks are made: a block is read whole."""

_COLUMNS = "first_id, last_id, model, endpoint, role, event_time, served_at, rows, record"
_IDS_PER_QUERY = 500
_SPARE = 64
_NEAREST = "first_id = (SELECT max(first_id) FROM prediction_blocks WHERE first_id <= {})"
_shared = attrgetter("endpoint", "model", "role", "event_time", "served_at", "revision")


class _Block(msgspec.Struct, frozen=True, array_like=True):
    """Rows that differ in what was asked and answered only, and whose ids follow each other."""

    first_id: str
    endpoint: str
    model: str
    role: Role
    event_time: int
    served_at: int
    revision: int
    inputs: list[tuple[Any, ...]]
    outputs: list[dict[str, Any]]
    contexts: list[dict[str, str]]


_decode = msgspec.msgpack.Decoder(_Block).decode


class Holder(msgspec.Struct, frozen=True):
    """Where an id is: what of its row can be told without the rest of it."""

    id: str
    endpoint: str
    role: Role
    served_at: int
    model: str


def parted(rows: Sequence[Prediction]) -> tuple[Sequence[Prediction], list[list[Prediction]]]:
    """Part rows into single ones, and runs of which blocks can be made and within which no single id lies."""
    singles: list[Prediction] = []
    runs: list[list[Prediction]] = []
    for _, group in groupby(rows, _shared):
        alike = list(group)
        if len(alike) < LEAST_ROWS or not is_run([row.id for row in alike]):
            singles += alike
            continue
        for start in range(0, len(alike), MOST_ROWS):
            part = alike[start : start + MOST_ROWS]
            if len(part) < LEAST_ROWS:
                singles += part
            else:
                runs.append(part)
    return (rows, []) if _cross(singles, runs) else (singles, runs)


def _cross(singles: list[Prediction], runs: list[list[Prediction]]) -> bool:
    ids = sorted(row.id for row in singles) if runs else []
    return any(bisect_left(ids, run[0].id) < bisect_right(ids, run[-1].id) for run in runs)


def add(tx: Transaction, run: Sequence[Prediction]) -> int | None:
    """Store a run as a block; return how many rows are new, or None if they must be stored one by one.

    The ids of any two blocks are the same or none of them is: so the last block that begins before an id is the one
    that holds it, if any does. A run that would break this is no block.
    """
    first, last = run[0], run[-1]
    near = tx.query(f"SELECT first_id, last_id, model FROM prediction_blocks WHERE {_NEAREST.format('?')}", (last.id,))
    for first_id, last_id, model in near:
        if last_id >= first.id and (first_id, last_id) != (first.id, last.id):
            return None
        if (first_id, model) == (first.id, first.model):
            return 0
    if tx.one("SELECT 1 FROM predictions WHERE id BETWEEN ? AND ? AND model = ?", (first.id, last.id, first.model)):
        return None
    contexts = [row.context for row in run]
    block = _Block(
        first_id=first.id,
        endpoint=first.endpoint,
        model=first.model,
        role=first.role,
        event_time=first.event_time,
        served_at=first.served_at,
        revision=first.revision,
        inputs=[row.inputs for row in run],
        outputs=[row.outputs for row in run],
        contexts=contexts if any(contexts) else [],
    )
    tx.execute(
        f"INSERT INTO prediction_blocks ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            first.id,
            last.id,
            first.model,
            first.endpoint,
            first.role,
            first.event_time,
            first.served_at,
            len(run),
            encode(block),
        ),
    )
    return len(run)


def not_held(source: Readable, rows: list[Prediction]) -> list[Prediction]:
    """Return those of some rows that are in no block under their model."""
    ids = [row.id for row in rows if len(row.id) == ID_CHARS]
    if not ids:
        return rows
    last = source.one("SELECT max(last_id) FROM prediction_blocks WHERE " + _NEAREST.format("?"), (max(ids),))
    if last is None or last[0] is None or last[0] < min(ids):
        return rows
    held = {(holder.id, holder.model) for holder in holders(source, ids)}
    return [row for row in rows if (row.id, row.model) not in held]


def holders(source: Readable, ids: Iterable[str]) -> Iterator[Holder]:
    """Yield what holds each of some ids."""
    for part in parts_of_ids([one for one in ids if is_id(one)]):
        rows = source.query(
            f"""WITH asked (id) AS (VALUES {", ".join(["(?)"] * len(part))})
            SELECT asked.id, endpoint, role, served_at, model FROM asked
            JOIN prediction_blocks ON {_NEAREST.format("asked.id")} WHERE last_id >= asked.id""",
            part,
        )
        yield from (Holder(*row) for row in rows)


def parts_of_ids(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield ids in parts that one query may name."""
    for start in range(0, len(ids), _IDS_PER_QUERY):
        yield ids[start : start + _IDS_PER_QUERY]


def find(source: Readable, prediction_id: str) -> list[Prediction]:
    """Return the rows under an id."""
    if not is_id(prediction_id):
        return []
    records = source.query(
        f"SELECT record FROM prediction_blocks WHERE {_NEAREST.format('?')} AND last_id >= ?",
        (prediction_id, prediction_id),
    )
    blocks = [_decode(record) for (record,) in records]
    return [_rows(block)[decode_id(prediction_id) - decode_id(block.first_id)] for block in blocks]


def first_rows(source: Readable, where: str, params: Sequence[Any], *, order: str, least: int) -> list[Prediction]:
    """Return the rows of the first blocks that together have at least so many, if there are, and of no half block.

    Blocks of the same ids are taken together. The first ids count for nothing: the caller may not want all of them.
    """
    clauses = f"FROM prediction_blocks WHERE {where} ORDER BY {order} LIMIT ?"
    heads = source.query(f"SELECT first_id, rows {clauses}", [*params, least // LEAST_ROWS + _SPARE])
    rows = taken = 0
    for place, (first_id, held) in enumerate(heads):
        if rows >= least and first_id != heads[place - 1][0]:
            break
        rows += held if first_id != heads[0][0] else 0
        taken += 1
    if not taken:
        return []
    records = source.query(f"SELECT record {clauses}", [*params, taken])
    return [row for (record,) in records for row in _rows(_decode(record))]


def _rows(block: _Block) -> list[Prediction]:
    ids = run_of_ids(decode_id(block.first_id), len(block.inputs))
    of_all = (block.endpoint, block.model, block.role, block.event_time, block.served_at)
    return [
        Prediction(one, *of_all, inputs, outputs, block.revision, context)
        for one, inputs, outputs, context in zip(
            ids, block.inputs, block.outputs, block.contexts or repeat({}), strict=False
        )
    ]
