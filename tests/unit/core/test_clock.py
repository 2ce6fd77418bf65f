from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.clock import FrozenClock, SystemClock, aware, from_micros, to_micros
from interlock.core.errors import InvalidInput

moments = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))


@given(moments)
def test_micros_are_exact_both_ways(moment: datetime) -> None:
    assert from_micros(to_micros(moment)) == moment


def test_other_zones_become_utc() -> None:
    moment = datetime(2013, 1, 1, 7, tzinfo=timezone(timedelta(hours=2)))
    assert aware(moment) == datetime(2013, 1, 1, 5, tzinfo=UTC)
    assert aware(moment).tzinfo is UTC


def test_naive_times_are_refused_with_a_fix() -> None:
    with pytest.raises(InvalidInput) as caught:
        aware(datetime(2013, 1, 1))
    assert caught.value.fix == "datetime(..., tzinfo=UTC)"


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_times_that_have_no_utc_are_refused(moment: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be kept"):
        to_micros(datetime.fromisoformat(moment))


def test_a_frozen_clock_moves_only_when_told() -> None:
    clock = FrozenClock(datetime(2013, 1, 1, tzinfo=UTC))
    assert clock.now() == clock.now() == datetime(2013, 1, 1, tzinfo=UTC)
    assert clock.advance(90) == datetime(2013, 1, 1, 0, 1, 30, tzinfo=UTC)
    clock.set(datetime(2014, 1, 1, tzinfo=UTC))
    assert clock.now().year == 2014


def test_the_system_clock_is_aware() -> None:
    assert SystemClock().now().tzinfo is UTC
