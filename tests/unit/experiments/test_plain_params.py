"""Parameters keep their type and their nesting."""

from __future__ import annotations

import argparse
import dataclasses
import enum
from collections import namedtuple
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from interlock.core.errors import InvalidInput
from interlock.experiments.plain_params import arguments_of, described, plain_params


class Colour(enum.Enum):
    """Of which one has a value that is not plain."""

    RED = "red"
    ODD = (1, 2)


@dataclasses.dataclass
class Optimiser:
    """A nested setting."""

    name: str = "adam"
    rate: float = 1e-3


@dataclasses.dataclass
class Settings:
    """Settings as people write them."""

    depth: int = 3
    optimiser: Optimiser = dataclasses.field(default_factory=Optimiser)


class Record(msgspec.Struct):
    """Settings of another kind."""

    a: int


Pair = namedtuple("Pair", "left right")


def test_bundles_of_every_kind() -> None:
    nested = {"depth": 3, "optimiser": {"name": "adam", "rate": 1e-3}}
    assert plain_params(Settings()) == nested
    assert plain_params(argparse.Namespace(depth=3, optimiser=Optimiser())) == nested
    assert plain_params(Record(1)) == {"a": 1}
    assert plain_params(Pair(1, Record(2))) == {"left": 1, "right": {"a": 2}}


def test_values_of_every_kind() -> None:
    given = {
        "numpy": np.float64(0.5),
        "text": np.str_("x"),
        "colour": Colour.RED,
        "odd": Colour.ODD,
        "set": {3, 1},
        "path": Path("a/b"),
        "array": np.array(7),
        "none": None,
        1: [(1, 2), {"x": np.int8(3)}],
    }
    found = plain_params(given)
    assert found == {
        "numpy": 0.5,
        "text": "x",
        "colour": "red",
        "odd": "ODD",
        "set": [1, 3],
        "path": "a/b",
        "array": 7,
        "none": None,
        "1": [[1, 2], {"x": 3}],
    }
    assert {key: type(value) for key, value in found.items() if key in ("numpy", "text", "array")} == {
        "numpy": float,
        "text": str,
        "array": int,
    }


@pytest.mark.parametrize("params", [3, "text", [1], object()])
def test_what_has_no_names_is_refused(params: Any) -> None:
    with pytest.raises(InvalidInput, match="have no names"):
        plain_params(params)


def test_what_nobody_chose_to_log_is_described() -> None:
    assert described(np.zeros((3, 4))) == "ndarray of shape (3, 4)"
    assert described(Settings()) == {"depth": 3, "optimiser": {"name": "adam", "rate": 1e-3}}
    assert described(Settings) == "class Settings"
    assert described(test_bundles_of_every_kind).startswith("function test_bundles")
    assert described(list(range(100_000))) == "list of 100000"
    assert described(object()) == "object"
    assert described(range(3)) == "range of 3"
    assert described(1 + 2j) == "(1+2j)"


def test_arguments_by_name() -> None:
    def train(rows: Any, depth: int = 3, *more: int, rate: float = 0.1, **rest: Any) -> None: ...

    assert arguments_of(train, (np.zeros(3), 5, 7), {"extra": Path("x")}) == {
        "rows": "ndarray of shape (3,)",
        "depth": 5,
        "more": [7],
        "rate": 0.1,
        "extra": "x",
    }
    assert arguments_of(train, (), {}) == {}
    assert arguments_of(Settings.__init__, (Settings(), 4), {})["depth"] == 4
