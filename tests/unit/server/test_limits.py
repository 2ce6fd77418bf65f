"""Free-form values are bounded in depth and kind; declared ones cost nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from interlock.core.errors import InvalidInput, LimitExceeded
from interlock.ports.search import Compare, Field, Filter, Not
from interlock.server.limits import Limits, check_plain


class Leaf(msgspec.Struct):
    free: Any = None


class Record(msgspec.Struct):
    name: str = ""
    params: dict[str, Any] = {}
    rows: list[Leaf] = []
    maybe: dict[str, Any] | None = None
    pairs: tuple[Leaf, ...] = ()


class Declared(msgspec.Struct):
    values: list[list[list[int]]]


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 2**63, 1.5, float("nan"), "x", b"x", datetime(2026, 1, 1, tzinfo=UTC), [1, [2]], {"a": {1: [2.0]}}],
)
def test_plain_values_pass(value: Any) -> None:
    check_plain(Record(params={"p": value}), Record, depth=8)


@pytest.mark.parametrize(
    "record",
    [
        Record(params={"p": nested(8)}),
        Record(rows=[Leaf(), Leaf(nested(8))]),
        Record(maybe={"p": nested(8)}),
        Record(pairs=(Leaf(nested(9)),)),
        Record(rows=[Leaf({"a": {"b": nested(7)}})]),
    ],
)
def test_values_that_nest_too_deep_are_refused(record: Record) -> None:
    with pytest.raises(LimitExceeded):
        check_plain(record, Record, depth=7)


def test_the_depth_itself_is_allowed() -> None:
    check_plain(nested(8), Any, depth=8)
    with pytest.raises(LimitExceeded):
        check_plain(nested(9), Any, depth=8)


@pytest.mark.parametrize("value", [{True: 1}, {None: 1}, {b"k": 1}, msgspec.msgpack.Ext(5, b""), {"a": [{(): 1}]}])
def test_values_that_json_cannot_say_are_refused(value: Any) -> None:
    with pytest.raises(InvalidInput):
        check_plain(Leaf(value), Leaf, depth=8)


def test_everything_that_passes_can_be_written_as_json() -> None:
    value = {"a": [1, 2.5, None, b"x", {1: {2.5: "y"}}]}
    check_plain(value, Any, depth=8)
    assert msgspec.json.encode(value)


def test_declared_values_are_not_looked_into() -> None:
    check_plain(Declared([[[1]]]), Declared, depth=0)
    check_plain(None, Record | None, depth=0)


def test_records_within_themselves_end() -> None:
    where: Filter = Compare(Field("tag", "a"), "=", "b")
    for _ in range(20):
        where = Not(where)
    check_plain(where, Filter | None, depth=0)


def test_the_limits_of_a_server_are_finite() -> None:
    assert all(0 < getattr(Limits(), field) < 2**32 for field in Limits.__struct_fields__)
