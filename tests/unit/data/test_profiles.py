from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput
from interlock.data.frames import to_arrow
from interlock.data.profiles import BINS, TOP, decode_profile, encode_profile, merge, profile_table

DAY = datetime(2013, 1, 1, tzinfo=UTC)


def test_numbers() -> None:
    column = profile_table(to_arrow({"x": [3.0, 1.0, None, 2.0, 2.0]})).column("x")
    assert (column.count, column.nulls, column.distinct) == (4, 1, 3)
    assert (column.min, column.max, column.mean) == (1.0, 3.0, 2.0)
    assert column.std == pytest.approx(np.std([1, 2, 2, 3], ddof=1))
    assert (column.edges, column.counts) == ((1.0, 2.0), (1, 2, 1))


def test_bins_of_many_values_are_about_equal_and_closed_on_the_right() -> None:
    values = np.random.default_rng(0).normal(size=10_000)
    column = profile_table(to_arrow({"x": values})).column("x")
    assert len(column.counts) == BINS == len(column.edges) + 1
    assert all(450 < count < 550 for count in column.counts)
    by_hand = np.bincount(np.searchsorted(column.edges, values, side="left"), minlength=BINS)
    assert column.counts == tuple(by_hand)


def test_a_mass_point_has_one_bin_and_no_bin_is_empty() -> None:
    column = profile_table(to_arrow({"x": [0] * 900 + list(range(1, 101))})).column("x")
    assert column.counts[0] == 900
    assert min(column.counts) > 0
    assert sum(column.counts) == 1000


def test_a_constant_has_one_bin() -> None:
    column = profile_table(to_arrow({"x": [7, 7]})).column("x")
    assert (column.edges, column.counts, column.std) == ((), (2,), 0.0)


def test_infinities_are_counted_and_kept_out_of_the_moments() -> None:
    column = profile_table(pa.table({"x": [1.0, 2.0, float("inf"), float("-inf")]})).column("x")
    assert (column.infinite, column.mean, column.min, column.max) == (2, 1.5, 1.0, 2.0)
    assert sum(column.counts) == 4
    only = profile_table(pa.table({"x": [float("inf")]})).column("x")
    assert (only.mean, only.min, only.counts) == (None, None, (1,))


def test_strings_and_booleans() -> None:
    profile = profile_table(to_arrow({"s": ["b", "a", None, "b"], "f": [True, True, False, None]}))
    strings, flags = profile.columns
    assert (strings.top, strings.distinct, strings.min, strings.max) == ({"b": 2, "a": 1}, 2, "a", "b")
    assert list(strings.top) == ["b", "a"]
    assert flags.top == {"true": 2, "false": 1}


def test_rare_values_are_counted_together() -> None:
    column = profile_table(to_arrow({"s": [str(i) for i in range(80)] * 2 + ["0"]})).column("s")
    assert (len(column.top), column.distinct) == (TOP, 80)
    assert next(iter(column.top.items())) == ("0", 3)
    assert sum(column.top.values()) + column.other == 161


def test_times_are_microseconds() -> None:
    column = profile_table(to_arrow({"t": [DAY, DAY + timedelta(days=2)]})).column("t")
    assert column.mean == (DAY + timedelta(days=1)).timestamp() * 1e6


def test_bytes_and_columns_without_a_value() -> None:
    table = pa.table({"y": pa.array([b"a", b"a"]), "n": pa.array([None, None], pa.int64())})
    blob, empty = profile_table(table).columns
    assert (blob.distinct, blob.top, blob.counts) == (1, {}, ())
    assert (empty.count, empty.nulls, empty.distinct, empty.mean) == (0, 2, 0, None)


def test_a_profile_survives_its_stored_form() -> None:
    profile = profile_table(to_arrow({"x": [1.5, None], "s": ["a", "b"], "n": [1, 2]}))
    assert decode_profile(encode_profile(profile)) == profile


def test_an_unknown_column() -> None:
    with pytest.raises(InvalidInput) as caught:
        profile_table(to_arrow({"delay": [1]})).column("dely")
    assert caught.value.why == "did you mean 'delay'?"


numbers = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6, width=32)), max_size=40)
words = st.lists(st.one_of(st.none(), st.sampled_from("abcd")), max_size=40)


@settings(deadline=None)
@given(numbers, numbers)
def test_a_merge_equals_the_profile_of_both(left: list[float | None], right: list[float | None]) -> None:
    kind = pa.float64()
    first = profile_table(pa.table({"x": pa.array(left, kind)}))
    second = profile_table(pa.table({"x": pa.array(right, kind)}), like=first)
    merged = merge(first, second).column("x")
    whole = profile_table(pa.table({"x": pa.array(left + right, kind)}), like=merge(first, second)).column("x")
    assert (merged.count, merged.nulls, merged.counts) == (whole.count, whole.nulls, whole.counts)
    assert (merged.min, merged.max) == (whole.min, whole.max)
    if whole.mean is not None and whole.std is not None:
        assert merged.mean == pytest.approx(whole.mean, abs=1e-6)
        assert merged.std == pytest.approx(whole.std, abs=1e-3)


@settings(deadline=None)
@given(words, words)
def test_a_merge_of_strings_is_exact_where_all_values_are_listed(
    left: list[str | None], right: list[str | None]
) -> None:
    tables = [pa.table({"s": pa.array(values, pa.string())}) for values in (left, right, left + right)]
    first, second, whole = (profile_table(table) for table in tables)
    assert merge(first, second) == whole


def test_a_merge_that_cannot_tell_the_distinct_values_says_so() -> None:
    first = profile_table(to_arrow({"x": [1, 2]}))
    assert merge(first, profile_table(to_arrow({"x": [2, 3]}), like=first)).column("x").distinct is None


def test_a_merge_keeps_infinities_apart() -> None:
    first = profile_table(pa.table({"x": [1.0, float("inf")]}))
    second = profile_table(pa.table({"x": [float("inf")]}), like=first)
    merged = merge(first, second).column("x")
    assert (merged.infinite, merged.mean, merged.std) == (2, 1.0, 0.0)
    assert merge(second, second).column("x").mean is None
    assert all(math.isfinite(edge) for edge in merged.edges)


def test_what_cannot_be_merged() -> None:
    first = profile_table(to_arrow({"x": [1, 2, 3]}))
    with pytest.raises(InvalidInput, match="different edges"):
        merge(first, profile_table(to_arrow({"x": [7, 8, 9]})))
    with pytest.raises(InvalidInput, match="different columns"):
        merge(first, profile_table(to_arrow({"y": [1]})))
    with pytest.raises(InvalidInput, match="different columns"):
        merge(first, profile_table(to_arrow({"x": [1.5]})))
