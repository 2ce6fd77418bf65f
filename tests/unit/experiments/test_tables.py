"""Tables of any library become Arrow, and arrays become histograms."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interlock.core.errors import InvalidInput
from interlock.experiments.tables import histogram, parquet, to_arrow


def test_every_kind_of_table() -> None:
    pd = pytest.importorskip("pandas")
    wanted = {"a": [1, 2], "b": ["x", None]}
    arrow = pa.table(wanted)
    for table in (
        arrow,
        arrow.to_batches()[0],
        wanted,
        [{"a": 1, "b": "x"}, {"a": 2}],
        pd.DataFrame(wanted),
    ):
        assert to_arrow(table).to_pydict() == wanted
    assert to_arrow(np.array([[1, 2], [3, 4]])).to_pydict() == {"x0": [1, 3], "x1": [2, 4]}


def test_a_frame_of_polars() -> None:
    pl = pytest.importorskip("polars")
    assert to_arrow(pl.DataFrame({"a": [1, 2]})).to_pydict() == {"a": [1, 2]}


def test_cells_without_an_arrow_type_become_text() -> None:
    pd = pytest.importorskip("pandas")
    mixed: dict[str, list[Any]] = {"a": [1, "two", None], "b": [object, 1, 2]}
    for table in (mixed, [dict(zip(mixed, row, strict=True)) for row in zip(*mixed.values(), strict=True)]):
        assert to_arrow(table).to_pydict() == {"a": ["1", "two", None], "b": [str(object), "1", "2"]}
    assert to_arrow(pd.DataFrame(mixed))["a"].to_pylist() == ["1", "two", None]


@pytest.mark.parametrize("table", [3, "text", None, []])
def test_what_is_no_table_is_refused(table: Any) -> None:
    with pytest.raises(InvalidInput, match="is no table"):
        to_arrow(table)


def test_parquet_is_read_back() -> None:
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    assert pq.read_table(io.BytesIO(parquet(table))).equals(table)


def test_a_histogram_counts_and_says_what_it_leaves_out() -> None:
    found = histogram([0.0, 0.1, 0.9, 1.0, math.nan, math.inf], bins=2)
    assert (found["counts"], found["edges"]) == ([2, 2], [0.0, 0.5, 1.0])
    assert (found["count"], found["not_finite"], found["min"], found["max"]) == (6, 2, 0.0, 1.0)
    assert found["mean"] == pytest.approx(0.5)
    assert sum(histogram(np.full(10, 3.0))["counts"]) == 10
    assert math.isnan(histogram([])["mean"])
    assert histogram(([1, 2], [0, 1, 2])) == {"counts": [1, 2], "edges": [0.0, 1.0, 2.0]}
    assert histogram([1, 2, 3], bins=[0, 2, 4])["counts"] == [1, 2]
    with pytest.raises(InvalidInput, match="bins"):
        histogram([1.0], bins=10_000)
