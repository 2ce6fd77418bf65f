"""Give each name within a collection to one record, whoever asks at the same time.

A name is a record of its own, whose id follows from it, so that the store itself tells the second who wants it.
"""

from __future__ import annotations

import hashlib

import msgspec

from interlock.core.errors import Conflict
from interlock.ports.record_store import Record
from interlock.server.mlflow.kept_records import find_record
from interlock.server.mlflow.wire import Failure, Ground


def take_name(ground: Ground, collection: str, name: str, owner: str, *, what: str) -> None:
    """Take a name for a record; one whose owner is not there, because its writer broke off, is free.

    Raises:
        Failure: Another record has it.
    """
    claim = Record(_names_of(collection), _key(name), {"name": name, "owner": owner})
    held = find_record(ground, claim.collection, claim.id)
    if held is not None and held.body["owner"] == owner:
        return
    if held is not None and find_record(ground, collection, held.body["owner"]) is not None:
        raise _taken(what, name)
    try:
        ground.stores.records.put([msgspec.structs.replace(claim, revision=held.revision if held else 0)])
    except Conflict:
        raise _taken(what, name) from None


def leave_name(ground: Ground, collection: str, name: str, owner: str) -> None:
    """Give a name back, if it is this record's."""
    if find_owner(ground, collection, name) == owner:
        ground.stores.records.delete(_names_of(collection), record_ids=[_key(name)])


def find_owner(ground: Ground, collection: str, name: str) -> str | None:
    """Return the id of the record that has a name."""
    found = find_record(ground, _names_of(collection), _key(name))
    return found.body["owner"] if found is not None else None


def put_named(ground: Ground, record: Record, *, what: str, before: Record | None = None) -> Record:
    """Write a record whose body has a `name`, which nobody else in its collection may have.

    Args:
        ground: What it stands on.
        record: What to write.
        what: The kind of thing, for who comes second.
        before: As it stands now, where it is there already.

    Raises:
        Conflict: It does not stand as it was read.
        Failure: Another record has the name.
    """
    name, old = record.body["name"], before.body["name"] if before is not None else None
    if name == old:
        return ground.stores.records.put([record])[0]
    take_name(ground, record.collection, name, record.id, what=what)
    try:
        (made,) = ground.stores.records.put([record])
    except Conflict:
        leave_name(ground, record.collection, name, record.id)
        raise
    if old is not None:
        leave_name(ground, record.collection, old, record.id)
    elif find_owner(ground, record.collection, name) != record.id:
        # somebody took this writer for one that broke off
        ground.stores.records.delete(record.collection, record_ids=[record.id])
        raise _taken(what, name)
    return made


def delete_named(ground: Ground, record: Record) -> None:
    """Forget a record and free its name."""
    leave_name(ground, record.collection, record.body["name"], record.id)
    ground.stores.records.delete(record.collection, record_ids=[record.id])


def _taken(what: str, name: str) -> Failure:
    return Failure("RESOURCE_ALREADY_EXISTS", f"{what} with name '{name}' already exists")


def _names_of(collection: str) -> str:
    return f"{collection}_name"


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:40]
