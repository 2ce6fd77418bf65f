"""Bound what a request may bring: sizes, counts, and the depth and kind of plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect as shapes

from interlock.core.errors import InvalidInput, LimitExceeded


class Limits(msgspec.Struct, frozen=True):
    """What one request may bring, and how many may be served at once.

    Args:
        head_bytes: Target and headers together.
        body_bytes: A whole request body; streams are unbounded, because they never lie in memory.
        depth: How deep plain values may nest.
        query_fields: Number of query parameters.
        in_flight: Requests that run at once; more are answered 429.
        event_streams: Clients that follow events at once.
        silence_s: How long a client may fall silent in the middle of a head, a body, or reading its answer.
        connections: Clients that are connected at once.
        waiting_bytes: Bodies that have arrived in part, together.
        timeout_s: How long an answer may take, where the client wants it no sooner; None for as long as it takes.
    """

    head_bytes: int = 16_384
    body_bytes: int = 256 * 1024 * 1024
    depth: int = 64
    query_fields: int = 32
    in_flight: int = 256
    event_streams: int = 64
    silence_s: float = 30.0
    connections: int = 4_096
    waiting_bytes: int = 256 * 1024 * 1024
    timeout_s: float | None = 60.0


Check = Callable[[Any, int], None]


def check_plain(value: Any, kind: Any, *, depth: int) -> None:
    """Refuse free-form values that could be stored but not read back as JSON.

    Only fields declared as `Any` are looked into, so that typed batches cost nothing.

    Args:
        value: A decoded value.
        kind: The type it was decoded as.
        depth: How deep free-form values may nest.

    Raises:
        LimitExceeded: A value nests deeper.
        InvalidInput: A value is no number, text, bytes, time, list or mapping of text or numbers to such.
    """
    check = _check_of(kind)
    if check is not None:
        check(value, depth)


@lru_cache(maxsize=256)
def _check_of(kind: Any) -> Check | None:
    return _compile(shapes.type_info(kind))


def _compile(info: Any, within: frozenset[type] = frozenset()) -> Check | None:
    """Build the check of a type, or None where every value inside it is declared.

    A record that may hold others of its kind, as conditions do, must have no free-form fields.
    """
    if isinstance(info, shapes.AnyType):
        return _check_free
    if isinstance(info, shapes.StructType):
        inside = within | {info.cls}
        return _each_field(
            [(field.name, _compile(field.type, inside)) for field in info.fields if info.cls not in within]
        )
    if isinstance(info, shapes.UnionType):
        checks = (_compile(one, within) for one in info.types)
        inner = next((check for check in checks if check is not None), None)
        return None if inner is None else lambda value, depth: None if value is None else inner(value, depth)
    if isinstance(info, shapes.DictType):
        value_check = _compile(info.value_type, within)
        return None if value_check is None else lambda value, depth: _each(value.values(), value_check, depth)
    if isinstance(info, (shapes.ListType, shapes.VarTupleType)):
        item_check = _compile(info.item_type, within)
        return None if item_check is None else lambda value, depth: _each(value, item_check, depth)
    return None


def _each_field(fields: list[tuple[str, Check | None]]) -> Check | None:
    checks = [(name, check) for name, check in fields if check is not None]

    def check_fields(value: Any, depth: int) -> None:
        for name, check in checks:
            check(getattr(value, name), depth)

    return check_fields if checks else None


def _each(items: Iterable[Any], check: Check, depth: int) -> None:
    for item in items:
        check(item, depth)


def _check_free(value: Any, depth: int) -> None:
    if value is None or isinstance(value, (str, int, float, bytes, datetime)):
        return
    if depth == 0:
        raise LimitExceeded("a value is nested too deeply", why="free-form values may nest 64 deep at most")
    if isinstance(value, list):
        _each(value, _check_free, depth - 1)
    elif isinstance(value, dict):
        for key in value:
            if isinstance(key, bool) or not isinstance(key, (str, int, float)):
                raise InvalidInput(
                    f"a mapping has the key {key!r}", why="the keys of free-form values are text or numbers"
                )
        _each(value.values(), _check_free, depth - 1)
    else:
        raise InvalidInput(
            f"a value is of the kind {type(value).__name__}",
            why="free-form values are numbers, text, bytes, times, lists and mappings of text to such",
        )
