"""Plain values as bytes."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput
from interlock.core.plain import pack, unpack

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(plain_values)
def test_what_is_packed_comes_back(value: Any) -> None:
    assert unpack(pack(value)) == value
    assert pack(unpack(pack(value))) == pack(value)


def test_the_order_of_keys_does_not_matter_and_types_do() -> None:
    assert pack({"a": 1, "b": {"c": 2, "d": 3}}) == pack({"b": {"d": 3, "c": 2}, "a": 1})
    assert len({pack(value) for value in (1, 1.0, True, "1", b"1", [1])}) == 6
    assert pack(math.nan) == pack(math.nan)


def test_times_stay_times() -> None:
    moment = datetime(2013, 1, 1, 5, 15, 0, 123456, tzinfo=UTC)
    assert unpack(pack({"at": moment})) == {"at": moment}


@pytest.mark.parametrize("value", [object(), 2**64, "\ud800", {1: 2}, {"deep": [print]}])
def test_what_is_not_plain_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput) as raised:
        pack(value)
    assert raised.value.why
    assert raised.value.fix


def test_endless_nesting_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidInput):
        pack(endless)
