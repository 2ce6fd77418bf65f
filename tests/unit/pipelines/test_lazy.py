"""Lazy values behave like the values they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from interlock.pipelines.lazy import Lazy, force, lazies_in, substitute


def lazy(value: Any) -> Lazy:
    return Lazy(lambda: value)


def test_plain_python_goes_on_with_the_value() -> None:
    items = lazy([3, 1, 2])
    assert items.value == [3, 1, 2]
    assert bool(items)
    assert not lazy([])
    assert len(items) == 3
    assert list(items) == [3, 1, 2]
    assert sorted(items) == [1, 2, 3]
    assert items[0] == 3
    assert items[lazy(1)] == 1
    assert 2 in items
    assert lazy(2) in items
    assert items.index(1) == 1
    assert {lazy("a"): 1}["a"] == 1


def test_comparing_and_computing() -> None:
    two, three = lazy(2), lazy(3)
    assert two < three
    assert two <= 2 <= two
    assert three > two
    assert three >= 3
    assert two == 2
    assert two != three
    assert (two + three, two - 1, 10 - three, two * 4, 1 / two, 7 // three, 7 % three, three**2) == (
        5, 1, 7, 8, 0.5, 2, 1, 9,
    )  # fmt: skip
    assert sum([two, three]) == 5
    assert max([two, three]) is three
    assert (float(two), int(three)) == (2.0, 3)
    assert (-two, abs(lazy(-2)), round(lazy(2.345), 1), [0, 1, 2][two]) == (-2, 2, 2.3, 2)
    assert (two & 3, 1 | two) == (2, 3)


def test_writing_it_out() -> None:
    assert str(lazy(0.5)) == "0.5"
    assert f"{lazy(0.5):.2f}" == "0.50"
    assert "lazy" in repr(lazy(0.5))


def test_looking_at_it_does_not_wait() -> None:
    def fail() -> None:
        raise AssertionError("waited")

    waiting = Lazy(fail)
    repr(waiting)
    assert not hasattr(waiting, "__wrapped__")
    with pytest.raises(AssertionError, match="waited"):
        bool(waiting)


def test_lazies_inside_containers_are_found_and_replaced() -> None:
    one, two = lazy(1), lazy(2)
    nested = {"a": [one, (two, 5)], "b": 6}
    assert [found.value for found in lazies_in(nested)] == [1, 2]
    assert force(nested) == {"a": [1, (2, 5)], "b": 6}
    assert substitute(nested, lambda _: 0) == {"a": [0, (0, 5)], "b": 6}


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass(frozen=True)
class Holder:
    held: Any
    other: int = 0


def test_lazies_inside_records_are_found_and_replaced() -> None:
    one = lazy(1)
    assert force(Pair(one, [one])) == Pair(1, [1])
    assert force([Holder(one)]) == [Holder(1)]
    assert len(lazies_in({"a": Holder(Pair(one, 2)), "b": Pair(1, 2)})) == 1
    plain = Holder(Pair(1, "x"))
    assert force(plain) is plain


def test_values_without_lazies_are_left_as_they_are() -> None:
    plain = {"a": [1, (2, [3])]}
    assert force(plain) is plain
    assert lazies_in(plain) == []
