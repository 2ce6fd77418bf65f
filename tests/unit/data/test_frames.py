from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from interlock.core.errors import InvalidInput, SchemaMismatch
from interlock.core.schema import Column
from interlock.data.frames import ARROW_TYPES, columns_of, empty_table, to_arrow

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)


def kinds(frame: Any) -> dict[str, str]:
    return {column.name: column.type for column in columns_of(to_arrow(frame))}


def test_a_dict_of_lists() -> None:
    table = to_arrow({"n": [1, None], "x": [0.5, 1.5], "s": ["a", None], "b": [True, False], "t": [NOON, NOON]})
    assert kinds(table) == {"n": "long", "x": "double", "s": "string", "b": "boolean", "t": "datetime"}
    assert table.column("n").null_count == 1


def test_a_pandas_frame_with_categories_and_missing_values() -> None:
    frame = pd.DataFrame(
        {
            "when": pd.to_datetime(["2013-01-01", None], utc=True),
            "carrier": pd.Categorical(["AA", "UA"]),
            "delay": [1.5, float("nan")],
        },
        index=[7, 9],
    )
    table = to_arrow(frame)
    assert kinds(frame) == {"when": "datetime", "carrier": "string", "delay": "double"}
    assert table.column("when").null_count == table.column("delay").null_count == 1
    assert table.schema.metadata is None


def test_a_record_batch() -> None:
    assert to_arrow(pa.record_batch({"n": [1]})).to_pydict() == {"n": [1]}


def test_narrow_numbers_widen_and_nan_becomes_null() -> None:
    table = to_arrow(
        pa.table(
            {
                "i": pa.array([1], pa.int8()),
                "u": pa.array([2], pa.uint64()),
                "f": pa.array([float("nan")], pa.float32()),
                "s": pa.array(["x"], pa.large_string()),
                "y": pa.array([b"x"], pa.large_binary()),
            }
        )
    )
    assert [field.type for field in table.schema] == [
        ARROW_TYPES[kind] for kind in ("long", "long", "double", "string", "binary")
    ]
    assert table.column("f").null_count == 1


def test_dates_and_other_zones_come_to_utc() -> None:
    table = to_arrow(
        pa.table(
            {
                "day": pa.array([date(2013, 1, 1)]),
                "local": pa.array([NOON], pa.timestamp("s", "America/New_York")),
            }
        )
    )
    assert table.column("day")[0].as_py() == datetime(2013, 1, 1, tzinfo=UTC)
    assert table.column("local")[0].as_py() == NOON


def test_times_without_a_zone_are_refused() -> None:
    with pytest.raises(SchemaMismatch, match="'t' holds times without a time zone") as caught:
        to_arrow(pd.DataFrame({"t": pd.to_datetime(["2013-01-01"])}))
    assert "tz_localize" in caught.value.fix


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (pa.array([None]), "holds no value at all"),
        (pa.array([[1]]), "expected one of boolean"),
        (pa.array([1], pa.duration("s")), "expected one of boolean"),
    ],
)
def test_types_that_are_not_kept(column: pa.Array, why: str) -> None:
    with pytest.raises(SchemaMismatch, match="the column 'c' has the type") as caught:
        to_arrow(pa.table({"c": column}))
    assert why in caught.value.why


def test_a_number_that_does_not_fit_is_refused_not_wrapped() -> None:
    with pytest.raises(InvalidInput, match="'u' does not fit into int64"):
        to_arrow(pa.table({"u": pa.array([2**63], pa.uint64())}))


def test_a_time_finer_than_microseconds_is_refused_not_rounded() -> None:
    with pytest.raises(InvalidInput, match="'t' does not fit"):
        to_arrow(pa.table({"t": pa.array([1], pa.timestamp("ns", "UTC"))}))


@pytest.mark.parametrize("frame", [42, "text", [1, 2], object()])
def test_what_is_no_table(frame: Any) -> None:
    with pytest.raises(InvalidInput, match="is not a table"):
        to_arrow(frame)


def test_columns_of_different_length() -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        to_arrow({"a": [1], "b": [1, 2]})


def test_a_column_that_mixes_types() -> None:
    with pytest.raises(SchemaMismatch, match="'a' mixes types"):
        to_arrow({"a": [1, "x"]})


@pytest.mark.parametrize(
    ("table", "what"),
    [
        (pa.table([[1], [2]], names=["a", "a"]), "'a' is there twice"),
        (pa.table([[1]], names=[""]), "'' is empty"),
        (pa.table({}), "no columns"),
    ],
)
def test_bad_names(table: pa.Table, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        to_arrow(table)


def test_an_empty_table_has_the_kept_types() -> None:
    columns = (Column("t", "datetime"), Column("n", "long"))
    assert columns_of(empty_table(columns)) == columns
