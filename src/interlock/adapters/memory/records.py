"""Give records back as every other backend does: as fresh plain values, not the caller's own objects."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from interlock.core.plain import pack

Record = TypeVar("Record", bound=msgspec.Struct)


def settled(record: Record) -> Record:
    """Return the record as it comes back from its bytes: times in UTC, lists for tuples in free-form fields.

    Raises:
        InvalidInput: It holds something that cannot be stored.
    """
    return msgspec.msgpack.decode(pack(record), type=type(record))
