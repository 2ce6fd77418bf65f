"""Ids of values do not collide, and do not depend on layout."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import sys
import threading
from collections import OrderedDict, defaultdict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput
from interlock.core.refs import Ref
from interlock.pipelines.code_keys import content_id
from interlock.pipelines.value_keys import Known, short


class Colour(Enum):
    RED = 1
    BLUE = 2


class Level(IntEnum):
    ONE = 1


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


@dataclasses.dataclass
class Other:
    x: int
    y: int = 0


class Pair(msgspec.Struct):
    x: int
    y: int = 0


class Thing:
    def __init__(self, x: int) -> None:
        self.x = x


Named = namedtuple("Named", "x y")

DIFFERENT: list[Any] = [
    None,
    ...,
    True,
    False,
    1,
    0,
    -1,
    2**70,
    1.0,
    0.0,
    -0.0,
    float("nan"),
    float("inf"),
    complex(1, 0),
    "1",
    "",
    b"1",
    b"",
    bytearray(b"1"),
    "x" * 100,
    b"x" * 100,
    [],
    (),
    {},
    set(),
    frozenset(),
    [1],
    (1,),
    {1},
    frozenset({1}),
    [1, 2],
    [2, 1],
    [[1], 2],
    [[1, 2]],
    ["12"],
    ["1", "2"],
    {"a": 1},
    {"a": 1.0},
    {"a": "1"},
    {"b": 1},
    {1: "a"},
    [("a", 1)],
    OrderedDict(a=1),
    defaultdict(int, a=1),
    Named(1, 2),
    (1, 2),
    Colour.RED,
    Colour.BLUE,
    Level.ONE,
    Point(1),
    Point(2),
    Point(1, 1),
    Other(1),
    Pair(1),
    Pair(1, 1),
    Thing(1),
    Thing(2),
    date(2026, 1, 1),
    datetime(2026, 1, 1),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    datetime(2026, 1, 1, fold=1),
    time(1),
    time(1, tzinfo=UTC),
    timedelta(1),
    timedelta(0, 1),
    Decimal("1.0"),
    Decimal("1.00"),
    Fraction(1, 2),
    UUID(int=1),
    Path("/a"),
    PurePosixPath("/a"),
    range(3),
    range(0, 3, 2),
    slice(1, 2),
    Ref("dataset", "a", "1"),
    Ref("dataset", "a", "2"),
    "dataset:a@1",
    Known("1"),
    Known("2"),
    int,
    float,
    len,
    np.float64(1.0),
    np.float32(1.0),
    np.int64(1),
    np.bool_(True),
    np.datetime64("2026-01-01"),
    np.datetime64("2026-01-01", "s"),
    np.zeros((2, 3)),
    np.zeros((3, 2)),
    np.zeros(6),
    np.zeros((2, 3), dtype="int64"),
    np.zeros((2, 3), dtype="uint64"),
    np.zeros((2, 3), dtype=">f8"),
    np.array(1.0),
    np.array([1.0]),
    np.array([]),
    np.array([], dtype="int64"),
    np.array(["2026-01-01"], dtype="datetime64[D]"),
    np.array(["a", "b"]),
    np.array(["a", "b"], dtype=object),
    np.array([1, "b"], dtype=object),
    np.zeros(1, dtype=[("a", "i8")]),
    np.zeros(1, dtype=[("b", "i8")]),
    pa.table({"a": [1, 2], "b": [3, 4]}),
    pa.table({"b": [3, 4], "a": [1, 2]}),
    pa.table({"a": [3, 4], "b": [1, 2]}),
    pa.table({"a": [1, 2], "c": [3, 4]}),
    pa.table({"a": [1, 2]}),
    pa.table({"a": pa.array([1, 2], pa.int32())}),
    pa.table({"a": pa.array([1, 2], pa.uint64())}),
    pa.table({"a": [1.0, 2.0]}),
    pa.table({"a": [1, None]}),
    pa.table({"a": ["1", "2"]}),
    pa.table({"a": pa.array([], pa.int64())}),
    pa.table({"a": pa.array([], pa.string())}),
    pa.record_batch({"a": [1, 2]}),
    pa.array([1, 2]),
    pd.DataFrame({"a": [1, 2], "b": [3, 4]}),
    pd.DataFrame({"b": [3, 4], "a": [1, 2]}),
    pd.DataFrame({"a": [1, 2], "c": [3, 4]}),
    pd.DataFrame({"a": [1, 2], "b": [3, 4]}, index=[5, 6]),
    pd.DataFrame({"a": [1, 2], "b": [3, 4]}, index=pd.Index([0, 1], name="id")),
    pd.DataFrame({1: [1, 2]}),
    pd.DataFrame({"1": [1, 2]}),
    pd.DataFrame({"a": [1, 2]}, dtype="uint64"),
    pd.Series([1, 2], name="a"),
    pd.Series([1, 2], name="b"),
]


def test_no_two_different_values_share_an_id() -> None:
    ids = [content_id(value) for value in DIFFERENT]
    clashes = [(DIFFERENT[a], DIFFERENT[b]) for a, b in itertools.combinations(range(len(ids)), 2) if ids[a] == ids[b]]
    assert clashes == []


TABLE = pa.table({"a": [1, None, 3, 4], "b": ["x", "y", None, "z"]})


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1, 2, 3}, {3, 2, 1}),
        (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3))),
        (np.arange(6)[::2], np.array([0, 2, 4])),
        (TABLE, pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1, 3)])),
        (TABLE.slice(1, 2), pa.Table.from_pylist(TABLE.slice(1, 2).to_pylist(), schema=TABLE.schema)),
        (TABLE.slice(0, 0), TABLE.schema.empty_table()),
        (float("nan"), float("nan")),
        (Point(1), Point(1)),
        (Thing(1), Thing(1)),
        (pd.DataFrame({"a": [1, 2]}), pd.concat([pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]}, index=[1])])),
    ],
)
def test_layout_does_not_count(one: Any, same: Any) -> None:
    assert content_id(one) == content_id(same)


_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(_plain, _plain)
def test_ids_agree_exactly_where_values_of_the_same_types_do(one: Any, other: Any) -> None:
    assert (content_id(one) == content_id(other)) == (_typed(one) == _typed(other))


def _typed(value: Any) -> Any:
    if isinstance(value, list):
        return ("list", [_typed(item) for item in value])
    if isinstance(value, dict):
        return ("dict", {key: _typed(item) for key, item in value.items()})
    return (type(value).__name__, repr(value))


def test_only_objects_known_by_how_they_pickle_are_weak() -> None:
    assert content_id([1, {"a": np.zeros(2)}, Point(1), TABLE]).startswith("b3:")
    assert content_id([1, Thing(1)]).startswith("weak:b3:")
    assert content_id(1).startswith("b3:")


def test_fitted_estimators_are_known_by_their_parameters_and_state() -> None:
    from sklearn.linear_model import LogisticRegression

    def fitted(strength: float) -> Any:
        return LogisticRegression(C=strength).fit([[0.0], [1.0]], [0, 1])

    assert content_id(fitted(1.0)) == content_id(fitted(1.0))
    assert len({content_id(model) for model in (fitted(1.0), fitted(2.0), LogisticRegression(C=1.0))}) == 3


def test_values_that_hold_themselves_have_an_id() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    other: list[Any] = [1]
    other.append([other])
    assert content_id(loop) == content_id(loop)
    assert content_id(loop) != content_id(other)


def test_very_deep_values_are_refused() -> None:
    deep: list[Any] = []
    for _ in range(20_000):
        deep = [deep]
    with pytest.raises(InvalidInput, match="nested too deeply"):
        content_id(deep)


@pytest.mark.parametrize("value", [threading.Lock(), (number for number in [1])], ids=["lock", "generator"])
def test_things_without_content_are_refused_by_name(value: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be identified by its content"):
        content_id({"inside": value})


def test_frames_that_arrow_cannot_hold_are_read_as_objects() -> None:
    frame = pd.DataFrame({"a": [1, "x"]})
    assert content_id(frame) == content_id(frame.copy())
    assert content_id(frame) != content_id(pd.DataFrame({"a": [2, "x"]}))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        ("a", "'a'"),
        ([1, 2], "[1, 2]"),
        (list(range(100)), "list of 100"),
        ("x" * 100, "'" + "x" * 58 + "…"),
        (TABLE, "table 4 × 2"),
        (np.zeros((2, 3)), "array float64 2×3"),
        (Thing(1), "<Thing>"),
        (Known("x"), ""),
    ],
)
def test_values_are_shown_briefly(value: Any, text: str) -> None:
    assert short(value) == text


def objects(*values: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": pd.Series(list(values), dtype=object)})


LIKE_EACH_OTHER: list[Any] = [
    objects("a", None),
    objects("a", float("nan")),
    objects("a", pd.NA),
    objects("a", pd.NaT),
    objects(None, "a"),
    objects("a", "nan"),
    objects(1, 2),
    objects(1, 2.0),
    objects(True, 2),
    objects("1", "2"),
    objects([1], [2]),
    objects((1,), (2,)),
    objects(Decimal("1.0"), Decimal("2")),
    objects(Decimal("1.0"), Decimal("2.0")),
    pd.DataFrame({"a": pd.array([1, 2], dtype="Int64")}),
    pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
    pd.DataFrame({"a": pd.Categorical(["x", "y"])}),
    pd.DataFrame({"a": pd.Categorical(["x", "y"], ["y", "x"])}),
    pd.DataFrame({"a": pd.Categorical(["x", "y"], ordered=True)}),
    pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, "x"), (2, "y")], names=["p", "q"])),
    pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, "x"), (2, "y")], names=["q", "p"])),
    pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, "x"), (2, "z")], names=["p", "q"])),
    pd.DataFrame({"a": [1, 2]}, index=pd.Index([None, "a"], dtype=object)),
    pd.DataFrame({"a": [1, 2]}, index=pd.Index([float("nan"), "a"], dtype=object)),
    pd.DataFrame([[1, 2]], columns=["a", "a"]),
    pd.DataFrame([[2, 1]], columns=["a", "a"]),
    pd.DataFrame({"a": pd.period_range("2026-01", periods=1, freq="M")}),
    pd.DataFrame({"a": pd.period_range("2026-01-01", periods=1, freq="D")}),
    pd.DataFrame({"a": pd.to_datetime(["2026-01-01"]).tz_localize("UTC")}),
    pd.DataFrame({"a": pd.to_datetime(["2026-01-01"]).tz_localize("Europe/Berlin")}),
    np.ma.masked_array([1, 2], mask=[0, 1]),
    np.ma.masked_array([1, 2], mask=[1, 0]),
    np.frombuffer(np.uint64(0x7FF8000000000001).tobytes()),
    np.array([float("nan")]),
    memoryview(b"ab"),
    memoryview(b"ab").cast("b"),
    MappingProxyType({"a": 1}),
    MappingProxyType({"a": 2}),
]


def test_what_looks_alike_is_told_apart() -> None:
    ids = [content_id(value) for value in LIKE_EACH_OTHER]
    clashes = [
        (LIKE_EACH_OTHER[a], LIKE_EACH_OTHER[b])
        for a, b in itertools.combinations(range(len(ids)), 2)
        if ids[a].removeprefix("weak:") == ids[b].removeprefix("weak:")
    ]
    assert clashes == []


def test_notes_on_a_frame_count() -> None:
    frame = pd.DataFrame({"a": [1]})
    before = content_id(frame)
    frame.attrs["unit"] = "m"
    assert content_id(frame) != before


IN_ANOTHER_PROCESS = """
import json
from tests.unit.pipelines.test_value_keys import content_id, scattered
print(json.dumps([content_id(value) for value in scattered()]))
"""


def scattered() -> list[Any]:
    """Return values whose order in memory hangs on how strings hash, which each process does in its own way."""
    words = [f"word {number}" for number in range(50)]
    return [
        set(words),
        frozenset(words),
        {word: {word} for word in words},
        {"inside": [set(words)]},
        Thing(set(words)),  # type: ignore[arg-type]
        dict.fromkeys(reversed(words)),
        pd.DataFrame({"a": words}),
        Point,
        Colour.RED,
    ]


def test_another_process_gives_the_same_ids() -> None:
    ours = [content_id(value) for value in scattered()]
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[3],
            check=True,
            capture_output=True,
            text=True,
        )
        assert json.loads(done.stdout) == ours
