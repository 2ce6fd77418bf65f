"""Spaces hold what they say."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.tuning.spaces import Choice, Float, Int, Space


@pytest.mark.parametrize(
    ("space", "inside", "outside"),
    [
        (Float(0.0, 1.0), [0.0, 0.5, 1, 1.0], [-0.1, 1.1, "x", True, None]),
        (Int(1, 3), [1, 2, 3], [0, 4, 1.5, True]),
        (Choice((1, "a", None, True)), [1, "a", None, True], [1.0, "b", False]),
    ],
)
def test_what_lies_in_a_space(space: Space, inside: list[Any], outside: list[Any]) -> None:
    assert all(space.holds(value) for value in inside)
    assert not any(space.holds(value) for value in outside)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Float(1, 0),
        lambda: Float(0, math.inf),
        lambda: Float(math.nan, 1),
        lambda: Float(0, 1, log=True),
        lambda: Int(2, 1),
        lambda: Int(0, 5, log=True),
        lambda: Int(0.5, 2),  # type: ignore[arg-type]
        lambda: Choice(()),
        lambda: Choice(([1],)),  # type: ignore[arg-type]
    ],
)
def test_spaces_that_hold_nothing_are_refused(make: Callable[[], Space]) -> None:
    with pytest.raises(InvalidInput):
        make()


def test_a_space_may_hold_one_value() -> None:
    assert Float(1, 1).holds(1)
    assert Int(1, 1).holds(1)
