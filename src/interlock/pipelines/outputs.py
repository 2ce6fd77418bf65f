"""Take apart what a step returns as a dataclass or NamedTuple, so that each field is stored and known by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from interlock.core.errors import InvalidInput
from interlock.core.hashing import digest_of_value
from interlock.core.origins import origin_of
from interlock.pipelines.code_keys import code_key
from interlock.pipelines.edge_types import plain
from interlock.pipelines.storing import Stored, decode, encode, keep, unseal
from interlock.ports.artifact_store import Blob

PARTS: Literal["parts"] = "parts"
"""The form of an output that is an index of its fields, each stored by itself."""


class Outputs(msgspec.Struct, frozen=True):
    """The several outputs that a step is annotated to return.

    Args:
        kind: The dataclass or NamedTuple.
        fields: Its fields, in order.
        unpacks: Whether it can be unpacked: a NamedTuple can.
    """

    kind: Any
    fields: tuple[str, ...]
    unpacks: bool

    def split(self, value: Any) -> dict[str, Any] | None:
        """Return a value's fields, or None for a value that is more than its fields."""
        if type(value) is not self.kind or not set(getattr(value, "__dict__", ())) <= set(self.fields):
            return None
        return {name: getattr(value, name) for name in self.fields}

    def join(self, fields: Mapping[str, Any]) -> Any:
        """Return the value that has these fields, without calling its class's own initialiser."""
        if self.unpacks:
            return self.kind(**fields)
        made = object.__new__(self.kind)
        for name, value in fields.items():
            object.__setattr__(made, name, value)
        return made


class Part(msgspec.Struct, frozen=True):
    """Where one field of an output is stored.

    Args:
        form: How it is written.
        digest: Digest of what is stored.
        size_bytes: How long that is.
    """

    form: str
    digest: str
    size_bytes: int


class _Index(msgspec.Struct, frozen=True):
    code: str
    parts: dict[str, Part]


def outputs_of(hint: Any, *, step: str) -> Outputs | None:
    """Return the several outputs that a return annotation announces; None if it announces one value.

    Raises:
        InvalidInput: A field could not be read from a lazy value.
    """
    kind = plain(hint)
    if not isinstance(kind, type):
        return None
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        found = Outputs(kind, kind._fields, unpacks=True)
    elif dataclasses.is_dataclass(kind):
        found = Outputs(kind, tuple(field.name for field in dataclasses.fields(kind)), unpacks=False)
    else:
        return None
    for name in found.fields:
        if name == "value":
            raise InvalidInput(
                f"step '{step}' returns a {kind.__name__} whose field '{name}' cannot be read inside a pipeline",
                why=".value of a step's result waits for the whole of it",
                fix=f"rename the field of {kind.__name__}",
            )
    return found if found.fields else None


def store_parts(
    parts: Mapping[str, Stored], outputs: Outputs, put: Callable[[bytes], Blob], secret: bytes
) -> tuple[Stored, dict[str, Part]]:
    """Store each field by itself; return the index that stands for the whole, and where each field is."""
    kept = {}
    for name, stored in parts.items():
        blob = keep(stored, put, secret)
        kept[name] = Part(stored.form, blob.digest, blob.size_bytes)
    code = ""
    if origin_of(outputs.kind.__module__) == "project":
        code = digest_of_value(code_key(outputs.kind).symbols)
    return Stored(PARTS, msgspec.msgpack.encode(_Index(code, kept))), kept


def parts_in(index: bytes) -> dict[str, Part]:
    """Read an index."""
    return msgspec.msgpack.decode(index, type=_Index).parts


def read_part(part: Part, get: Callable[[str], bytes], secret: bytes) -> Any:
    """Read one field back."""
    return decode(unseal(part.form, get(part.digest), secret))


def encode_parts(fields: Mapping[str, Any]) -> dict[str, Stored]:
    """Write each field as bytes.

    Raises:
        InvalidInput: A field cannot be stored; the error names it.
    """
    written = {}
    for name, value in fields.items():
        try:
            written[name] = encode(value)
        except InvalidInput as error:
            raise InvalidInput(f"field '{name}': {error.what}", why=error.why, fix=error.fix) from error
    return written
