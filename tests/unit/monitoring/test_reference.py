from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from interlock.data.profiles import profile_table
from interlock.monitoring.reference import Reference, ReferenceColumn, category, reference_from_columns

NAN = float("nan")


def test_numbers_are_counted_in_the_bins_of_the_reference() -> None:
    column = ReferenceColumn(edges=(1.0, 2.0), counts=(5, 6, 7), nulls=2)
    reference, current, new = column.count([0, 1.0, 1.5, 2, 99, None, NAN, float("inf")])
    assert reference == [5, 6, 7, 2]
    assert current == [2, 2, 2, 2]
    assert (new, column.rows) == ([], 20)


def test_categories_are_counted_by_name() -> None:
    column = ReferenceColumn(categories={"JFK": 5, "EWR": 3}, nulls=1)
    reference, current, new = column.count(["EWR", "EWR", None, "BOS", "ABQ"])
    assert (reference, current) == ([5, 3, 0, 1], [0, 2, 2, 1])
    assert new == ["ABQ", "BOS"]
    assert column.rows == 9


def test_where_the_reference_does_not_list_all_values_none_is_called_new() -> None:
    column = ReferenceColumn(categories={"N1": 5}, other=100)
    assert column.count(["N7"]) == ([5, 100, 0], [0, 1, 0], [])


def test_booleans_have_the_names_that_profiles_give_them() -> None:
    assert category(True) == "true"
    column = ReferenceColumn(categories={"true": 2, "false": 1})
    assert column.count([True, False, True])[1] == [2, 1, 0, 0]


def test_a_stored_profile_becomes_a_reference() -> None:
    values = np.random.default_rng(0).normal(size=500)
    table = pa.table(
        {
            "x": values,
            "s": pa.array(["a", None, "b", "a"] * 125),
            "f": pa.array([True, False] * 250),
            "t": pa.array([1] * 500, pa.timestamp("us", "UTC")),
            "y": pa.array([b"1"] * 500),
            "n": pa.array([None] * 500, pa.float64()),
        }
    )
    reference = Reference.from_profile(msgspec.to_builtins(profile_table(table)))
    assert set(reference.columns) == {"x", "s", "f"}
    assert reference.columns["s"] == ReferenceColumn(categories={"a": 250, "b": 125}, nulls=125)
    assert reference.columns["f"].categories == {"false": 250, "true": 250}
    before, now, _ = reference.columns["x"].count(values.tolist())
    assert before == now


def test_a_reference_from_columns_is_the_one_from_their_profile() -> None:
    random = np.random.default_rng(1)
    columns = {
        "x": random.normal(size=300).tolist(),
        "k": random.integers(0, 5, 300).tolist(),
        "s": ["a", "b", None] * 100,
    }
    made = reference_from_columns(columns, {"x": "double", "k": "long", "s": "string"})
    assert made == Reference.from_profile(msgspec.to_builtins(profile_table(pa.table(columns))))


def test_columns_that_cannot_be_compared_are_left_out() -> None:
    made = reference_from_columns(
        {"t": [1], "y": [b"x"], "n": [None, NAN], "s": [None], "k": [1]},
        {"t": "datetime", "y": "binary", "n": "double", "s": "string", "k": "long"},
    )
    assert set(made.columns) == {"k"}


@pytest.mark.parametrize("values", [[str(i) for i in range(70)] + ["0"]])
def test_rare_categories_are_counted_together(values: list[str]) -> None:
    column = reference_from_columns({"s": values}, {"s": "string"}).columns["s"]
    assert (len(column.categories), column.other, column.rows) == (50, 20, 71)
