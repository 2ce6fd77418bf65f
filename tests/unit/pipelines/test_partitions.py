"""The values that a backfill goes through."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput
from interlock.pipelines.partitions import partitions


def test_days_with_both_ends() -> None:
    assert partitions("2026-02-27..2026-03-01") == ["2026-02-27", "2026-02-28", "2026-03-01"]
    assert partitions("2026-01-01..2026-01-20", every="week") == ["2026-01-01", "2026-01-08", "2026-01-15"]


def test_hours() -> None:
    assert partitions("2026-01-01T22..2026-01-02T00", every="hour") == [
        "2026-01-01T22:00",
        "2026-01-01T23:00",
        "2026-01-02T00:00",
    ]


def test_months_keep_their_day_where_there_is_one() -> None:
    assert partitions("2024-01-31..2024-05-01", every="month") == [
        "2024-01-31",
        "2024-02-29",
        "2024-03-31",
        "2024-04-30",
    ]
    assert partitions("2025-11-15..2026-02-15", every="month")[-1] == "2026-02-15"


@given(st.dates(min_value=date(1990, 1, 1), max_value=date(2100, 1, 1)), st.integers(0, 60))
def test_a_month_comes_once(first: date, count: int) -> None:
    year = first.year + 6
    found = partitions(f"{first}..{year}-12-31", every="month")
    months = [one[:7] for one in found]
    assert len(set(months)) == len(months) and found == sorted(found) and len(found) >= count


def test_a_list() -> None:
    assert partitions(" eu, us ,") == ["eu", "us"]


@pytest.mark.parametrize(
    ("text", "every"),
    [
        ("", "day"),
        ("a..b", "day"),
        ("2026-01-02..2026-01-01", "day"),
        ("2026-13-01..2026-13-02", "day"),
        ("2026-01-01..2026-01-02", "year"),
        ("0001-01-01..9000-01-01", "hour"),
    ],
)
def test_what_names_no_partitions(text: str, every: str) -> None:
    with pytest.raises(InvalidInput):
        partitions(text, every=every)
