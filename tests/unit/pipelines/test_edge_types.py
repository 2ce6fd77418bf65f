"""Which values and which announced types fit together."""

from __future__ import annotations

import collections.abc
from dataclasses import dataclass
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    TypedDict,
    TypeVar,
    Union,
    runtime_checkable,
)

import numpy as np
import pyarrow as pa
import pytest

from interlock.pipelines.edge_types import check_for, clash, describe, element_of, hints_of, may_flow, show


@dataclass
class Model:
    alpha: float


class Better(Model):
    pass


class Pair(NamedTuple):
    left: int
    right: str


class Options(TypedDict):
    depth: int
    note: NotRequired[str]


@runtime_checkable
class Predicts(Protocol):
    def predict(self) -> int: ...


class Quiet(Protocol):
    def speak(self) -> int: ...


@runtime_checkable
class Named(Protocol):
    name: str


class Predictor:
    def predict(self) -> int:
        return 1


UserId = NewType("UserId", int)
Number = TypeVar("Number", bound=float)
Anything = TypeVar("Anything")


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, [1, True, np.int64(2)], [1.0, "1", None]),
        (float, [1.5, 1, np.float32(2)], ["1", 1j]),
        (complex, [1j, 1.0], ["1"]),
        (str, ["a"], [b"a", 1]),
        (None, [None], [0, False]),
        (Optional[int], [1, None], ["1"]),  # noqa: UP045
        (Union[int, str], [1, "1"], [1.5]),  # noqa: UP007
        (int | None, [1, None], [1.5]),
        (Literal["a", 1], ["a", 1], ["b", True, [1]]),
        (list[int], [[1], ["unread"]], [(1,), {1}]),
        (dict[str, int], [{}], [[]]),
        (tuple[int, ...], [(1,)], [[1]]),
        (collections.abc.Sequence[int], [[1], (1,), "a"], [{1}, 1]),
        (collections.abc.Callable[[int], int], [len, lambda: 1], [1]),
        (type[Model], [Model], [Model(1.0)]),
        (Model, [Model(1.0), Better(1.0)], [{"alpha": 1.0}]),
        (Pair, [Pair(1, "a")], [(1, "a")]),
        (Options, [{"depth": 1}, {"depth": 1, "note": "x"}], [{"note": "x"}, [1]]),
        (Predicts, [Predictor()], [Model(1.0)]),
        (UserId, [3], ["3"]),
        (Number, [1.5], ["x"]),
        (Annotated[int, "how many"], [1], ["1"]),
        (np.ndarray, [np.zeros(2)], [[0.0]]),
        (pa.Table, [pa.table({"x": [1]})], [{"x": [1]}]),
    ],
)
def test_values(hint: Any, good: list[Any], bad: list[Any]) -> None:
    check = check_for(hint)
    assert check is not None
    assert [check(value) for value in good] == [""] * len(good)
    for value in bad:
        assert check(value).startswith(f"expected {show(hint)}, got ")


@pytest.mark.parametrize("hint", [Any, object, Anything, "Unknown", Quiet, int | Any, Annotated[Any, "x"]])
def test_what_says_nothing_is_not_checked(hint: Any) -> None:
    assert check_for(hint) is None


@pytest.mark.parametrize(
    ("source", "target", "fits"),
    [
        (int, int, True),
        (int, float, True),
        (bool, int, True),
        (Better, Model, True),
        (Model, Better, True),
        (int, str, False),
        (Decimal, float, False),
        (pa.Table, Model, False),
        (None, int, False),
        (int | None, int, True),
        (int | None, str, False),
        (int, str | float, True),
        (list[int], list[int], True),
        (list[int], list[str], False),
        (list[int], list[Any], True),
        (list[int], list, True),
        (list[int], collections.abc.Sequence[str], True),
        (list[int], dict[str, int], False),
        (tuple[int, str], tuple[int, int], False),
        (Literal[1, 2], int, True),
        (Literal["a"], int, False),
        (str, Literal["a"], True),
        (int, Literal["a"], False),
        (Any, int, True),
        (int, Any, True),
        ("Unknown", int, True),
        (int, Quiet, True),
        (Predictor, Predicts, True),
        (Model, Predicts, False),
        (Predictor, Named, True),
        (Options, dict[str, Any], True),
        (Options, int, False),
        (UserId, str, False),
        (type[Model], type[int], True),
    ],
)
def test_announced_types(source: Any, target: Any, fits: bool) -> None:
    assert may_flow(source, target) is fits
    assert clash(source, target) == ("" if fits else f"expected {show(target)}, got {show(source)}")


def test_items_of_containers() -> None:
    assert element_of(list[int], 3) is int
    assert element_of(tuple[int, ...], 3) is int
    assert element_of(tuple[int, str], 1) is str
    assert element_of(tuple[int, str], 2) is Any
    assert element_of(dict[str, float], "a") is float
    assert element_of(list[int] | None, 0) is int
    assert element_of(list[int] | list[str], 0) is Any
    assert element_of(list, 0) is Any


def test_how_types_and_values_are_written() -> None:
    assert show(None) == "None"
    assert show(int | None) == "int | None"
    assert show(list[int]) == "list[int]"
    assert show(pa.Table) == "pyarrow.lib.Table"
    assert describe("short") == "str 'short'"
    assert describe("x" * 100) == "str"
    assert describe(pa.table({"x": [1]})) == "pyarrow.lib.Table"


def test_annotations_that_cannot_be_read_are_left_out() -> None:
    def partly(a: int, b: Unknown, c: str) -> Elsewhere:  # type: ignore[name-defined]  # noqa: F821
        return a

    assert hints_of(partly) == {"a": int, "c": str}
