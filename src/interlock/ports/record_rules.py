"""What every record store refuses, and what a written record comes to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from interlock.core.errors import Conflict, InvalidInput, LimitExceeded, NotFound
from interlock.core.plain import pack
from interlock.core.refs import check_name
from interlock.ports.checks import check_key, check_text
from interlock.ports.record_store import Record

MOST_RECORDS = 10_000
"""Records that are written, found or deleted at once."""

LARGEST_BODY_BYTES = 16 * 1024 * 1024
_MOST_TOLD = 20


def checked_records(records: Sequence[Record]) -> str:
    """Return the collection of some records, if they can be written together."""
    check_many(records)
    collections = {one.collection for one in records}
    if len(collections) != 1:
        raise InvalidInput(
            "these records cannot be written together", why=f"expected one collection, got {sorted(collections)}"
        )
    for one in records:
        check_key(one.id, of="id of a record")
        check_text(one.parent, of="parent of a record")
        size = len(pack(one.body))
        if size > LARGEST_BODY_BYTES:
            raise LimitExceeded(
                f"record '{one.id}' is too large", why=f"{size:,} bytes, and it may have {LARGEST_BODY_BYTES:,}"
            )
    if len({one.id for one in records}) != len(records):
        raise InvalidInput("a record stands in the list twice", why="each is written once at a time")
    return check_name(collections.pop(), of="record")


def check_many(items: Sequence[Any]) -> None:
    """Refuse more records at once than one transaction takes."""
    if len(items) > MOST_RECORDS:
        raise LimitExceeded(
            f"{len(items):,} records are too many at once", why=f"up to {MOST_RECORDS:,} are taken", fix="in parts"
        )


def written(record: Record, before: Record | None, *, now: datetime) -> Record:
    """Return a record as it is to be kept; its `seq` is that of what it replaces, else 0.

    Raises:
        Conflict: It was read at another revision.
    """
    stands_at = before.revision if before is not None else 0
    if record.revision != stands_at:
        raise Conflict(
            f"record '{record.id}' of '{record.collection}' was changed meanwhile",
            why=f"it is at revision {stands_at}, and what was handed in is from {record.revision}",
            fix="read it again, and write what you make of it",
        )
    return msgspec.structs.replace(
        record,
        parent=before.parent if before is not None else record.parent,
        revision=stands_at + 1,
        seq=before.seq if before is not None else 0,
        created_at=before.created_at if before is not None else now,
        updated_at=now,
    )


def told(record_ids: Sequence[str]) -> dict[str, Any]:
    """Return what the event of some records tells."""
    return {"count": len(record_ids), "ids": list(record_ids[:_MOST_TOLD])}


def unknown_record(collection: str, record_id: str) -> NotFound:
    """Build the error for an id that names no record."""
    return NotFound(f"there is no record '{record_id:.120}' in '{collection:.120}'")
