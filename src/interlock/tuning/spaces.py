"""Say what values a parameter may take."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput


class Float(msgspec.Struct, frozen=True):
    """A real number from `low` to `high`, both included.

    Args:
        low: The least value.
        high: The greatest value.
        log: Whether to search by order of magnitude; `low` must then be above 0.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, log=self.log)

    def holds(self, value: Any) -> bool:
        """Say whether a value lies in it."""
        return isinstance(value, (int, float)) and not isinstance(value, bool) and self.low <= value <= self.high


class Int(msgspec.Struct, frozen=True):
    """A whole number from `low` to `high`, both included.

    Args:
        low: The least value.
        high: The greatest value.
        log: Whether to search by order of magnitude; `low` must then be at least 1.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, log=self.log)
        for value in (self.low, self.high):
            if not isinstance(value, int):
                raise InvalidInput(f"Int({self.low}, {self.high})", why=f"{value!r} is not a whole number", fix="Float")

    def holds(self, value: Any) -> bool:
        """Say whether a value lies in it."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high


class Choice(msgspec.Struct, frozen=True):
    """One of a few values: None, booleans, numbers or texts."""

    values: tuple[None | bool | int | float | str, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise InvalidInput("Choice(()) has nothing to choose from", why="expected at least one value")
        for value in self.values:
            if not isinstance(value, (type(None), bool, int, float, str)):
                raise InvalidInput(
                    f"{value!r} cannot be chosen", why="expected None, a boolean, a number or a text", fix="name it"
                )

    def holds(self, value: Any) -> bool:
        """Say whether a value is among them, of the same type."""
        return any(type(value) is type(one) and value == one for one in self.values)


Space = Float | Int | Choice
"""What one parameter may be."""


def _check_range(low: float, high: float, *, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise InvalidInput(f"nothing lies from {low} to {high}", why="expected low <= high, both finite")
    if log and low <= 0:
        raise InvalidInput(f"log=True from {low}", why="an order of magnitude needs low above 0", fix="log=False")
